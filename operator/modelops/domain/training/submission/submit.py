"""The paid job's submission: protocol "Paid job", steps 1 to 5."""

from __future__ import annotations

import json

from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import micro, shown
from modelops.domain.plan import Do, Plan, WriteRecord, WriteStatus
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.record import Reservation
from modelops.domain.training.effective_spec import (
    agent_name,
    base_model_name,
    billed_namespace,
    inputs_of,
    longest_tokens,
    output_repository,
    training_values,
)
from modelops.domain.training.naming import attempt_label
from modelops.domain.training.outcome.attempts import attempt_values, sizes
from modelops.domain.training.outcome.conclude import conclude
from modelops.domain.training.pricing.price import over_budget, uncovered
from modelops.domain.training.state import Observed
from modelops.domain.training.status import RETRY_SECONDS, as_if, moved, said, unanswered, wait
from modelops.domain.training.submission.checkpoints import STEPS_KEY, checkpoint_steps
from modelops.domain.versions import next_version

REFUSAL_SECONDS = 10.0
SETTLE_LOOK_SECONDS = 1.0


def ensure_submitted(seen: Observed) -> Plan | None:
    """1. Reserve. 2. Intent. 3. POST, only because this plan wrote the intent just before."""
    run, record = seen.run, seen.record
    if run.status.job is not None:
        return None
    assert record is not None
    assert run.status.estimate is not None
    high = micro(run.status.estimate.high_usd)
    existing = record.reservations.get(seen.reservation_key)
    missing = uncovered(seen, high)
    if missing > 0 and (message := over_budget(seen, missing)):
        return conclude(seen, Why.OVER_BUDGET, message)
    covers = existing is not None and missing <= 0 and same_inputs(seen, existing)
    reservation, reserve = (existing, ()) if existing and covers else reserved(seen, high)
    message = f"up to {shown(high)} reserved; submitting to {run.status.estimate.flavor}"
    job = first_intent(seen)
    status = moved(
        seen,
        TrainingPhase.SUBMITTING,
        Why.SUBMITTING,
        message,
        facts={"Submitted": False},
        job=job,
        recipe=json.dumps(training_values(seen), sort_keys=True, separators=(",", ":")),
        active_since=run.status.active_since or job.intended_at,
    )
    intent = said(seen, status, Why.SUBMITTING, message)
    return Plan(steps=(*reserve, *intent, submit(seen, job, reservation.version)), requeue_after=0)


def same_inputs(seen: Observed, existing: Reservation) -> bool:
    """Whether its version was allocated for what would be trained now: a crash may have come before the intent,
    and the data be read anew since."""
    assert seen.record is not None
    return seen.record.allocated.get(existing.version) == vars(inputs_of(seen))


def reserved(seen: Observed, high: int) -> tuple[Reservation, tuple[WriteRecord, ...]]:
    """The cover of the attempt and the version that it may become, and the write of both."""
    run, record = seen.run, seen.record
    assert record is not None
    inputs = inputs_of(seen)
    version = version_of_attempts(seen) or next_version(
        record.allocated, inputs=inputs, latest=record.latest_inputs()
    )
    reservation = Reservation(
        usd_micro=high,
        month=f"{seen.now:%Y-%m}",
        name=run.metadata.name,
        version=version,
        reserved_at=seen.now.isoformat(timespec="seconds"),
        repo=output_repository(seen),
        account=billed_namespace(seen),
    )
    covered = record.with_(
        reservations={**record.reservations, seen.reservation_key: reservation},
        allocated={**record.allocated, version: dict(vars(inputs))},
    )
    return reservation, (WriteRecord(record=covered, why=f"reserve {shown(high)} for {run.metadata.name}"),)


def version_of_attempts(seen: Observed) -> str:
    """The version that was allocated for an earlier attempt; empty where there is none."""
    assert seen.record is not None
    booked = (seen.record.settlements.get(f"{seen.uid}/{past.attempt}") for past in seen.run.status.attempts)
    return next((settlement.version for settlement in booked if settlement and settlement.version), "")


def first_intent(seen: Observed) -> JobStatus:
    """The intent of an attempt's first submission."""
    estimate = seen.run.status.estimate
    assert estimate is not None
    batch, accumulation = sizes(seen)
    return JobStatus(
        attempt=seen.attempt,
        label=attempt_label(installation=seen.settings.installation, uid=seen.uid, attempt=seen.attempt),
        post=1,
        batch_size=batch,
        gradient_accumulation_steps=accumulation,
        timeout_seconds=estimate.high_minutes * 60,
        intended_at=seen.now.replace(microsecond=0),
    )


def submit(seen: Observed, job: JobStatus, version: str) -> Do:
    """The POST of the intent `job`."""
    intended = seen.run.status.model_copy(update={"job": job})
    seen = as_if(seen, intended)
    run, dataset, estimate = seen.run, seen.run.status.dataset, seen.run.status.estimate
    assert dataset is not None
    assert estimate is not None
    values = attempt_values(seen)
    steps = checkpoint_steps(examples=dataset.train, values=values, high_minutes=estimate.high_minutes)
    return Do(
        action="submit",
        arguments={
            "namespace": billed_namespace(seen),
            "label": job.label,
            "flavor": estimate.flavor,
            "timeout_seconds": job.timeout_seconds,
            "run": {
                "v": 1,
                "run": seen.uid,
                "name": run.metadata.name,
                "identity": seen.identity,
                "agent_model": f"{run.metadata.namespace}/{run.spec.agent_model_ref.name}",
                "attempt": job.attempt,
                "seconds": job.timeout_seconds,
                "agent": agent_name(seen),
                "base_model": base_model_name(seen),
                "base_revision": run.status.base_revision,
                "method": run.spec.method.value,
                "config": {**values, "max_seq_length": longest_tokens(seen, dataset), STEPS_KEY: steps},
                "dataset": {"repo": dataset.repo, "revision": dataset.revision, "digest": dataset.digest},
                "output": {"repo": output_repository(seen)},
                "version": version,
                **({"eos": dataset.eos} if dataset.eos else {}),
            },
        },
    )


def resolve_submission(seen: Observed) -> Plan | None:
    """What became of the submission: taken, refused, not taken now, or unknown."""
    job, mine = seen.run.status.job, seen.submission
    if job is None or job.id:
        return None
    if mine is not None and mine.job is not None:
        return recorded(seen, mine.job.id, mine.job.url)
    if mine is not None and mine.refused:
        message = f"the service refused the job: {mine.refused}"
        status = moved(
            seen,
            TrainingPhase.SUBMITTING,
            Why.SUBMISSION_REFUSED,
            message,
            ending=Why.SUBMISSION_REFUSED.value,
        )
        return Plan(steps=said(seen, status, Why.SUBMISSION_REFUSED, message), requeue_after=0)
    if mine is not None and mine.unavailable:
        message = f"the service does not take jobs at the moment: {mine.unavailable}; trying again"
        after = mine.retry_after or REFUSAL_SECONDS
        plan = wait(seen, TrainingPhase.SUBMITTING, Why.SUBMITTING, message, after=after)
        forget = Do(action="forget_submission", arguments={"after": after})
        return Plan(steps=(*plan.steps, forget), requeue_after=after)
    return adopt_or_resubmit(seen, job)


def adopt_or_resubmit(seen: Observed, job: JobStatus) -> Plan:
    """4. After a restart or a lost answer: settle, look by label, and only then submit again."""
    if not seen.settled:
        return wait(
            seen,
            TrainingPhase.SUBMITTING,
            Why.SUBMISSION_UNCERTAIN,
            f"submission {job.post} has no known answer; looking for label {job.label} after a settle period",
            after=SETTLE_LOOK_SECONDS,
        )
    if seen.labelled is UNSEEN:
        return Plan(needs="labelled")
    if isinstance(seen.labelled, Outage):
        return unanswered(seen, seen.labelled, f"jobs with label {job.label} cannot be listed")
    if seen.labelled:
        found = min(seen.labelled, key=lambda item: (item.ended, str(item.created_at), item.id))
        return recorded(seen, found.id, found.url)
    if seen.agent_model is None:
        name = seen.run.spec.agent_model_ref.name
        message = f"AgentModel {name} (spec.agentModelRef) is gone: nothing is submitted again without it"
        phase = seen.run.status.phase
        return wait(seen, phase, Why.WAITING_FOR_AGENT_MODEL, message, after=RETRY_SECONDS)
    return submitted_again(seen, job)


def submitted_again(seen: Observed, job: JobStatus) -> Plan:
    """A new intent and its POST; the reservation of the attempt covers both."""
    assert seen.record is not None
    again = job.model_copy(update={"post": job.post + 1})
    status = seen.run.status.model_copy(update={"job": again})
    reservation = seen.record.reservations.get(seen.reservation_key)
    version = reservation.version if reservation else ""
    return Plan(steps=(WriteStatus(status=status), submit(seen, again, version)), requeue_after=0)


def recorded(seen: Observed, job_id: str, url: str) -> Plan:
    """5. The job's id is on record."""
    job = seen.run.status.job
    assert job is not None
    message = waiting_for_hardware(job_id)
    status = moved(
        seen,
        TrainingPhase.SCHEDULING,
        Why.JOB_SUBMITTED,
        message,
        facts={"Submitted": True},
        job=job.model_copy(update={"id": job_id, "url": url, "stage": "SCHEDULING"}),
    )
    return Plan(steps=said(seen, status, Why.JOB_SUBMITTED, message), requeue_after=0)


def waiting_for_hardware(job_id: str, stage: str = "SCHEDULING") -> str:
    return f"job {job_id} waits for hardware" + (f" ({stage})" if stage != "SCHEDULING" else "")
