"""The paid job's submission: protocol "Paid job", steps 1 to 5."""

from __future__ import annotations

from dataclasses import replace

from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import display_usd, micro
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Reservation
from modelops.domain.training.actions import ForgetSubmission, SubmitJob, TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import (
    agent_name,
    base_model_name,
    billed_namespace,
    longest_example_tokens,
    output_repository,
    training_values,
    version_inputs,
)
from modelops.domain.training.naming import attempt_label
from modelops.domain.training.next_attempt import attempt_values, next_batch_sizes
from modelops.domain.training.outcome.conclude import conclude
from modelops.domain.training.preparation.recipe import recipe_of_values
from modelops.domain.training.pricing.spending import NEW_RUN, budget_shortage, unreserved_micro_usd
from modelops.domain.training.state import State
from modelops.domain.training.status import (
    RETRY_SECONDS,
    status_steps,
    wait_for_answer,
    wait_for_permission,
    wait_in_phase,
    with_phase,
    with_status,
)
from modelops.domain.training.stop import wait_while_stopped
from modelops.domain.training.submission.checkpoints import STEPS_KEY, checkpoint_steps
from modelops.domain.versions import next_version

UNAVAILABLE_SECONDS = 10.0
"""Before the service is asked again, if it takes no jobs and names no time."""
SETTLE_POLL_SECONDS = 1.0


def ensure_submitted(state: State) -> TrainingPlan | None:
    """Submits the attempt, unless its intent is in the status already."""
    return reserve_and_submit(state) if state.run.status.job is None else None


def reserve_and_submit(state: State) -> TrainingPlan:
    """Steps 1 to 3: reserve, write the intent, POST. The POST is sent only because the same plan wrote the intent."""
    estimate = state.require_estimate()
    high = micro(estimate.high_usd)
    existing = state.require_record().reservations.get(state.reservation_key)
    missing = unreserved_micro_usd(state, high)
    waiting = wait_for_budget(state, high)
    if waiting is not None:
        return waiting
    if missing > 0 and (message := budget_shortage(state, missing)):
        return conclude(state, TrainingReason.OverBudget, message + NEW_RUN)
    is_covered = existing is not None and missing <= 0 and reservation_matches_inputs(state, existing)
    reservation, reserve = (existing, ()) if existing and is_covered else reserve_attempt(state, high)
    message = f"up to {display_usd(high)} reserved; submitting to {estimate.flavor}"
    job = first_intent(state)
    status = with_phase(
        state,
        TrainingPhase.SUBMITTING,
        TrainingReason.Submitting,
        message,
        facts={"Submitted": False},
        job=job,
        recipe=recipe_of_values(training_values(state)),
        active_since=state.run.status.active_since or job.intended_at,
    )
    intent = status_steps(state, status, TrainingReason.Submitting, message)
    return Plan(
        steps=(*reserve, *intent, submission_of_intent(state, job, reservation.version)), requeue_after=0
    )


def wait_for_budget(state: State, high: int) -> TrainingPlan | None:
    """A further attempt that the month's budget does not cover waits: a person may raise it, and the next month has its
    own. What is left changes with time, so the message does not name it."""
    if not state.run.status.attempts or not budget_shortage(state, unreserved_micro_usd(state, high)):
        return None
    agent = state.require_agent_model()
    message = (
        f"up to {display_usd(high)} is needed, and less is left this month (UTC) of spec.budget.monthlyUSD "
        f"${agent.spec.budget.monthly_usd} of AgentModel {agent.metadata.name}: raise the budget, or wait for the next "
        "month"
    )
    return wait_for_permission(
        state, state.run.status.phase, TrainingReason.OverBudget, message, after=RETRY_SECONDS
    )


def reservation_matches_inputs(state: State, existing: Reservation) -> bool:
    """Whether the reserved version was allocated for the current inputs.

    It was not if the process stopped before the intent and the data were read again since.
    """
    return state.require_record().allocated.get(existing.version) == vars(version_inputs(state))


def reserve_attempt(state: State, high: int) -> tuple[Reservation, tuple[WriteRecord, ...]]:
    """The attempt's reservation, with the version that its model will get, and the write of both."""
    run, record = state.run, state.require_record()
    inputs = version_inputs(state)
    version = version_of_earlier_attempt(state) or next_version(
        record.allocated, inputs=inputs, latest=record.latest_inputs()
    )
    reservation = Reservation(
        usd_micro=high,
        month=f"{state.now:%Y-%m}",
        name=run.metadata.name,
        version=version,
        reserved_at=state.now.isoformat(timespec="seconds"),
        repo=output_repository(state),
        account=billed_namespace(state),
        label=attempt_label(installation=state.settings.installation, uid=state.uid, attempt=state.attempt),
    )
    covered = record.with_(
        reservations={**record.reservations, state.reservation_key: reservation},
        allocated={**record.allocated, version: dict(vars(inputs))},
    )
    return reservation, (
        WriteRecord(record=covered, purpose=f"reserve {display_usd(high)} for {run.metadata.name}"),
    )


def version_of_earlier_attempt(state: State) -> str:
    """The version that was allocated for an earlier attempt; empty if there is none."""
    settlements = state.require_record().settlements
    settled_attempts = (settlements.get(f"{state.uid}/{past.attempt}") for past in state.run.status.attempts)
    return next(
        (settlement.version for settlement in settled_attempts if settlement and settlement.version), ""
    )


def first_intent(state: State) -> JobStatus:
    """The intent of an attempt's first submission."""
    batch, accumulation = next_batch_sizes(state)
    return JobStatus(
        attempt=state.attempt,
        label=attempt_label(installation=state.settings.installation, uid=state.uid, attempt=state.attempt),
        submissions=1,
        batch_size=batch,
        gradient_accumulation_steps=accumulation,
        timeout_seconds=state.require_estimate().high_minutes * 60,
        intended_at=state.now.replace(microsecond=0),
    )


def submission_of_intent(state: State, job: JobStatus, version: str) -> SubmitJob:
    """The POST of the intent `job`."""
    intended = state.run.status.model_copy(update={"job": job})
    state = with_status(state, intended)
    run, dataset, estimate = state.run, state.require_dataset(), state.require_estimate()
    values = attempt_values(state)
    steps = checkpoint_steps(
        examples=dataset.train,
        values=values,
        high_minutes=estimate.high_minutes,
        minutes=estimate.checkpoint_minutes,
    )
    return SubmitJob(
        namespace=billed_namespace(state),
        label=job.label,
        flavor=estimate.flavor,
        timeout_seconds=job.timeout_seconds,
        run={
            "v": 1,
            "run": state.uid,
            "name": run.metadata.name,
            "identity": state.identity,
            "agent_model": f"{run.metadata.namespace}/{run.spec.agent_model_ref.name}",
            "installation": state.settings.installation,
            "attempt": job.attempt,
            "seconds": job.timeout_seconds,
            "agent": agent_name(state),
            "base_model": base_model_name(state),
            "base_revision": run.status.base_revision,
            "method": run.spec.method.value,
            "config": {**values, "max_seq_length": longest_example_tokens(state, dataset), STEPS_KEY: steps},
            "dataset": {"repo": dataset.repo, "revision": dataset.revision, "digest": dataset.digest},
            "output": {"repo": output_repository(state)},
            "version": version,
            **({"eos": dataset.eos} if dataset.eos else {}),
        },
    )


def resolve_submission(state: State) -> TrainingPlan | None:
    """The intent has no job yet: the service accepted it, refused it, asked to wait, or its answer is unknown."""
    job, submission = state.run.status.job, state.submission
    if job is None or job.id:
        return None
    if submission is not None and submission.job is not None:
        return record_submitted_job(state, job, job_id=submission.job.id, url=submission.job.url)
    waits = submission is not None and (submission.token_refused or bool(state.run.status.attempts))
    if submission is not None and submission.refused and waits:
        message = f"the service refuses the job: {submission.refused.rstrip('.')}"
        plan = wait_for_permission(
            state,
            TrainingPhase.SUBMITTING,
            TrainingReason.TokenRefused if submission.token_refused else TrainingReason.SubmissionRefused,
            message,
            after=UNAVAILABLE_SECONDS,
        )
        return replace(plan, steps=(*plan.steps, ForgetSubmission(after=UNAVAILABLE_SECONDS)))
    if submission is not None and submission.refused:
        message = f"the service refused the job: {submission.refused}"
        status = with_phase(
            state,
            TrainingPhase.SUBMITTING,
            TrainingReason.SubmissionRefused,
            message,
            ending=TrainingReason.SubmissionRefused.value,
        )
        return Plan(
            steps=status_steps(state, status, TrainingReason.SubmissionRefused, message), requeue_after=0
        )
    if submission is not None and submission.unavailable:
        message = f"the service does not take jobs at the moment: {submission.unavailable}; trying again"
        after = submission.retry_after or UNAVAILABLE_SECONDS
        plan = wait_in_phase(state, TrainingPhase.SUBMITTING, TrainingReason.Submitting, message, after=after)
        forget = ForgetSubmission(after=after)
        return Plan(steps=(*plan.steps, forget), requeue_after=after)
    return adopt_or_resubmit(state, job)


def adopt_or_resubmit(state: State, job: JobStatus) -> TrainingPlan:
    """Step 4, after a restart or a lost answer: wait, list jobs by label, and only then submit again."""
    if not state.settle_period_passed:
        return wait_in_phase(
            state,
            TrainingPhase.SUBMITTING,
            TrainingReason.SubmissionUncertain,
            f"submission {job.submissions} has no known answer; jobs with label {job.label} are listed after a settle "
            "period",
            after=SETTLE_POLL_SECONDS,
        )
    if state.labelled is UNSEEN:
        return Plan(needs=TrainingFact.LABELLED)
    if isinstance(state.labelled, Outage):
        return wait_for_answer(state, state.labelled, f"jobs with label {job.label} cannot be listed")
    if state.labelled:
        found = min(state.labelled, key=lambda item: (item.ended, str(item.created_at), item.id))
        return record_submitted_job(state, job, job_id=found.id, url=found.url)
    if state.agent_model is None:
        name = state.run.spec.agent_model_ref.name
        message = (
            f"AgentModel {name} (spec.agentModelRef) was deleted: without it, nothing is submitted again"
        )
        phase = state.run.status.phase
        return wait_in_phase(state, phase, TrainingReason.AgentModelNotFound, message, after=RETRY_SECONDS)
    return wait_while_stopped(state) or resubmit(state, job)


def resubmit(state: State, job: JobStatus) -> TrainingPlan:
    """A new intent and its POST; the attempt's reservation covers both submissions."""
    resubmitted = job.model_copy(update={"submissions": job.submissions + 1})
    status = state.run.status.model_copy(update={"job": resubmitted})
    reservation = state.require_record().reservations.get(state.reservation_key)
    version = reservation.version if reservation else ""
    return Plan(
        steps=(WriteStatus(status=status), submission_of_intent(state, resubmitted, version)), requeue_after=0
    )


def record_submitted_job(state: State, job: JobStatus, *, job_id: str, url: str) -> TrainingPlan:
    """Step 5: writes the job's id into the status."""
    message = hardware_wait_message(job_id)
    status = with_phase(
        state,
        TrainingPhase.SCHEDULING,
        TrainingReason.JobSubmitted,
        message,
        facts={"Submitted": True},
        lasting={"Submitted": f"job {job_id} was submitted"},
        job=job.model_copy(update={"id": job_id, "url": url, "stage": "SCHEDULING"}),
    )
    return Plan(steps=status_steps(state, status, TrainingReason.JobSubmitted, message), requeue_after=0)


def hardware_wait_message(job_id: str, stage: str = "SCHEDULING") -> str:
    return f"job {job_id} waits for hardware" + (f" ({stage})" if stage != "SCHEDULING" else "")
