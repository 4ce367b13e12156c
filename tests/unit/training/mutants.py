"""Wrong decisions: each one breaks one rule about the order of the protocol's steps, and a test must notice it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.api.v1alpha1.trainingrun import TrainingRunStatus
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import CancelJob, SubmitJob, TrainingFact
from modelops.domain.training.decide import decide
from modelops.domain.training.outcome.finished_run import adopt_recorded_end
from modelops.domain.training.state import State
from modelops.ports import AttemptClaim


def status_before_record(state: State) -> Plan:
    """Writes the end of the run into the status before the record."""
    plan = decide(state)
    writes = [step for step in plan.steps if isinstance(step, WriteRecord)]
    if len(plan.steps) == 1 and writes and state.identity in writes[0].record.completed:
        told = adopt_recorded_end(replace(state, record=writes[0].record))
        assert told is not None
        return Plan(steps=(*(s for s in told.steps if isinstance(s, WriteStatus)), *writes), requeue_after=0)
    return plan


def post_without_settle(state: State) -> Plan:
    """Lists jobs at once after a restart or a lost answer."""
    return decide(replace(state, settle_period_passed=True))


def cancel_before_claim(state: State) -> Plan:
    """Cancels supposed duplicates before a job has claimed the attempt."""
    job = state.run.status.job
    if job is not None and job.id and not state.run.status.finished_at:
        if state.labelled is UNSEEN:
            return Plan(needs=TrainingFact.LABELLED)
        others = () if isinstance(state.labelled, Outage) else state.labelled
        wrong = [item for item in others if item.id != job.id and not item.ended]
        if wrong:
            return Plan(steps=(CancelJob(job=wrong[0].id),), requeue_after=1.0)
    return decide(state)


def settle_without_close(state: State) -> Plan:
    """Treats an attempt without a claim as closed."""
    return decide(
        replace(state, attempt_claim=AttemptClaim(closed=True)) if state.attempt_claim is None else state
    )


def intent_without_reservation(state: State) -> Plan:
    """Submits a job without a reservation."""
    plan = decide(state)
    posts = any(isinstance(step, SubmitJob) for step in plan.steps)
    kept = tuple(step for step in plan.steps if not (posts and isinstance(step, WriteRecord)))
    return replace(plan, steps=kept)


def post_without_intent(state: State) -> Plan:
    """Submits the job before its intent is written."""
    plan = decide(state)
    posts = tuple(step for step in plan.steps if isinstance(step, SubmitJob))
    first = tuple(step for step in plan.steps if isinstance(step, WriteRecord))
    rest = tuple(step for step in plan.steps if step not in posts and step not in first)
    return replace(plan, steps=(*first, *posts, *rest)) if posts else plan


def any_approval_counts(state: State) -> Plan:
    """Accepts an approval of any offer."""
    run, asked = state.run, state.run.status.approval_digest
    if run.spec.approval is None or not asked:
        return decide(state)
    approval = run.spec.approval.model_copy(update={"digest": asked})
    spec = run.spec.model_copy(update={"approval": approval})
    return decide(replace(state, run=run.model_copy(update={"spec": spec})))


def retry_without_settling(state: State) -> Plan:
    """Starts the next attempt without settling the last one."""
    plan = decide(state)
    goes_on = any(
        isinstance(step, WriteStatus)
        and isinstance(step.status, TrainingRunStatus)
        and len(step.status.attempts) > len(state.run.status.attempts)
        for step in plan.steps
    )
    kept = tuple(step for step in plan.steps if not (goes_on and isinstance(step, WriteRecord)))
    return replace(plan, steps=kept)


def suspend_without_latch(state: State) -> Plan:
    """Stops the job of a suspended run before the reason is written into the status."""
    plan, job = decide(state), state.run.status.job
    latches = any(
        isinstance(step, WriteStatus)
        and isinstance(step.status, TrainingRunStatus)
        and step.status.ending == TrainingReason.Suspending.value != state.run.status.ending
        for step in plan.steps
    )
    if latches and job is not None and job.id:
        return Plan(steps=(CancelJob(job=job.id),), requeue_after=1.0)
    return plan


MUTANTS: tuple[Callable[[State], Plan], ...] = (
    status_before_record,
    post_without_settle,
    cancel_before_claim,
    settle_without_close,
    intent_without_reservation,
    post_without_intent,
    any_approval_counts,
    retry_without_settling,
    suspend_without_latch,
)
