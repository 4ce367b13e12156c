"""The end of a rollout, which is read from the record, and what remains to do after it."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.rollout import RollbackTimes, RolloutPhase
from modelops.domain.conditions import with_condition
from modelops.domain.kstatus import outlook_before_end, with_kstatus
from modelops.domain.plan import Plan, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.finalizer import drop_finalizer
from modelops.domain.rollout.outcome import parse_reason, phase_of
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import TERMINAL, status_steps, with_phase
from modelops.domain.rollout.undo import candidate_status
from modelops.domain.versions import release_version

EFFECT_WAIT_SECONDS = 120


def finish_ended_rollout(state: State) -> RolloutPlan | None:
    """Recovery 1: removes the finalizer, says when another version serves, and measures when agents were back."""
    status = state.rollout.status
    if status.phase not in TERMINAL:
        return None
    steps = drop_finalizer(state)
    if steps:
        return Plan(steps=steps, requeue_after=0)
    return report_replaced_version(state) or measure_rollback_effect(state) or Plan()


def report_replaced_version(state: State) -> RolloutPlan | None:
    """Promote 4: a rollout that ended keeps no weight and no Ready when another version serves."""
    status, record = state.rollout.status, state.record
    if status.weight == 0 or status.candidate is None or record is None:
        return None
    promoted, serves = release_version(status.candidate.version), record.stable.version
    if status.phase is not RolloutPhase.SUCCEEDED or promoted == serves:
        return None
    conditions = with_condition(
        status.conditions,
        "Ready",
        False,
        reason=RolloutReason.AnotherVersionServes.value,
        message=f"{promoted} was promoted, and {serves} serves now",
        generation=state.rollout.metadata.generation,
        now=state.now,
    )
    conditions = with_kstatus(
        conditions,
        outlook_before_end(RolloutReason.AnotherVersionServes),
        generation=state.rollout.metadata.generation,
        now=state.now,
    )
    changed = status.model_copy(update={"weight": 0, "conditions": conditions})
    return Plan(steps=(WriteStatus(status=changed),), requeue_after=0)


def measure_rollback_effect(state: State) -> RolloutPlan | None:
    """After a tombstone: the time until the last agent had confirmed it."""
    status, reports = state.rollout.status, state.reports
    times = status.rollback
    if times is None or times.effect_milliseconds is not None or status.finished_at is None:
        return None
    if (state.now - status.finished_at).total_seconds() > EFFECT_WAIT_SECONDS:
        return None
    if reports is None or reports.expected == 0 or reports.in_sync < reports.expected:
        return Plan(requeue_after=0.25)
    effect = state.measurements.effect_ms
    if effect is None:
        return None
    changed = status.model_copy(update={"rollback": times.model_copy(update={"effect_milliseconds": effect})})
    return Plan(steps=(WriteStatus(status=changed),))


def adopt_recorded_end(state: State) -> RolloutPlan | None:
    """Recovery 2: the record has this name and spec in `completed`, and this rollout does not have the lock.

    If the entry is this rollout's, the status says how it ended. If it is that of an earlier Rollout with the same name
    and spec, the reason is AlreadyCompleted.
    """
    if state.record is None:
        return None
    done = state.record.completed.get(state.identity)
    if done is None or state.holds_agent_lock:
        return None
    ours = done.uid == state.uid
    reason = parse_reason(done.outcome)
    phase, message = phase_of(reason), done.message
    if not ours:
        message = (
            f"Rollout {done.name} with the same spec already ended as {done.outcome}, so this one does nothing: "
            "use a new name to repeat it"
        )
        reason = RolloutReason.AlreadyCompleted
        serves = state.record.stable.version
        asked = state.rollout.spec.candidate.version
        went_back = done.outcome in (RolloutReason.Promoted.value, RolloutReason.AlreadyServes.value)
        if asked is not None and went_back and serves != asked:
            phase = RolloutPhase.FAILED
            message = (
                f"Rollout {done.name} with the same spec already went back to {asked}, and {serves} serves now, so "
                "this one does nothing: use a new name to go back again"
            )
    elif reason is RolloutReason.Promoted and (state.abort_is_requested or state.rollout.status.abort_reason):
        reason, message = RolloutReason.AbortTooLate, RolloutReason.AbortTooLate.doc
    weight = (
        100
        if phase is RolloutPhase.SUCCEEDED and done.outcome == RolloutReason.Promoted.value and ours
        else 0
    )
    changes: dict[str, Any] = {"weight": weight}
    went_to = state.record.served.get(done.version)
    if ours and state.rollout.status.candidate is None and went_to is not None:
        changes["candidate"] = candidate_status(went_to)
    if ours and state.rollout.status.intent is not None and phase is not RolloutPhase.SUCCEEDED:
        times = state.rollout.status.rollback or RollbackTimes()
        changes["rollback"] = times.model_copy(
            update={"write_milliseconds": state.measurements.write_ms or times.write_milliseconds}
        )
    status = with_phase(state, phase, reason, message, **changes)
    steps = status_steps(state, status, reason, message)
    return Plan(steps=(*steps, *drop_finalizer(state)), requeue_after=0)
