"""A rollout's end, read from the record; and what an ended rollout still does."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.rollout import RollbackTimes, RolloutPhase
from modelops.domain.plan import Plan, Step, WriteFinalizers, WriteStatus
from modelops.domain.reasons import RolloutReason as Why
from modelops.domain.rollout.abort import phase_of, reason_named
from modelops.domain.rollout.state import Observed
from modelops.domain.rollout.status import TERMINAL, moved, said

EFFECT_WAIT_SECONDS = 120


def released(seen: Observed) -> tuple[Step, ...]:
    """The finalizer's removal, where it is there."""
    kept = tuple(name for name in seen.rollout.metadata.finalizers if name != FINALIZER)
    return (WriteFinalizers(finalizers=kept),) if kept != seen.rollout.metadata.finalizers else ()


def is_over(seen: Observed) -> Plan | None:
    """Recovery 1: finish deletion; say when the last agent was back on stable."""
    status = seen.rollout.status
    if status.phase not in TERMINAL:
        return None
    steps = released(seen)
    if steps:
        return Plan(steps=steps, requeue_after=0)
    return measure_rollback_effect(seen) or Plan()


def measure_rollback_effect(seen: Observed) -> Plan | None:
    """After a tombstone: how long until the last agent had taken it up."""
    status, reports = seen.rollout.status, seen.reports
    times = status.rollback
    if times is None or times.effect_ms is not None or status.finished_at is None:
        return None
    if (seen.now - status.finished_at).total_seconds() > EFFECT_WAIT_SECONDS:
        return None
    if reports is None or reports.expected == 0 or reports.in_sync < reports.expected:
        return Plan(requeue_after=0.25)
    effect = seen.watched.effect_ms
    if effect is None:
        return None
    changed = status.model_copy(update={"rollback": times.model_copy(update={"effect_ms": effect})})
    return Plan(steps=(WriteStatus(status=changed),))


def adopt_recorded_end(seen: Observed) -> Plan | None:
    """Recovery 2: completed and not active. Ours: say how it ended. Another's: AlreadyCompleted, nothing is done."""
    if seen.record is None:
        return None
    done = seen.record.completed.get(seen.identity)
    if done is None or seen.holds_agent_lock:
        return None
    ours = done.uid == seen.uid
    reason = reason_named(done.outcome)
    phase, message = phase_of(reason), done.message
    if not ours:
        message = (
            f"a Rollout {done.name} with the same spec already ended as {done.outcome}; nothing was done again: "
            f"use a new name to repeat it"
        )
        reason = Why.ALREADY_COMPLETED
    elif reason is Why.PROMOTED and (seen.asked_to_stop or seen.rollout.status.aborting):
        reason, message = Why.ABORT_TOO_LATE, Why.ABORT_TOO_LATE.doc
    weight = 100 if phase is RolloutPhase.SUCCEEDED and done.outcome == Why.PROMOTED.value and ours else 0
    changes: dict[str, Any] = {"weight": weight}
    if ours and seen.rollout.status.intent is not None and phase is not RolloutPhase.SUCCEEDED:
        times = seen.rollout.status.rollback or RollbackTimes()
        changes["rollback"] = times.model_copy(update={"write_ms": seen.watched.write_ms or times.write_ms})
    status = moved(seen, phase, reason, message, **changes)
    steps = said(seen, status, reason, message)
    return Plan(steps=(*steps, *released(seen)), requeue_after=0)
