"""The candidate as a target: while it is a canary, and as the stable model that it becomes."""

from __future__ import annotations

from modelops.domain.established import require_established
from modelops.domain.record import Target
from modelops.domain.rollout.state import State
from modelops.domain.versions import release_version


def candidate_target(state: State) -> Target | None:
    """What the claim names, with the address that its endpoint has."""
    record, found = state.record, state.rollout.status.candidate
    if record is None or record.active is None or not state.holds_agent_lock:
        return None
    target = record.active.candidate
    if found is not None and found.endpoint_url:
        return target.model_copy(update={"endpoint_url": found.endpoint_url})
    return target


def promoted_target(state: State) -> Target | None:
    """The same as stable: a release candidate becomes a release."""
    target = candidate_target(state)
    if target is None:
        return None
    return target.model_copy(
        update={"version": release_version(target.version), "since": state.now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    )


def require_candidate_target(state: State) -> Target:
    """The candidate's target, for the steps after `ensure_agent_locked`."""
    return require_established(candidate_target(state), "the candidate's target")


def require_promoted_target(state: State) -> Target:
    """The candidate as stable, for the steps after `ensure_agent_locked`."""
    return require_established(promoted_target(state), "the candidate's target as stable")
