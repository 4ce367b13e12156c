"""The candidate as a target of routing: while it is a canary, and as the stable model."""

from __future__ import annotations

from modelops.domain.established import require_established
from modelops.domain.record import Target
from modelops.domain.rollout.state import State
from modelops.domain.versions import release_version


def candidate_target(state: State) -> Target | None:
    """The locked candidate, with its endpoint's address once that is known; None without the agent lock."""
    record, candidate = state.record, state.rollout.status.candidate
    if record is None or record.active is None or not state.holds_agent_lock:
        return None
    target = record.active.candidate
    if candidate is not None and candidate.endpoint_url:
        return target.model_copy(update={"endpoint_url": candidate.endpoint_url})
    return target


def promoted_target(state: State) -> Target | None:
    """The candidate as the stable model: its release candidate version becomes a release."""
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
