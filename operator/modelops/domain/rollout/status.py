"""The status of a Rollout: phase, reason and conditions always change together."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.domain.conditions import with_conditions
from modelops.domain.plan import Announce, Plan, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import RolloutPlan, RolloutStep
from modelops.domain.rollout.state import State

TERMINAL = frozenset(
    {RolloutPhase.SUCCEEDED, RolloutPhase.REJECTED, RolloutPhase.ABORTED, RolloutPhase.FAILED}
)


def with_phase(
    state: State,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> RolloutStatus:
    """The status in this phase for this reason. `facts` are further conditions, with the same reason and message."""
    old = state.rollout.status
    generation = state.rollout.metadata.generation
    terminal = phase in TERMINAL
    ready = phase is RolloutPhase.SUCCEEDED
    succeeded = ready if terminal else ConditionStatus.UNKNOWN
    conditions = with_conditions(
        old.conditions,
        {"Ready": ready, **(facts or {}), "Finished": terminal, "Succeeded": succeeded},
        reason=reason.value,
        message=message,
        generation=generation,
        now=state.now,
    )
    moment = state.now.replace(microsecond=0)
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "reason": reason.value,
            "finished_at": (old.finished_at or moment) if terminal else None,
            "conditions": conditions,
            **changes,
        }
    )


def status_steps(
    state: State, status: RolloutStatus, reason: RolloutReason, message: str
) -> tuple[RolloutStep, ...]:
    """The status write, with an Event where the reason, the phase or the step is new."""
    if status == state.rollout.status:
        return ()
    old = state.rollout.status
    if (old.reason, old.phase, old.step) == (status.reason, status.phase, status.step):
        return (WriteStatus(status=status),)
    warning = status.phase in {RolloutPhase.FAILED, RolloutPhase.ABORTED, RolloutPhase.REJECTED}
    return (WriteStatus(status=status), Announce(reason=reason.value, message=message, warning=warning))


def wait(
    state: State,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    after: float | None,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> RolloutPlan:
    """Says what the rollout waits for, and decides again after these seconds. An unchanged status is not written."""
    status = with_phase(state, phase, reason, message, facts=facts, **changes)
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=after)
