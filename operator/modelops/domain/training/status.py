"""How a TrainingRun's status is changed: phase, reason and conditions always together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import with_conditions
from modelops.domain.facts import Outage
from modelops.domain.plan import Announce, Plan, Step, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.state import Observed

TERMINAL = frozenset({TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED})
RETRY_SECONDS = 15.0
"""Before a question that had no good answer is asked again."""
ANSWER_SECONDS = 5.0
"""The same, where a job's end waits for the answer."""


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


def as_if(seen: Observed, status: TrainingRunStatus) -> Observed:
    """The moment in which the run has this status already: a plan writes both at once."""
    return replace(seen, run=seen.run.model_copy(update={"status": status}))


def failed(
    seen: Observed,
    reason: TrainingReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> Plan:
    """The run ends without success; nothing was submitted."""
    status = moved(seen, TrainingPhase.FAILED, reason, message, facts=facts, **changes)
    return Plan(steps=said(seen, status, reason, message), requeue_after=0)


def hub_is_away(seen: Observed, outage: Outage, about: str) -> Plan:
    """Before anything was spent: `about` is what the Hub was asked about."""
    message = f"the Hub did not answer about {about}: {outage.message}; trying again"
    after = outage.retry_after or RETRY_SECONDS
    return wait(seen, TrainingPhase.PENDING, TrainingReason.HUB_UNAVAILABLE, message, after=after)


def unanswered(seen: Observed, outage: Outage, doing: str) -> Plan:
    """An attempt cannot be ended without this answer: say so, and ask again."""
    message = f"{doing}: {outage.message}; trying again"
    after = outage.retry_after or ANSWER_SECONDS
    return wait(seen, seen.run.status.phase, TrainingReason.HUB_UNAVAILABLE, message, after=after)
