"""The time limits of a rollout."""

from __future__ import annotations

from datetime import datetime, timedelta

from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.endpoint_cost import paid_seconds, reservation_of
from modelops.domain.rollout.state import State


def latest_end(state: State) -> datetime | None:
    """When `enforce_deadline` ends the rollout; None before it has the lock."""
    started, seconds = state.rollout.status.started_at, state.rollout.spec.progress_deadline_seconds
    if started is None:
        return None
    if has_reservation(state):
        seconds = min(seconds, paid_seconds(state))
    return started + timedelta(seconds=seconds)


def has_reservation(state: State) -> bool:
    """Whether the rollout pays for an endpoint that it started."""
    reservation = reservation_of(state)
    return reservation is not None and reservation.pays_for_endpoint


def enforce_deadline(state: State) -> RolloutPlan | None:
    """Aborts at the rollout's deadline, and when the time ends that the endpoint's reservation pays for."""
    started = state.rollout.status.started_at
    if started is None:
        return None
    reason, end = state.rollout.status.reason, "all sessions go back to stable"
    seconds = state.rollout.spec.progress_deadline_seconds
    if state.now >= started + timedelta(seconds=seconds):
        message = f"spec.progressDeadlineSeconds {seconds} passed at reason {reason}; {end}"
        return latch_abort(state, RolloutReason.DeadlineExceeded, message)
    paid = paid_seconds(state)
    if has_reservation(state) and state.now >= started + timedelta(seconds=paid):
        message = f"the endpoint's reservation pays for {paid} s, which passed at reason {reason}; {end}"
        return latch_abort(state, RolloutReason.DeadlineExceeded, message)
    return None
