"""How a Rollout's status is changed: phase, reason and conditions always together."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.domain.conditions import with_conditions
from modelops.domain.plan import Announce, Plan, Step, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.state import Observed

TERMINAL = frozenset(
    {RolloutPhase.SUCCEEDED, RolloutPhase.REJECTED, RolloutPhase.ABORTED, RolloutPhase.FAILED}
)


def moved(
    seen: Observed,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> RolloutStatus:
    """The status in this phase for this reason. `facts`: further conditions to set with the same words."""
    old = seen.rollout.status
    generation = seen.rollout.metadata.generation
    terminal = phase in TERMINAL
    ready = phase is RolloutPhase.SUCCEEDED
    succeeded = ready if terminal else ConditionStatus.UNKNOWN
    conditions = with_conditions(
        old.conditions,
        {"Ready": ready, **(facts or {}), "Complete": terminal, "Succeeded": succeeded},
        reason=reason.value,
        message=message,
        generation=generation,
        now=seen.now,
    )
    moment = seen.now.replace(microsecond=0)
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


def said(seen: Observed, status: RolloutStatus, reason: RolloutReason, message: str) -> tuple[Step, ...]:
    """The status write, with an Event where the reason, the phase or the step is new."""
    if status == seen.rollout.status:
        return ()
    old = seen.rollout.status
    if (old.reason, old.phase, old.step) == (status.reason, status.phase, status.step):
        return (WriteStatus(status=status),)
    warning = status.phase in {RolloutPhase.FAILED, RolloutPhase.ABORTED, RolloutPhase.REJECTED}
    return (WriteStatus(status=status), Announce(reason=reason.value, message=message, warning=warning))


def wait(
    seen: Observed,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    after: float | None,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> Plan:
    """Say why nothing goes on (written only where it is new), and look again after so many seconds."""
    status = moved(seen, phase, reason, message, facts=facts, **changes)
    return Plan(steps=said(seen, status, reason, message), requeue_after=after)
