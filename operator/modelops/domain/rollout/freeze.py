"""What a freeze window of the AgentModel means for a Rollout: nothing begins, and everything that protects goes on.

A claim, a raise and a promotion do not begin. An intent that is written is finished; going back, an undo, the analysis
and the watch after a promotion go on, and so does the healthy time of a pause. The deadline goes on as well, because
the candidate's endpoint bills meanwhile, and its reservation covers no longer time.
"""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.freeze import Freeze, freeze_at
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.deadline import latest_end
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase

MOST_SECONDS = 300.0
"""Between two looks: windows may be edited, which is an event, and clocks may be set."""
LEAST_SECONDS = 0.1


def freeze_of(state: State) -> Freeze | None:
    """The freeze that holds the rollout now; None where none does, or a person let it go on."""
    if state.rollout.spec.ignore_freeze or state.agent_model is None:
        return None
    return freeze_at(state.agent_model.spec.freeze, state.now)


def message_of(state: State, freeze: Freeze) -> str:
    """Until when, what happens meanwhile, and how a person lets it go on."""
    agent, end = state.rollout.spec.agent_model_ref.name, latest_end(state)
    message = f"AgentModel {agent} is {freeze.message}"
    if end is not None and (freeze.until is None or end <= freeze.until):
        message += (
            f"; the rollout's time ends before, at {end:%Y-%m-%dT%H:%M:%SZ}, and then it goes back to stable"
        )
    return (
        f"{message}. To go on now, set spec.ignoreFreeze of the Rollout to the reason; an undo does not wait"
    )


def seconds_left(state: State, freeze: Freeze) -> float:
    """Until the rollout is decided again."""
    left = (freeze.until - state.now).total_seconds() if freeze.until is not None else MOST_SECONDS
    return min(MOST_SECONDS, max(LEAST_SECONDS, left))


def agent_is_frozen(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """No claim begins inside a freeze window."""
    freeze = freeze_of(state)
    if freeze is None:
        return None
    return wait_in_phase(
        state,
        RolloutPhase.PENDING,
        RolloutReason.Frozen,
        message_of(state, freeze),
        after=seconds_left(state, freeze),
    )
