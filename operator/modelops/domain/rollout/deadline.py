"""The time limits of a rollout."""

from __future__ import annotations

from datetime import timedelta

from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.endpoint_cost import planned_seconds, reservation_key
from modelops.domain.rollout.state import State


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
    paid_seconds = planned_seconds(state)
    has_reservation = state.record is not None and reservation_key(state) in state.record.reservations
    if has_reservation and state.now >= started + timedelta(seconds=paid_seconds):
        message = (
            f"the endpoint's reservation pays for {paid_seconds} s, which passed at reason {reason}; {end}"
        )
        return latch_abort(state, RolloutReason.DeadlineExceeded, message)
    return None
