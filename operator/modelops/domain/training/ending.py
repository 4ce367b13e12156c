"""Cancel, deletion, deadline, refusal: protocol "Paid job", step 10. Nothing is left running or unbooked."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Do, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.conclude import conclude, released
from modelops.domain.training.observed import Observed
from modelops.domain.training.status import moved, said


def ended_before_any_intent(seen: Observed) -> Plan | None:
    """No submission was intended and none can be any more once the status says that it ended."""
    if not seen.stopping or seen.run.status.job is not None:
        return None
    message = "cancelled before anything was submitted"
    status = moved(seen, TrainingPhase.CANCELLED, Why.CANCELLED, message)
    if seen.record is None:
        return Plan(
            steps=(Do(action="stop_dataset"), *said(seen, status, Why.CANCELLED, message), *released(seen))
        )
    return Plan(
        steps=(Do(action="stop_dataset"), *said(seen, status, Why.CANCELLED, message)), requeue_after=0
    )


def ended_with_an_intent_only(seen: Observed) -> Plan | None:
    """A submission may be under way: close the attempt, settle, list, cancel what runs, then book."""
    job = seen.run.status.job
    if job is None or job.id or not (seen.stopping or seen.run.status.ending):
        return None
    if seen.submission is not None and seen.submission.job is not None:
        return None
    if seen.claim is UNSEEN:
        return Plan(needs="claim")
    if isinstance(seen.claim, Outage):
        return Plan(requeue_after=seen.claim.retry_after or 5.0)
    if seen.claim is None:
        return Plan(steps=(Do(action="close"),), requeue_after=0)
    if seen.claim.job:
        found = job.model_copy(update={"id": seen.claim.job})
        return Plan(
            steps=(WriteStatus(status=seen.run.status.model_copy(update={"job": found})),), requeue_after=0
        )
    if not seen.settled:
        return Plan(requeue_after=1.0)
    if seen.labelled is UNSEEN:
        return Plan(needs="labelled")
    if isinstance(seen.labelled, Outage):
        return Plan(requeue_after=seen.labelled.retry_after or 5.0)
    running = [item for item in seen.labelled if not item.ended]
    if running:
        return Plan(
            steps=tuple(Do(action="cancel", arguments={"job": item.id}) for item in running),
            requeue_after=1.0,
        )
    reason, message = why(seen)
    return conclude(seen, reason, message)


def why(seen: Observed) -> tuple[Why, str]:
    if seen.stopping:
        return Why.CANCELLED, "cancelled before the job trained"
    if seen.run.status.ending == Why.SUBMISSION_REFUSED.value:
        refused = seen.submission.refused if seen.submission else ""
        return Why.SUBMISSION_REFUSED, f"the job was refused{': ' + refused if refused else ''}"
    return (
        Why.DEADLINE_EXCEEDED,
        f"spec.activeDeadlineSeconds {seen.run.spec.active_deadline_seconds} passed before the job trained",
    )


ESCAPE_SECONDS = 3600.0
"""How long a deletion waits for credentials before it lets go and says what may still bill."""


def cannot_be_cleaned_up(seen: Observed) -> Plan | None:
    """A deletion that has no credentials or record for an hour lets go, and says what may still bill."""
    deleted = seen.run.metadata.deletion_timestamp
    job = seen.run.status.job
    if deleted is None or job is None or not (seen.secret_problem or seen.record is None):
        return None
    if (seen.now - deleted).total_seconds() < ESCAPE_SECONDS:
        return None
    message = (
        f"LEAK: job {job.id or 'with label ' + job.label} may still run and bill; it could not be stopped: "
        f"{seen.secret_problem or 'the record of the AgentModel is missing'}. Cancel it by hand."
    )
    return Plan(steps=(Announce(reason="Leaked", message=message, warning=True), *released(seen)))
