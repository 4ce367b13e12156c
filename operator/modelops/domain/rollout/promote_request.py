"""What a person has opened with `spec.promote`: protocol "Steps, promote, approvals", 2 and 3.

It is judged when the next intent is decided, after abort, deletion, latch, fence, breach and Recovery 4 to 7, and never
asked again for an intent that is written. It opens pauses and nothing else: agents that have not confirmed the weight,
a canary that is not reached, both tracks that are ill, and an approval that is missing hold it as they hold any step.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelops.api.v1alpha1.rollout import CanaryStep
from modelops.domain.rollout.state import State


def is_opened(state: State, number: int) -> bool:
    """Whether a person has opened the step of this number, from 1: its pause or analysis is not waited for."""
    promote = state.rollout.spec.promote
    if promote is None:
        return False
    return promote.full or (promote.through_step is not None and number <= promote.through_step)


def promotes_at_once(state: State) -> bool:
    """Whether the promotion is the next step, whatever steps are left: `full`, from the first weight on.

    At weight 0 no session has been on the canary, so the first weight comes before.
    """
    promote, intent = state.rollout.spec.promote, state.rollout.status.intent
    return promote is not None and promote.full and intent is not None and intent.weight > 0


def following(state: State, steps: Sequence[CanaryStep]) -> int:
    """How many steps are behind the rollout when it goes on: the opened ones that follow are passed without a write.

    The number of all steps means that the promotion is next.
    """
    position = state.rollout.status.step
    if promotes_at_once(state):
        return len(steps)
    while position < len(steps) and steps[position].set_weight is None and is_opened(state, position + 1):
        position += 1
    return position


def promotion_is_next(state: State) -> bool:
    """Whether the rollout promotes next, if nothing holds it at its present step."""
    canary = state.rollout.spec.strategy.canary
    steps = canary.steps if canary else ()
    return following(state, steps) >= len(steps)
