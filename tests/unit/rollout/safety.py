"""The safety properties of the protocol's model, checked after every write of the operator or of a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.unit.rollout.api_server import Name
from tests.unit.rollout.objects import AGENT, AGENT_MODEL, FILE, RECORD, Json

from modelops.api.v1alpha1.names import STOP_CONFIG_MAP
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain import agentsfile
from modelops.domain.agentmodel.drift_held import commit_of
from modelops.domain.agentmodel.drift_policy import BY_DRIFT
from modelops.domain.agentsfile import AgentEntry, RoutingBlock
from modelops.domain.digest import identity_digest
from modelops.domain.record import Record
from modelops.domain.rollout.advance import instant
from modelops.domain.undo import unrecorded_mark

ENDED = ("Succeeded", "Rejected", "Aborted", "Failed")


class Violated(AssertionError):
    """A write that the protocol forbids."""


def entry_of(item: Json | None) -> AgentEntry:
    """The agent's entry; empty for an unreadable file."""
    return readable(item) or AgentEntry()


def readable(item: Json | None) -> AgentEntry | None:
    """The agent's entry, None where the file cannot be read."""
    try:
        return agentsfile.parse(item["data"]["agents.yaml"], AGENT) if item else AgentEntry()
    except agentsfile.AgentsFileError:
        return None


def weight_of(block: RoutingBlock | None) -> int:
    return block.weight if block else 0


@dataclass
class Safety:
    """Called after every write; keeps which rollouts were lowered and which may act."""

    objects: dict[Name, Json]
    lowered: set[str] = field(default_factory=set)
    """Rollouts whose routing a person or another tool lowered or removed."""
    aborted: set[str] = field(default_factory=set)
    stopped_early: set[str] = field(default_factory=set)
    """Aborted or deleted before a promotion was intended."""
    raised_after_stop: dict[str, int] = field(default_factory=dict)
    lock_deleted: set[str] = field(default_factory=set)
    """Rollouts whose agent lock was deleted with the record: one raise may already have been sent."""
    order: list[str] = field(default_factory=list)
    stable_edited: bool = False
    last_edit_was_foreign: bool = False
    """Whether a person or another tool wrote the routing last."""
    candidates: dict[str, str] = field(default_factory=dict)
    """Model by rollout uid."""
    left: set[str] = field(default_factory=set)
    """Models that an undo has left in the file, and that nobody has asked for since."""
    undone: bool = False
    """Whether an undo was ever accepted."""
    raised_after_undo: int = 0
    """Raises since the acceptance of the undo on record: one may already have been sent."""
    raised_after_emergency: int = 0
    """Raises and promotions since the emergency stop that is set: one may already have been sent."""
    put_back: set[str] = field(default_factory=set)
    """Commits after which the operator put the stable keys back."""
    now: Callable[[], datetime] | None = None
    last_read: AgentEntry = field(default_factory=AgentEntry)
    """The agents' view: they keep the last file that they could read."""

    def __call__(self, name: Name, before: Json | None, after: Json | None, ours: bool) -> None:
        if name == ("configmaps", FILE):
            old, new = self.last_read, readable(after)
            self.last_read = new or old
            if before is not None and new is not None:
                self._file(old, new, ours)
        elif name == ("configmaps", RECORD):
            self._record(before, after, ours)
        elif name[0] == "rollouts":
            self._rollout(before, after, ours)

    def asked_for(self, rollout: Json) -> None:
        """A person asks for this candidate: an undo that was made before does not keep it away."""
        version = rollout["spec"]["candidate"].get("version")
        record = self.record()
        model = record.served[version].model if record and version in record.served else ""
        self.left.discard(model or rollout["spec"]["candidate"].get("model", {}).get("repo", ""))

    def record(self) -> Record | None:
        item = self.objects.get(("configmaps", RECORD))
        return Record.from_data(item["data"]) if item else None

    def _rollout_of(self, uid: str) -> Json | None:
        return next(
            (o for n, o in self.objects.items() if n[0] == "rollouts" and o["metadata"]["uid"] == uid), None
        )

    def _file(self, before: AgentEntry, after: AgentEntry, ours: bool) -> None:
        old, new = before.routing, after.routing
        if not ours:
            if old and (new is None or new.salt != old.salt or weight_of(new) < weight_of(old)):
                self.lowered.add(old.salt)
            if new and new.rollout.state == "Progressing" and weight_of(new) >= weight_of(old) and new != old:
                self.lowered.discard(new.salt)
            direct = new is not None and new != old and new.rollout.undo is not None
            record = self.record()
            unseen = record is not None and unrecorded_mark(record, old) is not None and new != old
            if (before.stable != after.stable or unseen) and not direct:
                # A mark that is overwritten before the operator saw it cannot be told from an edit of the keys.
                self.stable_edited = True
            self.last_edit_was_foreign = new is not None
            if direct:
                self._left(before, after)
            return
        self.last_edit_was_foreign = False
        record = self.record()
        if record is not None and unrecorded_mark(record, old) is not None:
            raise Violated(f"UNDO_MARK_OVERWRITTEN {old}")
        if new is not None and new.rollout.undo is not None:
            if record is None or record.undo is None:
                raise Violated(f"UNDO_WITHOUT_ACCEPTANCE {new}")
            self._left(before, after)
        if (
            self.now is not None
            and old is not None
            and new is not None
            and old.canary_until is not None
            and (new.salt, new.rollout.state) == (old.salt, "Progressing")
            and self.now() >= instant(old.canary_until)
        ):
            raise Violated(f"RENEWED_AFTER_EXPIRY {old.canary_until} to {new.canary_until}")
        if (
            new is not None
            and weight_of(new) > 0
            and (old is None or old.salt != new.salt or weight_of(new) > weight_of(old))
        ):
            self._raised(new)
        if (
            new is not None
            and new.rollout.state == "Promoted"
            and (
                new.salt in self.lowered
                or new.salt in self.aborted
                or (old is not None and old.salt in self.lowered and weight_of(old) < 100)
            )
        ):
            raise Violated(f"PROMOTE_AFTER_LOWERED {new.salt}")
        if new is not None and new != old:
            self._passed_pauses(new)
        if (
            new is not None
            and new.rollout.state == "Promoted"
            and (old is None or old.rollout != new.rollout)
        ):
            self._moves_sessions(new.salt)
        if new is not None and new.salt == BY_DRIFT:
            self._put_back(record)
        if before.stable != after.stable:
            self._stable_changed(after)
        if new is not None and new.rollout.state == "Aborted":
            self.aborted.add(new.salt)

    def _passed_pauses(self, block: RoutingBlock) -> None:
        """No weight and no promotion behind a pause without a duration that nobody has opened."""
        rollout = self._rollout_of(block.salt)
        if rollout is None or block.rollout.state == "Aborted":
            return
        promote = rollout["spec"].get("promote", {})
        steps = rollout["spec"]["strategy"].get("canary", {}).get("steps", ())
        behind = steps[: block.rollout.step] if block.rollout.state == "Progressing" else steps
        for number, step in enumerate(behind, 1):
            opened = promote.get("full") or number <= promote.get("throughStep", 0)
            if step.get("pause") == {} and not opened:
                raise Violated(f"PASSED_A_CLOSED_PAUSE {number} with {block.rollout}")

    def _moves_sessions(self, uid: str) -> None:
        """Emergency stop 1: at most one write that was already sent gives a candidate sessions after it."""
        agent = self.objects.get(("agentmodels", AGENT_MODEL))
        of_agent = agent is not None and agent["spec"].get("stop")
        if not of_agent and ("configmaps", STOP_CONFIG_MAP) not in self.objects:
            return
        self.raised_after_emergency += 1
        if self.raised_after_emergency > 1:
            raise Violated(f"TWO_RAISES_AFTER_THE_STOP {uid}")

    def _put_back(self, record: Record | None) -> None:
        """Drift 4: counted in the record first, and once for each commit."""
        commit = commit_of(record) if record is not None else ""
        if record is None or record.restored != commit:
            raise Violated(f"PUT_BACK_BEFORE_IT_WAS_COUNTED {commit}")
        if commit in self.put_back:
            raise Violated(f"PUT_BACK_TWICE {commit}")
        self.put_back.add(commit)

    def _left(self, before: AgentEntry, after: AgentEntry) -> None:
        """An undo's write reached the file: what served before, and the canary, are left."""
        served = {before.stable.model if before.stable else ""}
        if before.routing is not None and before.routing.canary is not None and before.routing.weight:
            served.add(before.routing.canary.model)
        to = after.stable.model if after.stable else ""
        self.left = (self.left | {model for model in served if model}) - {to or ""}

    def _raised(self, block: RoutingBlock) -> None:
        uid, record = block.salt, self.record()
        self._moves_sessions(uid)
        if block.canary is not None and block.canary.model in self.left:
            raise Violated(f"RAISES_AN_UNDONE_VERSION {block.canary.model}")
        if record is not None and record.undo is not None:
            self.raised_after_undo += 1
            if self.raised_after_undo > 1:
                raise Violated(f"TWO_RAISES_AFTER_AN_ACCEPTED_UNDO {uid}")
        if uid in self.lowered or uid in self.aborted:
            raise Violated(f"RAISE_AFTER_LOWERED {uid} to {block.weight}")
        if record is None:
            return  # it was deleted; the write of the file cannot depend on that
        if record.active is None or record.active.uid != uid:
            if uid in self.lock_deleted:
                self.lock_deleted.discard(uid)
                return
            raise Violated(f"I12_RAISE_WITHOUT_LOCK {uid}")
        if not self.order or self.order[-1] != uid:
            if uid in self.order:
                raise Violated(f"I12_INTERLEAVED {uid}")
            self.order.append(uid)
        rollout = self._rollout_of(uid)
        latched = rollout is not None and rollout["status"].get("abortReason")
        if rollout is None or stops(rollout) or latched:
            self.raised_after_stop[uid] = self.raised_after_stop.get(uid, 0) + 1
            if self.raised_after_stop[uid] > 1:
                raise Violated(f"I3_TWO_RAISES_AFTER_ABORT {uid}")
        if rollout is not None and identity(rollout) in record.completed:
            raise Violated(f"COMPLETED_ACTS {uid}")

    def _stable_changed(self, after: AgentEntry) -> None:
        record = self.record()
        named = after.stable.model if after.stable else None
        if record is None:
            return
        allowed = {record.stable.model, record.previous.model if record.previous else None}
        allowed.add(record.active.candidate.model if record.active else None)
        allowed.add(record.served[record.undo.to].model if record.undo else None)
        if named in self.left:
            raise Violated(f"SERVES_AN_UNDONE_VERSION {named}")
        if named not in allowed:
            raise Violated(f"I4_STABLE_NOT_ON_RECORD {named}")

    def _record(self, before: Json | None, after: Json | None, ours: bool) -> None:
        if before is None:
            return
        old = Record.from_data(before["data"])
        if after is None and old.active is not None:
            self.lock_deleted.add(old.active.uid)
        if not ours or after is None:
            return
        new = Record.from_data(after["data"])
        if set(old.completed) - set(new.completed):
            raise Violated("COMPLETED_FORGOTTEN")
        if old.active is not None and new.active is not None and old.active.uid != new.active.uid:
            raise Violated("I12_LOCK_TAKEN_OVER")
        if old.active and new.active and old.active.aborting and not new.active.aborting:
            raise Violated("FENCE_REMOVED")
        if new.undo is not None and (old.undo is None or old.undo.by != new.undo.by):
            self.undone, self.raised_after_undo = True, 0
        if old.undo is not None and new.undo is not None and old.active != new.active:
            raise Violated("THE_ACTIVE_ROLLOUT_WROTE_THE_RECORD_OF_AN_UNDO")
        if old.undo is not None and new.undo is None and old.undo.to == new.stable.version:
            stable = self.last_read.stable
            if (stable is None or stable.model != new.stable.model) and not self.stable_edited:
                raise Violated(f"UNDO_COMMITTED_BUT_FILE_DIFFERS record={new.stable.model} file={stable}")
            return
        if old.stable.model == new.stable.model:
            self._released(old, new)
            return
        if old.active is None and old.stable.version in new.undone and new.stable.version in old.served:
            self._adopted(old, new)
            return
        if old.active is None:
            raise Violated("COMMIT_WITHOUT_LOCK")
        if old.active.aborting:
            raise Violated("COMMIT_BEHIND_THE_FENCE")
        if old.active.uid in self.stopped_early:
            raise Violated(f"I3_PROMOTED_AFTER_ABORT {old.active.uid}")
        stable, block = self.last_read.stable, self.last_read.routing
        marked = block is not None and block.rollout.uid == "direct"
        if (stable is None or stable.model != new.stable.model) and not (self.stable_edited or marked):
            raise Violated(f"COMMIT_BUT_FILE_DIFFERS record={new.stable.model} file={stable}")

    def _adopted(self, old: Record, new: Record) -> None:
        """Drift 3: a version that served and that no undo left, as the file names it."""
        if new.stable.version in old.undone:
            raise Violated(f"ADOPTED_AN_UNDONE_VERSION {new.stable.version}")
        if old.undo is not None or old.watch is not None:
            raise Violated("ADOPTED_DURING_AN_UNDO_OR_A_WATCH")

    def _released(self, old: Record, new: Record) -> None:
        block = self.last_read.routing
        if old.active is None or new.active is not None or block is None or self.last_edit_was_foreign:
            return
        if block.salt == old.active.uid and block.weight > 0:
            raise Violated(f"RELEASED_WITH_WEIGHT {block.weight} of {block.salt}")

    def _rollout(self, before: Json | None, after: Json | None, ours: bool) -> None:
        if before is None or after is None or before["metadata"]["uid"] != after["metadata"]["uid"]:
            return
        old, new = before["status"], after["status"]
        if ours:
            if old.get("abortReason") and not new.get("abortReason"):
                raise Violated("LATCH_REMOVED")
            if old.get("promoting") and not new.get("promoting"):
                raise Violated("PROMOTING_REMOVED")
            if old.get("phase") in ENDED and new.get("phase") != old.get("phase"):
                raise Violated(f"END_CHANGED {old.get('phase')} -> {new.get('phase')}")
            if read(Rollout, after).problems:
                raise Violated(f"UNREADABLE_STATUS {read(Rollout, after).problems}")
        elif (
            stops(after) and not stops(before) and not old.get("promoting") and old.get("phase") not in ENDED
        ):
            self.stopped_early.add(after["metadata"]["uid"])


def stops(item: Json) -> bool:
    return bool(item["spec"].get("abort")) or "deletionTimestamp" in item["metadata"]


def identity(item: Json) -> str:
    return identity_digest(kind=item["kind"], name=item["metadata"]["name"], spec=item["spec"])
