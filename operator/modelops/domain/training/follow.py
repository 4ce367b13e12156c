"""From a recorded job to a verified model: protocol "Paid job", steps 7 to 9."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import Progress, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.jobreport import JobReport
from modelops.domain.plan import Do, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.conclude import conclude
from modelops.domain.training.observed import Observed
from modelops.domain.training.prepare import deadline_of
from modelops.domain.training.status import moved, said, wait
from modelops.ports import Claim, Job

LINEAGE_FILE = "modelops.json"


def deadline_has_passed(seen: Observed) -> Plan | None:
    """Latched: a clock that goes back does not take it back."""
    status = seen.run.status
    deadline = deadline_of(seen)
    if status.ending or deadline is None or seen.now < deadline:
        return None
    message = (
        f"spec.activeDeadlineSeconds {seen.run.spec.active_deadline_seconds} passed; the job is being stopped"
    )
    ended = moved(seen, status.phase, Why.DEADLINE_EXCEEDED, message, ending=Why.DEADLINE_EXCEEDED.value)
    return Plan(steps=said(seen, ended, Why.DEADLINE_EXCEEDED, message), requeue_after=0)


def job_is_under_way(seen: Observed) -> Plan | None:
    """The recorded job has not ended: say how far it is."""
    recorded = seen.run.status.job
    if recorded is None or not recorded.id:
        return None
    if seen.job is UNSEEN:
        return Plan(needs="job")
    if isinstance(seen.job, Outage):
        return Plan(requeue_after=seen.job.retry_after or seen.settings.poll_seconds)
    if seen.job is None or seen.job.ended:
        return None
    if seen.stopping or seen.run.status.ending:
        why = Why.CANCELLING
        plan = wait(seen, seen.run.status.phase, why, f"stopping job {seen.job.id}", after=1.0)
        return Plan(
            steps=(*plan.steps, Do(action="cancel", arguments={"job": seen.job.id})), requeue_after=1.0
        )
    if seen.job.stage != "RUNNING":
        message = f"job {seen.job.id} waits for hardware ({seen.job.stage})"
        return wait(
            seen, TrainingPhase.SCHEDULING, Why.JOB_SUBMITTED, message, after=seen.settings.poll_seconds
        )
    if seen.report is UNSEEN:
        return Plan(needs="report")
    report = None if isinstance(seen.report, Outage) else seen.report
    return wait(
        seen,
        TrainingPhase.RUNNING,
        Why.JOB_RUNNING,
        f"job {seen.job.id} trains",
        after=seen.settings.poll_seconds,
        job=recorded.model_copy(update={"stage": seen.job.stage}),
        progress=progressed(seen, report, seen.job),
    )


def progressed(seen: Observed, report: JobReport | None, job: Job) -> Progress | None:
    """The newest progress; it never goes backwards."""
    old = seen.run.status.progress
    if report is None or not report.max_steps or (old is not None and report.step <= old.step):
        return old
    percent = min(100, report.step * 100 // report.max_steps)
    loss = report.metrics.get("loss")
    eta = None
    if job.started_at is not None and report.step:
        seconds = (seen.now - job.started_at).total_seconds()
        eta = max(0, round(seconds * (report.max_steps - report.step) / report.step / 60))
    return Progress(
        percent=percent,
        step=report.step,
        max_steps=report.max_steps,
        loss=f"{loss:.4f}" if loss is not None and 0 <= loss < 1e9 else (old.loss if old else None),
        eta_minutes=eta,
        updated_at=seen.now.replace(microsecond=0),
    )


def attempt_is_not_closed(seen: Observed) -> Plan | None:
    """The recorded job ended: who claimed the attempt decides, and nothing else of it may run."""
    recorded = seen.run.status.job
    assert recorded is not None
    if seen.claim is UNSEEN:
        return Plan(needs="claim")
    if isinstance(seen.claim, Outage):
        return Plan(requeue_after=seen.claim.retry_after or 5.0)
    if seen.claim is None:
        return Plan(steps=(Do(action="close"),), requeue_after=0)
    if seen.claim.job and seen.claim.job != recorded.id:
        job = recorded.model_copy(update={"id": seen.claim.job})
        return Plan(
            steps=(WriteStatus(status=seen.run.status.model_copy(update={"job": job})),), requeue_after=0
        )
    if seen.labelled is UNSEEN:
        return Plan(needs="labelled")
    if isinstance(seen.labelled, Outage):
        return Plan(requeue_after=seen.labelled.retry_after or 5.0)
    running = [job for job in seen.labelled if not job.ended]
    if running:
        return Plan(
            steps=tuple(Do(action="cancel", arguments={"job": job.id}) for job in running), requeue_after=1.0
        )
    return None


def outcome(seen: Observed) -> Plan:
    """The attempt is over and nothing of it runs: verify, then conclude."""
    recorded = seen.run.status.job
    assert recorded is not None
    job = seen.job if isinstance(seen.job, Job) else None
    won = isinstance(seen.claim, Claim) and seen.claim.job == recorded.id
    if job is not None and job.stage == "COMPLETED" and won:
        return verified(seen, job)
    if seen.report is UNSEEN:
        return Plan(needs="report")
    report = seen.report if isinstance(seen.report, JobReport) else None
    reason, message = failure(seen, job, report)
    return conclude(seen, reason, message)


def failure(seen: Observed, job: Job | None, report: JobReport | None) -> tuple[Why, str]:
    """Why the attempt did not make a model, as class and words for a person."""
    recorded = seen.run.status.job
    assert recorded is not None
    if seen.run.spec.cancel:
        return Why.CANCELLED, f"cancelled by spec.cancel; job {recorded.id} was stopped"
    if seen.run.metadata.deletion_timestamp is not None:
        return Why.CANCELLED, f"the TrainingRun was deleted; job {recorded.id} was stopped"
    if seen.run.status.ending:
        return Why.DEADLINE_EXCEEDED, f"spec.activeDeadlineSeconds passed; job {recorded.id} was stopped"
    if job is None:
        return Why.JOB_FAILED, f"job {recorded.id} is not known to the service any more"
    said_by_job = f": {report.error}" if report is not None and report.error else ""
    if report is not None and report.failure == "out_of_memory":
        return (
            Why.OUT_OF_MEMORY,
            f"job {job.id} ran out of memory{said_by_job}: choose a larger flavor or a smaller batch",
        )
    if report is not None and report.failure == "bad_data":
        return Why.BAD_DATA, f"job {job.id} found the data unusable{said_by_job}"
    if recorded.timeout_seconds and job.running_seconds >= recorded.timeout_seconds:
        return Why.TIMED_OUT, f"job {job.id} reached its timeout of {recorded.timeout_seconds} s"
    words = said_by_job or (f": {job.message}" if job.message else "")
    return Why.JOB_FAILED, f"job {job.id} ended as {job.stage}{words}; its log: {job.url or recorded.url}"


def verified(seen: Observed, job: Job) -> Plan:
    """COMPLETED only means exit 0: the model must be on the Hub, made by this run."""
    for fact, need in ((seen.result, "result"), (seen.lineage, "lineage")):
        if fact is UNSEEN:
            return Plan(needs=need)
        if isinstance(fact, Outage):
            return wait(
                seen,
                TrainingPhase.VERIFYING,
                Why.HUB_UNAVAILABLE,
                f"the Hub did not answer while the model was verified: {fact.message}; trying again",
                after=fact.retry_after or 5.0,
            )
    from modelops.domain.training.submit import output_repository

    repo = output_repository(seen)
    ours = seen.lineage if isinstance(seen.lineage, dict) else {}
    if (
        seen.result is None
        or isinstance(seen.result, Outage)
        or seen.result is UNSEEN
        or ours.get("run") != seen.uid
    ):
        since = (
            (seen.now - job.finished_at).total_seconds() if job.finished_at else seen.settings.settle_seconds
        )
        if since < seen.settings.settle_seconds:
            message = f"job {job.id} ended well; its model is not visible in {repo} yet"
            return wait(seen, TrainingPhase.VERIFYING, Why.VERIFYING, message, after=1.0)
        return conclude(
            seen, Why.WEIGHTS_MISSING, f"job {job.id} ended well but {repo} holds no model of this run"
        )
    return conclude(
        seen, Why.TRAINED, f"{repo} is on the Hub and in the registry", revision=seen.result.revision, job=job
    )
