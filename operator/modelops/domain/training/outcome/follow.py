"""From a recorded job to a verified model: protocol "Paid job", steps 7 to 9."""

from __future__ import annotations

from datetime import timedelta

from modelops.api.v1alpha1.trainingrun import Progress, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Do, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason as Why
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
from modelops.domain.training.state import Observed
from modelops.domain.training.status import moved, said, unanswered, wait
from modelops.domain.training.submission.submit import waiting_for_hardware
from modelops.ports import Claim, Job, ModelInfo

STARTED_SECONDS = 60


def deadline_has_passed(seen: Observed) -> Plan | None:
    """Latched: a clock that goes back does not take it back."""
    status, seconds = seen.run.status, seen.run.spec.active_deadline_seconds
    since = status.active_since or (status.job.intended_at if status.job else None)
    if status.ending == Why.DEADLINE_EXCEEDED.value or since is None:
        return None
    if seen.now < since + timedelta(seconds=seconds):
        return None
    message = f"spec.activeDeadlineSeconds {seconds} passed; the run is being ended"
    ended = moved(seen, status.phase, Why.DEADLINE_EXCEEDED, message, ending=Why.DEADLINE_EXCEEDED.value)
    return Plan(steps=said(seen, ended, Why.DEADLINE_EXCEEDED, message), requeue_after=0)


def begin_suspension(seen: Observed) -> Plan | None:
    """Latched, too: what was stopped for it was stopped by nobody else, whatever is asked meanwhile."""
    status = seen.run.status
    if not seen.run.spec.suspend or status.job is None or seen.stopping:
        return None
    # The job of a first submission is followed although the second was refused.
    followed = status.ending == Why.SUBMISSION_REFUSED.value and status.job.id
    if status.ending and not followed:
        return None
    message = "spec.suspend is true; the job is being stopped"
    latched = moved(seen, status.phase, Why.SUSPENDING, message, ending=Why.SUSPENDING.value)
    return Plan(steps=said(seen, latched, Why.SUSPENDING, message), requeue_after=0)


def switch_to_claiming_job(seen: Observed) -> Plan | None:
    """Where more than one job may exist, the claim says which one counts before the recorded one has ended.

    Only a second submission can have made a second job, so that nobody else asks the Hub at every look.
    """
    job = seen.run.status.job
    assert job is not None
    if job.post < 2:
        return None
    if seen.claim is UNSEEN:
        return Plan(needs="claim")
    if isinstance(seen.claim, Claim) and seen.claim.job and seen.claim.job != job.id:
        return record_claiming_job(seen, job, seen.claim.job)
    return None


def follow_active_job(seen: Observed) -> Plan | None:
    """The recorded job has not ended: stop it where that is asked, else say how far it is."""
    if seen.job is UNSEEN:
        return Plan(needs="job")
    if isinstance(seen.job, Outage):
        return Plan(requeue_after=seen.job.retry_after or seen.settings.poll_seconds)
    if seen.job is None or seen.job.ended:
        return None
    # A refused second submission says nothing about the first one's job, which is followed.
    ending = seen.run.status.ending
    early = ending if ending != Why.SUBMISSION_REFUSED.value else ""
    if early == Why.STUCK_IN_SCHEDULING.value and has_started(seen.job):
        return Plan(
            steps=(WriteStatus(status=seen.run.status.model_copy(update={"ending": ""})),), requeue_after=0
        )
    if seen.stopping or early:
        reason = Why.CANCELLING if seen.stopping else Why.named(early)
        message = f"stopping job {seen.job.id}"
        plan = wait(seen, seen.run.status.phase, reason, message, after=STOPPING_SECONDS)
        stop = Do(action="cancel", arguments={"job": seen.job.id})
        return Plan(steps=(*plan.steps, stop), requeue_after=STOPPING_SECONDS)
    return told(seen, seen.job)


def has_started(job: Job) -> bool:
    """It got hardware before it was stopped for having none: a cancel would have shown by now."""
    return job.stage == "RUNNING" and job.running_seconds > STARTED_SECONDS


def told(seen: Observed, job: Job) -> Plan:
    """How far the job is."""
    recorded, after = seen.run.status.job, seen.settings.poll_seconds
    assert recorded is not None
    if job.stage != "RUNNING":
        stuck = job_is_stuck(seen, job)
        if stuck is not None:
            return stuck
        words = f": {job.message}" if job.message else ""
        message = waiting_for_hardware(job.id, job.stage) + words
        return wait(seen, TrainingPhase.SCHEDULING, Why.JOB_SUBMITTED, message, after=after)
    if seen.report is UNSEEN:
        return Plan(needs="report")
    report = seen.report if isinstance(seen.report, JobReport) else None
    return wait(
        seen,
        TrainingPhase.RUNNING,
        Why.JOB_RUNNING,
        f"job {job.id} trains",
        after=after,
        job=recorded.model_copy(update={"stage": job.stage, "url": recorded.url or job.url}),
        progress=progressed(seen, report, job),
    )


def progressed(seen: Observed, report: JobReport | None, job: Job) -> Progress | None:
    """The newest progress; it never goes backwards."""
    old = seen.run.status.progress
    if report is None or not report.max_steps or (old is not None and report.step <= old.step):
        return old
    loss = report.metrics.get("loss")
    eta = None
    if job.started_at is not None and report.step:
        seconds = (seen.now - job.started_at).total_seconds()
        eta = max(0, round(seconds * (report.max_steps - report.step) / report.step / 60))
    return Progress(
        percent=min(100, report.step * 100 // report.max_steps),
        step=report.step,
        max_steps=report.max_steps,
        loss=f"{loss:.4f}" if loss is not None and 0 <= loss < 1e9 else (old.loss if old else None),
        eta_minutes=eta,
        updated_at=seen.now.replace(microsecond=0),
    )


def ensure_attempt_closed(seen: Observed) -> Plan | None:
    """The recorded job ended: who claimed the attempt decides, and nothing else of it may run."""
    recorded = seen.run.status.job
    assert recorded is not None
    if seen.claim is UNSEEN:
        return Plan(needs="claim")
    if isinstance(seen.claim, Outage):
        return unanswered(seen, seen.claim, f"job {recorded.id} ended; its claim cannot be read")
    if seen.claim is None:
        return Plan(steps=(Do(action="close"),), requeue_after=0)
    if seen.claim.job and seen.claim.job != recorded.id:
        return record_claiming_job(seen, recorded, seen.claim.job)
    return cancel_duplicate_jobs(seen)


def outcome(seen: Observed) -> Plan:
    """The attempt is over and nothing of it runs: verify, or say why there is no model.

    A job that was lost, stopped or ran out of time may have published its model before.
    """
    recorded = seen.run.status.job
    assert recorded is not None
    job = seen.job if isinstance(seen.job, Job) else None
    won = isinstance(seen.claim, Claim) and seen.claim.job == recorded.id
    if won and (job is None or job.stage == "COMPLETED"):
        return verified(seen, job)
    if seen.report is UNSEEN:
        return Plan(needs="report")
    why, message = failure(seen, job, seen.report if isinstance(seen.report, JobReport) else None)
    if won and why not in NOT_PUBLISHED:
        for fact, need in ((seen.result, "result"), (seen.lineage, "lineage")):
            if fact is UNSEEN:
                return Plan(needs=need)
            if isinstance(fact, Outage) and not fact.refused and not seen.stopping:
                return unanswered(seen, fact, f"job {recorded.id} ended; whether it published cannot be read")
        if made_by_this_run(seen):
            return verified(seen, job)
    return retry_or_conclude(seen, why, message)


def made_by_this_run(seen: Observed) -> bool:
    made_as = seen.lineage if isinstance(seen.lineage, dict) else {}
    return isinstance(seen.result, ModelInfo) and made_as.get("run") == seen.uid


def verified(seen: Observed, job: Job | None) -> Plan:
    """COMPLETED only means exit 0: the model must be on the Hub, made by this run."""
    for fact, need in ((seen.result, "result"), (seen.lineage, "lineage")):
        if fact is UNSEEN:
            return Plan(needs=need)
        if isinstance(fact, Outage):
            # An answer that is a no is waited for only as long as the run may take.
            if fact.refused and (seen.stopping or seen.run.status.ending):
                unread = f"the model could not be verified: {fact.message}"
                return retry_or_conclude(seen, Why.WEIGHTS_MISSING, unread)
            return unanswered(seen, fact, "the model cannot be verified")
    recorded, repo = seen.run.status.job, output_repository(seen)
    assert recorded is not None
    if made_by_this_run(seen):
        if seen.report is UNSEEN:
            return Plan(needs="report")  # For its pace; an end does not depend on it.
        assert isinstance(seen.result, ModelInfo)
        assert isinstance(seen.lineage, dict)
        message = f"{repo} is on the Hub and in the registry"
        return conclude_trained(seen, message, revision=seen.result.revision, trained_as=seen.lineage)
    if job is None:
        return retry_or_conclude(seen, *failure(seen, None, None))
    settle = seen.settings.settle_seconds
    since = (seen.now - job.finished_at).total_seconds() if job.finished_at else settle
    if since < settle:
        message = f"job {job.id} ended well; its model is not visible in {repo} yet"
        return wait(seen, TrainingPhase.VERIFYING, Why.VERIFYING, message, after=STOPPING_SECONDS)
    log = log_of(job, recorded.url)
    message = f"job {job.id} ended well but {repo} holds no model of this run; its log: {log}"
    return retry_or_conclude(seen, Why.WEIGHTS_MISSING, message)
