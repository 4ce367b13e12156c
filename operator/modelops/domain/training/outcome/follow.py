"""From a recorded job to a verified model: protocol "Paid job", steps 7 to 9."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from modelops.api.v1alpha1.trainingrun import Progress, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Plan, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import CancelJob, CloseAttempt, TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import output_repository
from modelops.domain.training.outcome.attempts import retry_or_conclude
from modelops.domain.training.outcome.conclude import conclude_trained
from modelops.domain.training.outcome.ending import (
    STOPPING_SECONDS,
    cancel_duplicate_jobs,
    record_claiming_job,
)
from modelops.domain.training.outcome.failures import NOT_PUBLISHED, failure, log_of
from modelops.domain.training.outcome.scheduling import job_is_stuck
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, unanswered, wait, with_phase
from modelops.domain.training.submission.submit import waiting_for_hardware
from modelops.ports import AttemptClaim, Job, ModelInfo

STARTED_SECONDS = 60


def deadline_has_passed(state: State) -> TrainingPlan | None:
    """Latched: a clock that goes back does not take it back."""
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
    """Latched, too: what was stopped for it was stopped by nobody else, whatever is asked meanwhile."""
    status = state.run.status
    if not state.run.spec.suspend or status.job is None or state.stopping:
        return None
    # The job of a first submission is followed although the second was refused.
    followed = status.ending == TrainingReason.SubmissionRefused.value and status.job.id
    if status.ending and not followed:
        return None
    message = "spec.suspend is true; the job is being stopped"
    latched = with_phase(
        state, status.phase, TrainingReason.Suspending, message, ending=TrainingReason.Suspending.value
    )
    return Plan(steps=status_steps(state, latched, TrainingReason.Suspending, message), requeue_after=0)


def switch_to_claiming_job(state: State) -> TrainingPlan | None:
    """Where more than one job may exist, the claim says which one counts before the recorded one has ended.

    Only a second submission can have made a second job, so that nobody else asks the Hub at every look.
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
    """The recorded job has not ended: stop it where that is asked, else say how far it is."""
    if state.job is UNSEEN:
        return Plan(needs=TrainingFact.JOB)
    if isinstance(state.job, Outage):
        return Plan(requeue_after=state.job.retry_after or state.settings.poll_seconds)
    if state.job is None or state.job.ended:
        return None
    # A refused second submission says nothing about the first one's job, which is followed.
    ending = state.run.status.ending
    early = ending if ending != TrainingReason.SubmissionRefused.value else ""
    if early == TrainingReason.StuckInScheduling.value and has_started(state.job):
        return Plan(
            steps=(WriteStatus(status=state.run.status.model_copy(update={"ending": ""})),), requeue_after=0
        )
    if state.stopping or early:
        reason = TrainingReason.Cancelling if state.stopping else TrainingReason.named(early)
        message = f"stopping job {state.job.id}"
        plan = wait(state, state.run.status.phase, reason, message, after=STOPPING_SECONDS)
        stop = CancelJob(job=state.job.id)
        return Plan(steps=(*plan.steps, stop), requeue_after=STOPPING_SECONDS)
    return report_progress(state, state.job)


def has_started(job: Job) -> bool:
    """It got hardware before it was stopped for having none: a cancel would have shown by now."""
    return job.stage == "RUNNING" and job.running_seconds > STARTED_SECONDS


def report_progress(state: State, job: Job) -> TrainingPlan:
    """How far the job is."""
    recorded, after = state.require_job(), state.settings.poll_seconds
    if job.stage != "RUNNING":
        stuck = job_is_stuck(state, job)
        if stuck is not None:
            return stuck
        words = f": {job.message}" if job.message else ""
        message = waiting_for_hardware(job.id, job.stage) + words
        return wait(state, TrainingPhase.SCHEDULING, TrainingReason.JobSubmitted, message, after=after)
    if state.report is UNSEEN:
        return Plan(needs=TrainingFact.REPORT)
    report = state.report if isinstance(state.report, JobReport) else None
    return wait(
        state,
        TrainingPhase.RUNNING,
        TrainingReason.JobRunning,
        f"job {job.id} trains",
        after=after,
        job=recorded.model_copy(update={"stage": job.stage, "url": recorded.url or job.url}),
        progress=progressed(state, report, job),
    )


def progressed(state: State, report: JobReport | None, job: Job) -> Progress | None:
    """The newest progress; it never goes backwards."""
    old = state.run.status.progress
    if report is None or not report.max_steps or (old is not None and report.step <= old.step):
        return old
    loss = report.metrics.get("loss")
    eta = None
    if job.started_at is not None and report.step:
        seconds = (state.now - job.started_at).total_seconds()
        eta = max(0, round(seconds * (report.max_steps - report.step) / report.step / 60))
    return Progress(
        percent=min(100, report.step * 100 // report.max_steps),
        step=report.step,
        max_steps=report.max_steps,
        loss=f"{loss:.4f}" if loss is not None and 0 <= loss < 1e9 else (old.loss if old else None),
        eta_minutes=eta,
        updated_at=state.now.replace(microsecond=0),
    )


def ensure_attempt_closed(state: State) -> TrainingPlan | None:
    """The recorded job ended: who claimed the attempt decides, and nothing else of it may run."""
    recorded = state.require_job()
    if state.attempt_claim is UNSEEN:
        return Plan(needs=TrainingFact.ATTEMPT_CLAIM)
    if isinstance(state.attempt_claim, Outage):
        return unanswered(state, state.attempt_claim, f"job {recorded.id} ended; its claim cannot be read")
    if state.attempt_claim is None:
        return Plan(steps=(CloseAttempt(),), requeue_after=0)
    if state.attempt_claim.job and state.attempt_claim.job != recorded.id:
        return record_claiming_job(state, recorded, state.attempt_claim.job)
    return cancel_duplicate_jobs(state)


def outcome(state: State) -> TrainingPlan:
    """The attempt is over and nothing of it runs: verify, or say why there is no model.

    A job that was lost, stopped or ran out of time may have published its model before.
    """
    recorded = state.require_job()
    job = state.job if isinstance(state.job, Job) else None
    won = isinstance(state.attempt_claim, AttemptClaim) and state.attempt_claim.job == recorded.id
    if won and (job is None or job.stage == "COMPLETED"):
        return verified(state, job)
    if state.report is UNSEEN:
        return Plan(needs=TrainingFact.REPORT)
    why, message = failure(state, job, state.report if isinstance(state.report, JobReport) else None)
    if won and why not in NOT_PUBLISHED:
        for fact, need in ((state.result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
            if fact is UNSEEN:
                return Plan(needs=need)
            if isinstance(fact, Outage) and not fact.refused and not state.stopping:
                return unanswered(
                    state, fact, f"job {recorded.id} ended; whether it published cannot be read"
                )
        if published_model(state) is not None:
            return verified(state, job)
    return retry_or_conclude(state, why, message)


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """The model on the Hub that a job of this run published."""

    revision: str
    lineage: dict[str, Any]
    """The content of its `modelops.json`."""


def published_model(state: State) -> PublishedModel | None:
    """The model, where its `modelops.json` names this run."""
    lineage = state.lineage if isinstance(state.lineage, dict) else {}
    if not isinstance(state.result, ModelInfo) or lineage.get("run") != state.uid:
        return None
    return PublishedModel(revision=state.result.revision, lineage=lineage)


def verified(state: State, job: Job | None) -> TrainingPlan:
    """COMPLETED only means exit 0: the model must be on the Hub, made by this run."""
    for fact, need in ((state.result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
        if fact is UNSEEN:
            return Plan(needs=need)
        if isinstance(fact, Outage):
            # An answer that is a no is waited for only as long as the run may take.
            if fact.refused and (state.stopping or state.run.status.ending):
                unread = f"the model could not be verified: {fact.message}"
                return retry_or_conclude(state, TrainingReason.WeightsMissing, unread)
            return unanswered(state, fact, "the model cannot be verified")
    recorded, repo = state.require_job(), output_repository(state)
    published = published_model(state)
    if published is not None:
        if state.report is UNSEEN:
            return Plan(needs=TrainingFact.REPORT)  # For its pace; an end does not depend on it.
        message = f"{repo} is on the Hub and in the registry"
        return conclude_trained(state, message, revision=published.revision, trained_as=published.lineage)
    if job is None:
        return retry_or_conclude(state, *failure(state, None, None))
    settle = state.settings.settle_seconds
    since = (state.now - job.finished_at).total_seconds() if job.finished_at else settle
    if since < settle:
        message = f"job {job.id} ended well; its model is not visible in {repo} yet"
        return wait(state, TrainingPhase.VERIFYING, TrainingReason.Verifying, message, after=STOPPING_SECONDS)
    log = log_of(job, recorded.url)
    message = f"job {job.id} ended well but {repo} holds no model of this run; its log: {log}"
    return retry_or_conclude(state, TrainingReason.WeightsMissing, message)
