"""How a TrainingRun's status is changed: phase, reason and conditions always together."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import with_condition
from modelops.domain.plan import Announce, Plan, Step, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.observed import Observed

TERMINAL = frozenset({TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED})


def moved(
    seen: Observed,
    phase: TrainingPhase,
    reason: TrainingReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> TrainingRunStatus:
    """The status in this phase for this reason. `facts`: further conditions to set with the same words."""
    old = seen.run.status
    generation = seen.run.metadata.generation
    ready = phase is TrainingPhase.SUCCEEDED
    terminal = phase in TERMINAL
    conditions = old.conditions

    def put(kind: str, status: ConditionStatus | bool) -> None:
        nonlocal conditions
        conditions = with_condition(
            conditions,
            kind,
            status,
            reason=reason.value,
            message=message,
            generation=generation,
            now=seen.now,
        )

    put("Ready", ready)
    for kind, holds in (facts or {}).items():
        put(kind, holds)
    put("Complete", terminal)
    put("Succeeded", ready if terminal else ConditionStatus.UNKNOWN)
    moment = seen.now.replace(microsecond=0)
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "reason": reason.value,
            "started_at": old.started_at or moment,
            "finished_at": (old.finished_at or moment) if terminal else None,
            "conditions": conditions,
            **changes,
        }
    )


def wait(
    seen: Observed,
    phase: TrainingPhase,
    reason: TrainingReason,
    message: str,
    *,
    after: float | None,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> Plan:
    """Say why nothing goes on (written only where it is new), and look again after so many seconds."""
    status = moved(seen, phase, reason, message, facts=facts, **changes)
    return Plan(steps=said(seen, status, reason, message), requeue_after=after)


def said(seen: Observed, status: TrainingRunStatus, reason: TrainingReason, message: str) -> tuple[Step, ...]:
    """The status write, with an Event where the reason or phase is new."""
    if status == seen.run.status:
        return ()
    old = seen.run.status
    if (old.reason, old.phase) == (status.reason, status.phase):
        return (WriteStatus(status=status),)
    warning = status.phase is TrainingPhase.FAILED
    return (WriteStatus(status=status), Announce(reason=reason.value, message=message, warning=warning))


def failed(
    seen: Observed,
    reason: TrainingReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> Plan:
    """The run ends without success; nothing of it is under way."""
    status = moved(seen, TrainingPhase.FAILED, reason, message, facts=facts, **changes)
    return Plan(steps=said(seen, status, reason, message), requeue_after=0)
