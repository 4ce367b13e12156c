"""Cancel, deletion, deadline, refusal: protocol "Paid job", step 10. Nothing is left running or unbooked."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Do, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.outcome.attempts import retry_or_conclude
from modelops.domain.training.outcome.conclude import conclude, released
from modelops.domain.training.state import Observed
from modelops.domain.training.status import moved, said, unanswered

ESCAPE_SECONDS = 3600.0
"""How long a deletion waits for credentials before it lets go and says what may still bill."""
STOPPING_SECONDS = 1.0


def end_before_submission(seen: Observed) -> Plan | None:
    """No submission of this attempt was intended, and none can be any more once the status says that it ended.

    A reservation may be there, or under way: so the record is written first, which makes a late one fail.
    """
    run, again = seen.run, bool(seen.run.status.attempts)
    if not seen.ends or run.status.job is not None:
        return None
    message = "cancelled between two attempts" if again else "cancelled before anything was submitted"
    if seen.record is not None:
        return conclude(seen, Why.CANCELLED, message) if seen.stopping else conclude(seen, *why(seen))
    status = moved(seen, TrainingPhase.CANCELLED, Why.CANCELLED, message)
    steps = (Do(action="stop_dataset"), *said(seen, status, Why.CANCELLED, message))
    return Plan(steps=steps, requeue_after=0)


def give_up_cleanup(seen: Observed) -> Plan | None:
    """A deletion that has no credentials or record for an hour lets go, and says what may still bill."""
    meta, job = seen.run.metadata, seen.run.status.job
    deleted = meta.deletion_timestamp
    if deleted is None or job is None or FINALIZER not in meta.finalizers:
        return None
    no_record = "the record of the AgentModel is missing" if seen.record is None else ""
    hindered = seen.secret_problem or no_record
    if not hindered or (seen.now - deleted).total_seconds() < ESCAPE_SECONDS:
        return None
    message = (
        f"LEAK: job {job.id or 'with label ' + job.label} may still run and bill; it could not be stopped: "
        f"{hindered}. Cancel it by hand."
    )
    return Plan(steps=(Announce(reason="Leaked", message=message, warning=True), *released(seen)))


def end_unanswered_submission(seen: Observed) -> Plan | None:
    """No job is recorded: whoever claimed is now; else close, settle, list, cancel what runs, and book."""
    job = seen.run.status.job
    if job is None or job.id or not seen.ends:
        return None
    if seen.submission is not None and seen.submission.job is not None:
        return None
    if nothing_was_created(seen, job):
        return retry_or_conclude(seen, *why(seen))
    if seen.claim is UNSEEN:
        return Plan(needs="claim")
    if isinstance(seen.claim, Outage):
        return unanswered(seen, seen.claim, "the attempt's claim cannot be read")
    if seen.claim is None:
        return Plan(steps=(Do(action="close"),), requeue_after=0)
    if seen.claim.job:
        return record_claiming_job(seen, job, seen.claim.job)
    if not seen.answered:
        return Plan(requeue_after=STOPPING_SECONDS)
    return cancel_duplicate_jobs(seen) or retry_or_conclude(seen, *why(seen))


def nothing_was_created(seen: Observed, job: JobStatus) -> bool:
    """The only submission ever intended was answered with a no: there is nothing to close."""
    refused = seen.run.status.ending == Why.SUBMISSION_REFUSED.value
    return job.post == 1 and (refused or (seen.submission is not None and seen.submission.job is None))


def cancel_duplicate_jobs(seen: Observed) -> Plan | None:
    """The attempt is closed, or the job that claimed it has ended: what else of it runs is cancelled."""
    if seen.labelled is UNSEEN:
        return Plan(needs="labelled")
    if isinstance(seen.labelled, Outage):
        return unanswered(seen, seen.labelled, "the attempt's jobs cannot be listed")
    running = [item for item in seen.labelled if not item.ended]
    if not running:
        return None
    cancels = tuple(Do(action="cancel", arguments={"job": item.id}) for item in running)
    return Plan(steps=cancels, requeue_after=STOPPING_SECONDS)


def record_claiming_job(seen: Observed, job: JobStatus, winner: str) -> Plan:
    """The claim names the job that counts, even when no list does."""
    status = seen.run.status.model_copy(update={"job": job.model_copy(update={"id": winner, "url": ""})})
    return Plan(steps=(WriteStatus(status=status),), requeue_after=0)


def why(seen: Observed) -> tuple[Why, str]:
    """Why the attempt was ended before a job of it was known."""
    run = seen.run
    if seen.stopping:
        return Why.CANCELLED, "cancelled before the job trained"
    if run.status.ending == Why.SUBMISSION_REFUSED.value:
        refused = seen.submission.refused if seen.submission else ""
        words = f": {refused}" if refused else "; its words are in the run's events"
        return Why.SUBMISSION_REFUSED, f"the service refused the job{words}"
    if run.status.ending == Why.STUCK_IN_SCHEDULING.value:
        return Why.STUCK_IN_SCHEDULING, "the job got no hardware"
    if run.status.ending == Why.SUSPENDING.value:
        job = run.status.job
        words = f"; job {job.id} was stopped" if job and job.id else " before a job was known"
        return Why.SUSPENDED, f"suspended by spec.suspend{words}"
    return (
        Why.DEADLINE_EXCEEDED,
        f"spec.activeDeadlineSeconds {run.spec.active_deadline_seconds} passed before the job trained",
    )
