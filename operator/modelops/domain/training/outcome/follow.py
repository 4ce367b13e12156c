"""From a recorded job to its end: protocol "Paid job", steps 7 and 8."""

from __future__ import annotations

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
    if isinstance(state.job, Outage) and state.job.token_refused:
        message = f"the job goes on, and its progress is not known: {state.job.message}"
        return wait_in_phase(
            state,
            state.run.status.phase,
            TrainingReason.TokenRefused,
            message,
            after=state.settings.poll_seconds,
        )
    if isinstance(state.job, Outage):
        return Plan(requeue_after=state.job.retry_after or state.settings.poll_seconds)
    if state.job is None or state.job.ended:
        return None
    # A refused second submission says nothing about the job of the first, which is followed.
    ending = state.run.status.ending
    ending_early = ending if ending != TrainingReason.SubmissionRefused.value else ""
    if ending_early == TrainingReason.StuckInScheduling.value and has_started(state.job):
        return Plan(
            steps=(WriteStatus(status=state.run.status.model_copy(update={"ending": ""})),), requeue_after=0
        )
    if state.stop_is_requested or ending_early:
        reason = TrainingReason.Cancelling if state.stop_is_requested else TrainingReason.named(ending_early)
        message = f"stopping job {state.job.id}"
        plan = wait_in_phase(state, state.run.status.phase, reason, message, after=STOPPING_POLL_SECONDS)
        stop = CancelJob(job=state.job.id)
        return Plan(steps=(*plan.steps, stop), requeue_after=STOPPING_POLL_SECONDS)
    return report_progress(state, state.job)


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
