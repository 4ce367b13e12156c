"""What an attempt that failed is followed by: another one, made as its failure asks for, or the run's end.

Protocol "Paid job", step 9: the record is settled first, the status follows. Both may be repeated: a settled attempt is
not settled again, and which attempt is next follows from the status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from modelops.api.v1alpha1.trainingrun import AttemptStatus, JobStatus, TrainingPhase
from modelops.domain.job_report import JobReport
from modelops.domain.money import dollars
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan, TrainingStep
from modelops.domain.training.effective_spec import training_values
from modelops.domain.training.outcome.conclude import conclude, settled
from modelops.domain.training.outcome.remedies import remedy
from modelops.domain.training.pricing.flavor_choice import AUTO
from modelops.domain.training.pricing.hardware import known
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, wait, with_phase
from modelops.domain.training.submission.checkpoints import checkpoint_steps
from modelops.ports import Flavor

DEFAULT_BACKOFF_LIMIT: Final = 2
"""Where spec.backoffLimit says nothing."""
SET_IT_TO_FALSE: Final = "spec.suspend is true: set it to false to go on"
MOST_KEPT: Final = 32
WORDS: Final = 400

AT_ONCE: Final = frozenset(
    {
        TrainingReason.OutOfMemory,
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.StuckInScheduling,
    }
)
"""Another attempt is made otherwise: nothing is won by waiting."""
LATER: Final = frozenset({TrainingReason.JobLost, TrainingReason.HubUnavailable})
"""Another attempt is made as the last one, after a pause: what was away may be back."""
LONGEST_BACKOFF_SECONDS: Final = 600.0
SAME_HARDWARE: Final = frozenset(
    {
        TrainingReason.JobLost,
        TrainingReason.HubUnavailable,
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.Suspended,
    }
)


def retry_or_conclude(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """The attempt did not make a model, and nothing of it runs: another one follows, or the run ends."""
    if reason is TrainingReason.Suspended:
        return followed(state, reason, message)
    hindrance = no_other(state, reason)
    if hindrance is None:
        return followed(state, reason, message)
    return conclude(state, reason, f"{message}{hindrance}{remedy(state, reason)}")


def no_other(state: State, reason: TrainingReason) -> str | None:
    """Why no other attempt follows, as the end of a sentence; None where one does."""
    if (
        state.stopping
        or state.run.status.ending == TrainingReason.DeadlineExceeded.value
        or reason not in AT_ONCE | LATER
    ):
        return ""
    limit = backoff_limit(state)
    if retries(state) >= limit:
        return f"; no further attempt: spec.backoffLimit is {limit}" if limit else ""
    if reason is TrainingReason.TimedOut and not checkpoint_is_kept(state):
        return "; no further attempt: without a checkpoint it would end in the same way"
    if reason is TrainingReason.OutOfMemory and smaller(state) is None and not chooses_hardware(state):
        return "; no further attempt: the batch is 1, and the hardware was chosen by name"
    return None


def backoff_limit(state: State) -> int:
    asked = state.run.spec.backoff_limit
    return DEFAULT_BACKOFF_LIMIT if asked is None else asked


def retries(state: State) -> int:
    """Further attempts so far; a suspension is none."""
    return sum(past.reason != TrainingReason.Suspended.value for past in state.run.status.attempts)


def chooses_hardware(state: State) -> bool:
    """Whether the hardware was left to us."""
    backend = state.run.spec.backend.hugging_face
    return backend is not None and backend.flavor == AUTO


def checkpoint_is_kept(state: State) -> bool:
    """Whether the attempt came as far as its first checkpoint."""
    status = state.run.status
    if status.dataset is None or status.estimate is None or status.progress is None:
        return False
    steps = checkpoint_steps(
        examples=status.dataset.train,
        values=attempt_values(state),
        high_minutes=status.estimate.high_minutes,
    )
    return bool(steps) and status.progress.step >= steps


def followed(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """9. Settle the attempt in the record; then the status has no job, one attempt more, and no price."""
    job, record = state.require_job(), state.require_record()
    booked = settled(state, record)
    writes: tuple[TrainingStep, ...] = ()
    if booked != record:
        name = state.run.metadata.name
        writes = (WriteRecord(record=booked, purpose=f"settle attempt {job.attempt} of {name}"),)
    cost = booked.settlements[state.reservation_key].usd_micro
    past = passed(state, job, reason, message, cost=cost)
    suspended = reason is TrainingReason.Suspended
    told = SET_IT_TO_FALSE if suspended else f"{message[:WORDS]}; attempt {job.attempt + 1} follows"
    why = TrainingReason.Suspended if suspended else TrainingReason.Retrying
    status = with_phase(
        state,
        TrainingPhase.SUSPENDED if suspended else TrainingPhase.PENDING,
        why,
        told,
        facts={"Submitted": False},
        attempts=(*state.run.status.attempts, past)[-MOST_KEPT:],
        cost_usd=dollars(booked.spent_by(state.uid)),
        job=None,
        estimate=None,
        progress=None,
        ending="",
        **({"active_since": None} if suspended else {}),
    )
    return Plan(steps=(*writes, *status_steps(state, status, why, told)), requeue_after=0)


def passed(state: State, job: JobStatus, reason: TrainingReason, message: str, *, cost: int) -> AttemptStatus:
    """The attempt as it is remembered; what the next one needs of it is in here."""
    estimate, (batch, accumulation) = state.run.status.estimate, sizes_of(attempt_values(state))
    left = state.report.metrics.get("seconds_left", 0.0) if isinstance(state.report, JobReport) else 0.0
    return AttemptStatus(
        attempt=job.attempt,
        label=job.label,
        job=job.id,
        flavor=estimate.flavor if estimate else "",
        usd_per_hour=estimate.usd_per_hour if estimate else "0",
        reason=reason.value,
        message=message[:512],
        cost_usd=dollars(cost),
        batch_size=batch,
        gradient_accumulation_steps=accumulation,
        remaining_seconds=round(left) if reason is TrainingReason.TooSlow and 0 < left < 10**7 else 0,
        intended_at=job.intended_at,
        finished_at=state.now.replace(microsecond=0),
    )


def last(state: State) -> AttemptStatus | None:
    """The attempt before the one that is to come or under way."""
    past = state.run.status.attempts
    return past[-1] if past else None


# What the next attempt is made of.


def backoff_has_not_elapsed(state: State) -> TrainingPlan | None:
    """After a loss, twice as long after each further one, ten minutes at most."""
    before = last(state)
    if before is None or before.finished_at is None or TrainingReason.named(before.reason) not in LATER:
        return None
    lost = sum(TrainingReason.named(past.reason) in LATER for past in state.run.status.attempts)
    pause = min(state.settings.retry_seconds * 2 ** (lost - 1), LONGEST_BACKOFF_SECONDS)
    left = (before.finished_at + timedelta(seconds=pause) - state.now).total_seconds()
    return Plan(requeue_after=left) if 0 < left <= pause else None


def run_is_suspended(state: State) -> TrainingPlan | None:
    if not state.run.spec.suspend:
        return None
    return wait(
        state,
        TrainingPhase.SUSPENDED,
        TrainingReason.Suspended,
        SET_IT_TO_FALSE,
        after=None,
        active_since=None,
    )


def smaller(state: State) -> tuple[int, int] | None:
    """Batch and accumulation of an attempt with half the memory for examples; None where the batch is 1.

    An update has as many examples as before, so that a checkpoint can be gone on from.
    """
    before = last(state)
    if state.run.status.job is None and before is not None:
        batch, accumulation = before.batch_size, before.gradient_accumulation_steps
    else:
        batch, accumulation = sizes_of(attempt_values(state))
    update = batch * accumulation
    half = next((size for size in range(batch // 2, 0, -1) if update % size == 0), None)
    return (half, update // half) if half else None


def sizes(state: State) -> tuple[int, int]:
    """Batch and accumulation of the attempt that is to come; zeros: as the recipe has them."""
    before = last(state)
    if before is None:
        return 0, 0
    found = before.batch_size, before.gradient_accumulation_steps
    if before.reason == TrainingReason.OutOfMemory.value:
        found = smaller(state) or found
    return (0, 0) if found == sizes_of(training_values(state)) else found


def sizes_of(values: Mapping[str, Any]) -> tuple[int, int]:
    """Batch and accumulation of training values."""
    return int(values.get("batch_size", 1)), int(values.get("gradient_accumulation_steps", 1))


def attempt_values(state: State) -> dict[str, Any]:
    """The training values of the attempt that is under way, or to come."""
    job = state.run.status.job
    batch, accumulation = (job.batch_size, job.gradient_accumulation_steps) if job else sizes(state)
    values = training_values(state)
    if not batch:
        return values
    return {**values, "batch_size": batch, "gradient_accumulation_steps": accumulation}


def kept_hardware(state: State, flavors: tuple[Flavor, ...]) -> Flavor | None:
    """The hardware of the attempt before, where the next one goes on with it and it is still offered."""
    before = last(state)
    if before is None:
        return None
    halved = before.reason == TrainingReason.OutOfMemory.value and smaller(state) is not None
    if not halved and TrainingReason.named(before.reason) not in SAME_HARDWARE:
        return None
    priced = (flavor for flavor in flavors if flavor.usd_micro_per_hour > 0)
    return next((flavor for flavor in priced if flavor.name == before.flavor), None)


def hardware_for(state: State, flavors: tuple[Flavor, ...]) -> tuple[Flavor, ...]:
    """Of what is offered, what the next attempt may use, where the choice is ours.

    Nothing with no more memory than what a batch of 1 did not fit; what did not come only where nothing else is left.
    """
    past = state.run.status.attempts
    full = (p for p in past if p.reason == TrainingReason.OutOfMemory.value and p.batch_size <= 1)
    most = max((gigabytes(p.flavor) for p in full), default=-1)
    large = tuple(flavor for flavor in flavors if gigabytes(flavor.name) > most)
    stuck = {p.flavor for p in past if p.reason == TrainingReason.StuckInScheduling.value}
    return tuple(flavor for flavor in large if flavor.name not in stuck) or large


def gigabytes(flavor: str) -> int:
    """Memory of one of its devices, which is what a step has."""
    hardware = known(Flavor(name=flavor, usd_micro_per_hour=0))
    return hardware.device.gigabytes if hardware else 0
