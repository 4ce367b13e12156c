"""What statuses still have of a lost record's versions: the endpoint of each, and which of them an undo has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain.agentmodel.state import State
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record, Target
from modelops.domain.versions import BASELINE, parse, release_version


@dataclass(frozen=True, kw_only=True)
class VersionEndpoint:
    """The endpoint and the commit of a version; `version` without its release candidate."""

    version: str
    model: str
    name: str
    revision: str


def known_endpoints(state: State) -> Iterator[VersionEndpoint]:
    """The endpoints that the AgentModel's status and the Rollouts' statuses name, each with its version."""
    status = state.agent_model.status
    candidates = (rollout.status.candidate for rollout in state.rollouts.values())
    for found in (status.stable, status.previous, status.canary, *candidates):
        if found is not None and found.endpoint_name:
            yield VersionEndpoint(
                version=released(found.version),
                model=found.model,
                name=found.endpoint_name,
                revision=found.revision,
            )


def with_endpoint(state: State, target: Target) -> Target:
    """The target with the name and the commit of its endpoint, if a status has them.

    Where no status names the version's endpoint, it is the only endpoint of its model that is no other version's.
    """
    known = tuple(known_endpoints(state))
    version = released(target.version)
    found = next((e for e in known if (e.version, e.model) == (version, target.model)), None)
    if found is not None:
        return target.model_copy(update={"endpoint_name": found.name, "revision": found.revision})
    others = {e.name for e in known}
    left = [e for e in state.agent_model.status.endpoints if e.model == target.model and e.name not in others]
    if len(left) != 1:
        return target
    return target.model_copy(update={"endpoint_name": left[0].name, "revision": left[0].revision})


def undone_versions(state: State, record: Record) -> dict[str, str]:
    """The versions that an undo has left, with its time: the promotions of the Rollouts one after another.

    The Rollouts may be deleted. A previous version that is higher than the stable one was left, because a promotion
    to a new version has the highest number in nearly all cases; where it was not, `--to` still goes back to it.
    """
    undone: dict[str, str] = {}
    served, stable = {BASELINE}, BASELINE
    for rollout in promotions(state, record):
        version = released(rollout.status.candidate.version if rollout.status.candidate else "")
        if version in served or rollout.spec.candidate.version == version:
            undone[stable] = (rollout.status.finished_at or state.now).isoformat(timespec="seconds")
        undone.pop(version, None)
        served.add(version)
        stable = version
    previous = record.previous
    if previous is not None and is_higher(previous.version, record.stable.version):
        undone.setdefault(previous.version, state.now.isoformat(timespec="seconds"))
    undone.pop(record.stable.version, None)
    return undone


def promotions(state: State, record: Record) -> list[Rollout]:
    """The Rollouts that were promoted by the record, in the order in which they ended."""
    promoted = [
        rollout
        for identity, rollout in state.rollouts.items()
        if identity in record.completed and record.completed[identity].outcome == RolloutReason.Promoted.value
    ]
    return sorted(promoted, key=lambda rollout: rollout.status.finished_at or state.now)


def is_higher(first: str, second: str) -> bool:
    """Whether the first version is higher; False where a person has written a text that is no version."""
    try:
        return parse(first) > parse(second)
    except ValueError:
        return False


def released(version: str) -> str:
    """The version without its release candidate; as it is where a person has written a text that is no version."""
    try:
        return release_version(version)
    except ValueError:
        return version
