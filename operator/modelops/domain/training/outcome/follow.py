"""From a recorded job to its end: protocol "Paid job", steps 7 and 8."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import CancelJob, CloseAttempt, TrainingFact, TrainingPlan
from modelops.domain.training.outcome.ending import (
    STOPPING_POLL_SECONDS,
    cancel_duplicate_jobs,
    record_claiming_job,
)
from modelops.domain.training.outcome.progress import has_started, report_progress
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, wait_for_answer, wait_in_phase, with_phase
from modelops.ports import AttemptClaim


def enforce_deadline(state: State) -> TrainingPlan | None:
    """Begins the end of a run whose deadline has passed. status.ending keeps that, even if the clock goes back."""
    status, seconds = state.run.status, state.run.spec.active_deadline_seconds
    since = status.active_since or (status.job.intended_at if status.job else None)
    if status.ending == TrainingReason.DeadlineExceeded.value or since is None:
        return None
    if state.now < since + timedelta(seconds=seconds):
        return None
    message = f"spec.activeDeadlineSeconds {seconds} passed; the run is being ended"
    ended = with_phase(
        state,
        status.phase,
        TrainingReason.DeadlineExceeded,
        message,
        ending=TrainingReason.DeadlineExceeded.value,
    )
    return Plan(steps=status_steps(state, ended, TrainingReason.DeadlineExceeded, message), requeue_after=0)


def begin_suspension(state: State) -> TrainingPlan | None:
    """Begins to stop the job of a suspended run.

    status.ending is written first, so that the job's end counts as a suspension even if spec.suspend changes meanwhile.
    """
    status = state.run.status
    if not state.run.spec.suspend or status.job is None or state.stop_is_requested:
        return None
    # The job of the first submission is followed although the second one was refused.
    first_job_is_followed = status.ending == TrainingReason.SubmissionRefused.value and status.job.id
    if status.ending and not first_job_is_followed:
        return None
    message = "spec.suspend is true; the job is being stopped"
    latched = with_phase(
        state, status.phase, TrainingReason.Suspending, message, ending=TrainingReason.Suspending.value
    )
    return Plan(steps=status_steps(state, latched, TrainingReason.Suspending, message), requeue_after=0)


def switch_to_claiming_job(state: State) -> TrainingPlan | None:
    """If two jobs may exist, the claim on the Hub says which one counts, even before the recorded one has ended.

    Only a second submission can have made a second job: after a single one, the Hub is not asked at each reconcile.
    """
    job = state.require_job()
    if job.submissions < 2:
        return None
    if state.attempt_claim is UNSEEN:
        return Plan(needs=TrainingFact.ATTEMPT_CLAIM)
    if (
        isinstance(state.attempt_claim, AttemptClaim)
        and state.attempt_claim.job
        and state.attempt_claim.job != job.id
    ):
        return record_claiming_job(state, job, state.attempt_claim.job)
    return None


def follow_active_job(state: State) -> TrainingPlan | None:
    """The recorded job has not ended: stop it if the attempt must end, else report its progress."""
    if state.job is UNSEEN:
        return Plan(needs=TrainingFact.JOB)
    if isinstance(state.job, Outage):
        return wait_for_job(state, state.job)
    if state.job is None or state.job.ended:
        return None
    if job_is_being_replaced(state) and has_started(state.job):
        return Plan(
            steps=(WriteStatus(status=state.run.status.model_copy(update={"ending": ""})),), requeue_after=0
        )
    return (
        stop_job(state, state.job.id) if state.operator_ended_attempt else report_progress(state, state.job)
    )


def wait_for_job(state: State, outage: Outage) -> TrainingPlan:
    """The recorded job cannot be read. If the attempt must end, it is cancelled all the same: its id is enough.

    Not so a job that is replaced because it gets no hardware: it may have started.
    """
    recorded = state.require_job().id
    must_stop = state.operator_ended_attempt and not job_is_being_replaced(state)
    after = outage.retry_after or state.settings.poll_seconds
    if not outage.token_refused:
        return (
            replace(stop_job(state, recorded), requeue_after=after)
            if must_stop
            else Plan(requeue_after=after)
        )
    doing = f"job {recorded} is to be stopped" if must_stop else "the job goes on"
    plan = wait_in_phase(
        state,
        state.run.status.phase,
        TrainingReason.TokenRefused,
        f"{doing}, and its progress is not known: {outage.message}",
        after=after,
    )
    return replace(plan, steps=(*plan.steps, CancelJob(job=recorded))) if must_stop else plan


def job_is_being_replaced(state: State) -> bool:
    """Whether the job is stopped because it got no hardware, and for no other cause."""
    return not state.stop_is_requested and state.run.status.ending == TrainingReason.StuckInScheduling.value


def stop_job(state: State, job: str) -> TrainingPlan:
    """Cancels the job with this id, because the attempt must end."""
    ending = state.run.status.ending
    reason = TrainingReason.Cancelling if state.stop_is_requested else TrainingReason.named(ending)
    plan = wait_in_phase(
        state, state.run.status.phase, reason, f"stopping job {job}", after=STOPPING_POLL_SECONDS
    )
    return Plan(steps=(*plan.steps, CancelJob(job=job)), requeue_after=STOPPING_POLL_SECONDS)


def ensure_attempt_closed(state: State) -> TrainingPlan | None:
    """The recorded job ended: the claim decides which job counts, and every other job of the attempt is stopped."""
    recorded = state.require_job()
    if state.attempt_claim is UNSEEN:
        return Plan(needs=TrainingFact.ATTEMPT_CLAIM)
    if isinstance(state.attempt_claim, Outage):
        return wait_for_answer(
            state, state.attempt_claim, f"job {recorded.id} ended; its claim cannot be read"
        )
    if state.attempt_claim is None:
        return Plan(steps=(CloseAttempt(),), requeue_after=0)
    if state.attempt_claim.job and state.attempt_claim.job != recorded.id:
        return record_claiming_job(state, recorded, state.attempt_claim.job)
    return cancel_duplicate_jobs(state)
