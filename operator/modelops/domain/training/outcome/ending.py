"""Cancel, deletion, deadline, refusal: protocol "Paid job", step 10. No job keeps running, no cost stays unsettled."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import CancelJob, CloseAttempt, StopDataset, TrainingFact, TrainingPlan
from modelops.domain.training.outcome.conclude import conclude
from modelops.domain.training.outcome.finished_run import drop_finalizer
from modelops.domain.training.outcome.retry import retry_or_conclude
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, wait_for_answer, with_phase
from modelops.ports import AttemptClaim

CLEANUP_TIMEOUT_SECONDS = 3600.0
"""How long a deletion waits for credentials before the finalizer is removed and an Event says what may still bill."""
STOPPING_POLL_SECONDS = 1.0


def end_before_submission(state: State) -> TrainingPlan | None:
    """The attempt has no intent to submit, and can have none once the run has ended.

    A reservation may exist or be under way, so the record is written first: a late reservation then fails. A run with
    spec.estimateOnly reserves nothing, so its end is only in its status, and the same run may be created again.
    """
    run, has_attempts = state.run, bool(state.run.status.attempts)
    if not state.attempt_must_end or run.status.job is not None:
        return None
    message = "cancelled between two attempts" if has_attempts else "cancelled before anything was submitted"
    if state.record is not None and not run.spec.estimate_only:
        return (
            conclude(state, TrainingReason.Cancelled, message)
            if state.stop_is_requested
            else conclude(state, *ending_reason(state))
        )
    status = with_phase(state, TrainingPhase.CANCELLED, TrainingReason.Cancelled, message)
    steps = (StopDataset(), *status_steps(state, status, TrainingReason.Cancelled, message))
    return Plan(steps=steps, requeue_after=0)


def give_up_cleanup(state: State) -> TrainingPlan | None:
    """A deletion without credentials or record for an hour removes the finalizer and says what may still bill."""
    meta, job = state.run.metadata, state.run.status.job
    deleted = meta.deletion_timestamp
    if deleted is None or job is None or FINALIZER not in meta.finalizers:
        return None
    no_record = "the record of the AgentModel is missing" if state.record is None else ""
    obstacle = state.secret_problem or no_record
    if not obstacle or (state.now - deleted).total_seconds() < CLEANUP_TIMEOUT_SECONDS:
        return None
    message = (
        f"LEAK: job {job.id or 'with label ' + job.label} may still run and bill; it could not be stopped: "
        f"{obstacle}. Cancel it by hand."
    )
    return Plan(steps=(Announce(reason="Leaked", message=message, warning=True), *drop_finalizer(state)))


def end_unanswered_submission(state: State) -> TrainingPlan | None:
    """The attempt must end and no job is recorded.

    If a job has claimed the attempt, it is recorded. If not, the attempt is closed; after the settle period its jobs
    are listed, those that run are cancelled, and the attempt is settled.
    """
    job = state.run.status.job
    if job is None or job.id or not state.attempt_must_end:
        return None
    if state.submission is not None and state.submission.job is not None:
        return None
    if no_job_was_created(state, job):
        return retry_or_conclude(state, *ending_reason(state))
    if state.attempt_claim is UNSEEN:
        return Plan(needs=TrainingFact.ATTEMPT_CLAIM)
    if isinstance(state.attempt_claim, Outage):
        return wait_for_answer(state, state.attempt_claim, "the attempt's claim cannot be read")
    if state.attempt_claim is None:
        return Plan(steps=(CloseAttempt(),), requeue_after=0)
    if state.attempt_claim.job:
        return record_claiming_job(state, job, state.attempt_claim.job)
    if not state.submission_is_resolved:
        return Plan(requeue_after=STOPPING_POLL_SECONDS)
    return cancel_duplicate_jobs(state) or retry_or_conclude(state, *ending_reason(state))


def no_job_was_created(state: State, job: JobStatus) -> bool:
    """Whether the attempt's only submission was refused, so that there is nothing to close."""
    refused = state.run.status.ending == TrainingReason.SubmissionRefused.value
    return job.submissions == 1 and (
        refused or (state.submission is not None and state.submission.job is None)
    )


def cancel_duplicate_jobs(state: State) -> TrainingPlan | None:
    """The attempt is closed, or the job that claimed it has ended: cancel every other job of it that still runs.

    If the service does not know the claiming job by its id, and lists it as running, that job is waited for.
    """
    if state.labelled is UNSEEN:
        return Plan(needs=TrainingFact.LABELLED)
    if isinstance(state.labelled, Outage):
        return wait_for_answer(state, state.labelled, "the attempt's jobs cannot be listed")
    running = [item.id for item in state.labelled if not item.ended]
    if not running:
        return None
    winner = state.attempt_claim.job if isinstance(state.attempt_claim, AttemptClaim) else ""
    goes_on = winner in running and state.job is None and not state.attempt_must_end
    cancels = tuple(CancelJob(job=item) for item in running if not (goes_on and item == winner))
    return Plan(
        steps=cancels, requeue_after=state.settings.poll_seconds if goes_on else STOPPING_POLL_SECONDS
    )


def record_claiming_job(state: State, job: JobStatus, winner: str) -> TrainingPlan:
    """Records the job that the claim names, even if the service's list does not have it."""
    status = state.run.status.model_copy(update={"job": job.model_copy(update={"id": winner, "url": ""})})
    return Plan(steps=(WriteStatus(status=status),), requeue_after=0)


def ending_reason(state: State) -> tuple[TrainingReason, str]:
    """Why the operator ended the attempt, for an end that needs no look at a job."""
    run = state.run
    if state.stop_is_requested:
        return TrainingReason.Cancelled, "cancelled before the job trained"
    if run.status.ending == TrainingReason.SubmissionRefused.value:
        refused = state.submission.refused if state.submission else ""
        words = f": {refused}" if refused else "; the run's Events have its message"
        return TrainingReason.SubmissionRefused, f"the service refused the job{words}"
    if run.status.ending == TrainingReason.StuckInScheduling.value:
        return TrainingReason.StuckInScheduling, "the job got no hardware"
    if run.status.ending == TrainingReason.Suspending.value:
        job = run.status.job
        words = f"; job {job.id} was stopped" if job and job.id else " before a job was known"
        return TrainingReason.Suspended, f"suspended by spec.suspend{words}"
    return (
        TrainingReason.DeadlineExceeded,
        f"spec.activeDeadlineSeconds {run.spec.active_deadline_seconds} passed before the job trained",
    )
