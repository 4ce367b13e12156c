"""What an emergency stop means for a Rollout: protocol "Emergency stop", with the numbers of its rules.

1, the live read between an intent and the write of the file, is in `engine/stops.py`, which the executor asks.
"""

from __future__ import annotations

from dataclasses import replace

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.evaluation import discard_evaluation_check
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase

RETRY_SECONDS = 15.0
"""The end of a stop is an event; this is for one that was missed."""


def abort_if_stopped(state: State) -> RolloutPlan | None:
    """2: seen, a stop is an abort of the rollout that has the lock, and latched. 3: lifting it revives nothing."""
    if state.stop is None or not state.holds_agent_lock:
        return None
    return latch_abort(
        state,
        RolloutReason.EmergencyStop,
        f"{state.stop.message}. All sessions of this rollout go back to stable, and it does not begin again: create a "
        "new one after that",
    )


def wait_while_stopped(state: State) -> RolloutPlan | None:
    """2: a rollout that has not had the lock waits, and asks nobody for money meanwhile. An undo came before this."""
    status = state.rollout.status
    if state.stop is None or state.holds_agent_lock:
        return None
    if status.intent is not None or status.started_at is not None:
        return None  # It has lost its lock, and ends.
    message = f"{state.stop.message}. Until then this rollout waits; an undo does not wait"
    plan = wait_in_phase(
        state, RolloutPhase.PENDING, RolloutReason.EmergencyStop, message, after=RETRY_SECONDS
    )
    return replace(plan, steps=(*plan.steps, *discard_evaluation_check(state)))
