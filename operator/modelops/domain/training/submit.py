"""The paid job's submission: protocol "Paid job", steps 1 to 5."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingPhase
from modelops.domain.digest import digest_of
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import micro, shown
from modelops.domain.plan import Do, Plan, Step, WriteRecord, WriteStatus
from modelops.domain.prompt import digest as prompt_digest
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.record import Reservation
from modelops.domain.training.naming import attempt_label, model_repository
from modelops.domain.training.observed import Observed
from modelops.domain.training.prepare import over_budget, values
from modelops.domain.training.status import failed, moved, said, wait
from modelops.domain.versions import Inputs, next_version


def inputs_of(seen: Observed) -> Inputs:
    """What the version will have been made from."""
    run, agent = seen.run, seen.agent_model
    assert agent is not None
    assert agent.spec.prompt is not None
    assert run.status.dataset is not None
    return Inputs(
        base_model=run.spec.base_model,
        prompt_digest=prompt_digest(agent.spec.prompt),
        dataset_digest=run.status.dataset.digest,
        recipe_digest=digest_of("recipe/v1", {"method": run.spec.method.value, **_text(values(seen))}),
    )


def _text(recipe: dict[str, object]) -> dict[str, object]:
    return {key: str(value) if isinstance(value, float) else value for key, value in recipe.items()}


def output_repository(seen: Observed) -> str:
    run, agent = seen.run, seen.agent_model
    assert agent is not None
    assert run.metadata.creation_timestamp is not None
    return model_repository(
        org=seen.settings.hub_org,
        agent=agent.spec.agent,
        created=run.metadata.creation_timestamp,
        uid=run.metadata.uid,
    )


def submission_is_not_intended(seen: Observed) -> Plan | None:
    """1. Reserve. 2. Intent. 3. POST, only because this plan wrote the intent just before."""
    run, record = seen.run, seen.record
    if run.status.job is not None:
        return None
    assert record is not None
    assert run.status.estimate is not None
    high = micro(run.status.estimate.high_usd)
    steps: list[Step] = []
    reservation = record.reservations.get(seen.reservation_key)
    if reservation is None:
        refusal = over_budget(seen, high)
        if refusal:
            return failed(seen, Why.OVER_BUDGET, refusal)
        inputs = inputs_of(seen)
        version = next_version(record.allocated, inputs=inputs, latest=record.latest_inputs())
        reservation = Reservation(
            usd_micro=high,
            month=f"{seen.now:%Y-%m}",
            name=run.metadata.name,
            version=version,
            reserved_at=seen.now.isoformat(timespec="seconds"),
        )
        steps.append(
            WriteRecord(
                why=f"reserve {shown(high)} for {run.metadata.name}",
                record=record.with_(
                    reservations={**record.reservations, seen.reservation_key: reservation},
                    allocated={**record.allocated, version: vars(inputs)},
                ),
            )
        )
    message = f"up to {shown(high)} reserved; submitting to {run.status.estimate.flavor}"
    job = JobStatus(
        attempt=1,
        label=attempt_label(installation=seen.settings.installation, uid=seen.uid, attempt=1),
        post=1,
        timeout_seconds=run.status.estimate.high_minutes * 60,
        intended_at=seen.now.replace(microsecond=0),
    )
    status = moved(
        seen, TrainingPhase.SUBMITTING, Why.SUBMITTING, message, facts={"Submitted": False}, job=job
    )
    steps.extend(said(seen, status, Why.SUBMITTING, message))
    steps.append(submit(seen, job, reservation.version))
    return Plan(steps=tuple(steps), requeue_after=0)


def submit(seen: Observed, job: JobStatus, version: str) -> Do:
    run, agent = seen.run, seen.agent_model
    assert agent is not None
    assert run.status.dataset is not None
    backend = run.spec.backend.hugging_face
    assert backend is not None
    return Do(
        action="submit",
        arguments={
            "namespace": backend.namespace or seen.settings.hub_org,
            "label": job.label,
            "flavor": backend.flavor,
            "timeout_seconds": job.timeout_seconds,
            "run": {
                "v": 1,
                "run": seen.uid,
                "attempt": job.attempt,
                "agent": agent.spec.agent,
                "base_model": run.spec.base_model,
                "base_revision": run.status.base_revision,
                "method": run.spec.method.value,
                "config": values(seen),
                "dataset": {"repo": run.status.dataset.repo, "revision": run.status.dataset.revision},
                "output": {"repo": output_repository(seen)},
                "version": version,
            },
        },
    )


def job_is_not_known(seen: Observed) -> Plan | None:
    """4. After a restart or a lost answer: settle, look by label, and only then submit again. 5. Record the id."""
    run = seen.run
    job = run.status.job
    if job is None or job.id:
        return None
    mine = seen.submission
    if mine is not None and mine.job is not None:
        return recorded(seen, mine.job.id, mine.job.url)
    if mine is not None and mine.refused:
        message = f"the job was refused: {mine.refused}"
        status = moved(
            seen, TrainingPhase.SUBMITTING, Why.SUBMISSION_REFUSED, message, ending="SubmissionRefused"
        )
        return Plan(steps=said(seen, status, Why.SUBMISSION_REFUSED, message), requeue_after=0)
    if mine is not None and mine.unavailable:
        message = f"the service does not take jobs at the moment: {mine.unavailable}; trying again"
        plan = wait(seen, TrainingPhase.SUBMITTING, Why.SUBMITTING, message, after=mine.retry_after or 10.0)
        return Plan(
            steps=(
                *plan.steps,
                Do(action="forget_submission", arguments={"after": mine.retry_after or 10.0}),
            ),
            requeue_after=plan.requeue_after,
        )
    if not seen.settled:
        return wait(
            seen,
            TrainingPhase.SUBMITTING,
            Why.SUBMISSION_UNCERTAIN,
            f"submission {job.post} has no known answer; looking for label {job.label} after a settle period",
            after=1.0,
        )
    if seen.labelled is UNSEEN:
        return Plan(needs="labelled")
    if isinstance(seen.labelled, Outage):
        return Plan(requeue_after=seen.labelled.retry_after or 5.0)
    if seen.labelled:
        found = min(seen.labelled, key=lambda item: (item.ended, str(item.created_at), item.id))
        return recorded(seen, found.id, found.url)
    assert seen.record is not None
    again = job.model_copy(update={"post": job.post + 1})
    status = run.status.model_copy(update={"job": again})
    reservation = seen.record.reservations.get(seen.reservation_key)
    version = reservation.version if reservation else ""
    return Plan(steps=(WriteStatus(status=status), submit(seen, again, version)), requeue_after=0)


def recorded(seen: Observed, job_id: str, url: str) -> Plan:
    job = seen.run.status.job
    assert job is not None
    message = f"job {job_id} waits for hardware"
    status = moved(
        seen,
        TrainingPhase.SCHEDULING,
        Why.JOB_SUBMITTED,
        message,
        facts={"Submitted": True},
        job=job.model_copy(update={"id": job_id, "url": url, "stage": "SCHEDULING"}),
    )
    return Plan(steps=said(seen, status, Why.JOB_SUBMITTED, message), requeue_after=0)
