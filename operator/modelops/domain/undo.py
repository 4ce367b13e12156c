"""Undo: who asks for it, which version `previous` is, and what the record keeps of it (protocol, Undo, Direct undo)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentsfile import AgentEntry, RoutingBlock
from modelops.domain.digest import identity_digest
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import BY_DIRECT, ActiveRollout, Completed, Record, Target, Undo
from modelops.domain.rollout.state import same_target
from modelops.domain.versions import release_version

BY_FIELD = "field:"
"""The start of `by` for an undo that `spec.undo` of the AgentModel asks for; its id follows."""


@dataclass(frozen=True, kw_only=True)
class FieldUndo:
    """`spec.undo` of an AgentModel: the undo, and its identity in `completed`."""

    id: str
    to: str
    digest: str

    @property
    def by(self) -> str:
        """As the record and the mark name it."""
        return f"{BY_FIELD}{self.id}"


def field_undo(agent_model: AgentModel | None) -> FieldUndo | None:
    """The undo that the AgentModel's spec asks for; None where it asks for none."""
    asked = agent_model.spec.undo if agent_model is not None else None
    if agent_model is None or asked is None:
        return None
    content = {"to": asked.to, "id": asked.id}
    digest = identity_digest(kind="AgentModelUndo", name=agent_model.metadata.name, spec=content)
    return FieldUndo(id=asked.id, to=asked.to, digest=digest)


def is_mark_of(record: Record, block: RoutingBlock | None, undo: Undo) -> bool:
    """Whether the file has the mark of this undo: it was written, and other keys beside it are a person's.

    An older mark of the watch, which GitOps may have put back, has a generation that is on record already.
    """
    if block is None or (block.rollout.uid, block.rollout.undo) != (undo.by, undo.to):
        return False
    return block.generation > record.marked or (undo.by == BY_DIRECT and block.generation == record.marked)


def unrecorded_mark(record: Record, block: RoutingBlock | None) -> RoutingBlock | None:
    """Direct undo 3: an undo's mark in the file that the record lacks. Nothing may overwrite it. None without one."""
    if block is None or block.rollout.undo is None or block.generation <= record.marked:
        return None
    if block.rollout.state != "Aborted":
        return None
    if record.undo is not None and is_mark_of(record, block, record.undo):
        return None
    return block if block.rollout.undo in record.served else None


def accepted(record: Record, undo: Undo, *, field: FieldUndo | None, marked: int = 0) -> Record:
    """Undo 3, the acceptance: one write of the record.

    Another undo that was asked for before it does nothing: the pending one that a mark replaces, and `field`, which
    the AgentModel's spec has at this moment.
    """
    completed, pending = dict(record.completed), record.undo
    words = f"another undo, to {undo.to}, was accepted at {undo.at}, so this one does nothing"
    if pending is not None and pending.digest and pending.digest != undo.digest:
        completed[pending.digest] = ended(pending, RolloutReason.Superseded, words, at=undo.at)
    if field is not None and field.digest not in (undo.digest, *completed):
        older = Undo(by=field.by, to=field.to, at=undo.at, name=field.by, digest=field.digest)
        completed[field.digest] = ended(older, RolloutReason.Superseded, words, at=undo.at)
    return record.with_(
        undo=undo, last_undo_at=undo.at, completed=completed, marked=max(record.marked, marked)
    )


def ended(undo: Undo, outcome: RolloutReason, message: str, *, at: str) -> Completed:
    """The end of an undo as `completed` keeps it. That of a field has the kind of the object that would ask else."""
    return Completed(
        kind="Rollout",
        name=undo.name or undo.by,
        uid=undo.by,
        outcome=outcome.value,
        version=undo.to,
        message=message[:512],
        finished_at=at,
    )


def was_asked_before(record: Record, created: datetime | None) -> bool:
    """Undo 7: whether an undo was accepted since. Compared strictly: in the same second it counts as accepted since."""
    return is_not_after(created, record.last_undo_at)


def is_not_after(created: datetime | None, at: str) -> bool:
    """Whether an object was created before this moment, or in its second; False where there is no such moment."""
    return bool(at) and created is not None and created <= datetime.fromisoformat(at)


def undone_at(record: Record, target: Target) -> str:
    """When an undo left this version, or this commit under another version; empty where none did since it served."""
    versions = {target.version, _released(target.version)}
    found = [record.undone.get(version, "") for version in versions]
    if target.revision:
        found.append(record.undone_models.get(_model_key(target), ""))
    return max(found)


def with_undone(record: Record, left: Iterable[Target], *, to: Target, at: str) -> Record:
    """The record that says that an undo left these versions, and that `to` is wanted again."""
    gone = [target for target in left if target.version != to.version]
    versions = {target.version: at for target in gone}
    models = {_model_key(target): at for target in gone if target.revision}
    changed = record.with_(
        undone={**record.undone, **versions}, undone_models={**record.undone_models, **models}
    )
    return without_undone(changed, to)


def without_undone(record: Record, target: Target) -> Record:
    """The record without this version among those that an undo left: a person asked for it since."""
    versions, model = {target.version, _released(target.version)}, _model_key(target)
    return record.with_(
        undone={version: at for version, at in record.undone.items() if version not in versions},
        undone_models={name: at for name, at in record.undone_models.items() if name != model},
    )


def without_address(record: Record, target: Target) -> Record:
    """The record without the address of a version whose endpoint was deleted: the new one may have another."""
    moved = target.model_copy(update={"endpoint_url": ""})
    return record.with_(served={**record.served, target.version: moved})


def previous_version(record: Record, entry: AgentEntry | None) -> str | None:
    """Direct undo 1: the version that an undo without a version goes to, looked up once by whoever asks.

    None where it is not clear: then a version must be named. A second call repeats the first and never returns.
    """
    block, stable = (entry.routing, entry.stable) if entry is not None else (None, None)
    mark = unrecorded_mark(record, block)
    if mark is not None:
        return mark.rollout.undo
    if record.undo is not None:
        return record.undo.to
    if not same_target(stable, record.stable):
        active = record.active
        uncommitted = active is not None and same_target(stable, promoted(active))
        return record.stable.version if uncommitted else None
    if record.previous is None or undone_at(record, record.previous):
        return None
    return record.previous.version


def promoted(active: ActiveRollout) -> Target:
    """The active candidate as its promotion writes it; its address is known only to the rollout."""
    version = _released(active.candidate.version)
    return active.candidate.model_copy(update={"version": version, "endpoint_url": "", "endpoint": ""})


def why_not_settled(record: Record, entry: AgentEntry) -> str:
    """Drift 1: why an agent is not "on stable" although record and file may agree; empty where nothing is under way."""
    if unrecorded_mark(record, entry.routing) is not None and entry.routing is not None:
        return (
            f"the agents' file was changed by a direct undo to {entry.routing.rollout.undo}, and the record does not "
            "have it yet: the operator takes it over when it runs"
        )
    if record.undo is not None:
        return f"an undo to {record.undo.to} was accepted at {record.undo.at} and is not finished"
    if record.active is not None:
        return f"Rollout {record.active.name} is active"
    if entry.routing is not None and entry.routing.weight:
        return f"the agents' file gives {entry.routing.weight} percent of sessions to a canary"
    return ""


def left_words(to: str) -> str:
    """What the active rollout says that an undo ends."""
    return f"an undo to {to} was accepted while this rollout was active: all sessions go to {to}"


def _model_key(target: Target) -> str:
    return f"{target.model}@{target.revision}"


def _released(version: str) -> str:
    try:
        return release_version(version)
    except ValueError:
        return version
