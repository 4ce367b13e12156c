"""What follows a failed attempt: another one, or the end of the run.

Protocol "Paid job", step 9: the record is settled before the status is written. Both writes can be repeated: a settled
attempt is not settled again, and the number of the next attempt follows from the status alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from modelops.api.v1alpha1.trainingrun import AttemptStatus, JobStatus, TrainingPhase
from modelops.domain.job_report import JobReport
from modelops.domain.money import dollars
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan, TrainingStep
from modelops.domain.training.next_attempt import (
    attempt_values,
    batch_sizes,
    flavor_is_auto,
    halved_batch_sizes,
    previous_attempt,
)
from modelops.domain.training.outcome.conclude import conclude
from modelops.domain.training.outcome.remedies import remedy_for
from modelops.domain.training.outcome.settlement import settle_attempt
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, wait_in_phase, with_phase
from modelops.domain.training.submission.checkpoints import checkpoint_steps

DEFAULT_BACKOFF_LIMIT: Final = 2
"""Where spec.backoffLimit says nothing."""

SUSPENDED_MESSAGE: Final = "spec.suspend is true: set it to false to go on"

MAX_KEPT_ATTEMPTS: Final = 32

MAX_MESSAGE_LENGTH: Final = 400

RETRIED_AT_ONCE: Final = frozenset(
    {
        TrainingReason.OutOfMemory,
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.StuckInScheduling,
    }
)
"""Another attempt is made otherwise: nothing is won by waiting."""

RETRIED_AFTER_BACKOFF: Final = frozenset({TrainingReason.JobLost, TrainingReason.HubUnavailable})
"""Another attempt is made as the last one, after a pause: what was away may be back."""

MAX_BACKOFF_SECONDS: Final = 600.0


def retry_or_conclude(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """The attempt did not make a model, and nothing of it runs: another one follows, or the run ends."""
    if reason is TrainingReason.Suspended:
        return begin_next_attempt(state, reason, message)
    hindrance = reason_against_retry(state, reason)
    if hindrance is None:
        return begin_next_attempt(state, reason, message)
    return conclude(state, reason, f"{message}{hindrance}{remedy_for(state, reason)}")


def reason_against_retry(state: State, reason: TrainingReason) -> str | None:
    """Why no other attempt follows, as the end of a sentence; None where one does."""
    if (
        state.stop_is_requested
        or state.run.status.ending == TrainingReason.DeadlineExceeded.value
        or reason not in RETRIED_AT_ONCE | RETRIED_AFTER_BACKOFF
    ):
        return ""
    limit = backoff_limit(state)
    if retries(state) >= limit:
        return f"; no further attempt: spec.backoffLimit is {limit}" if limit else ""
    if reason is TrainingReason.TimedOut and not checkpoint_is_kept(state):
        return "; no further attempt: without a checkpoint it would end in the same way"
    if (
        reason is TrainingReason.OutOfMemory
        and halved_batch_sizes(state) is None
        and not flavor_is_auto(state)
    ):
        return "; no further attempt: the batch is 1, and the hardware was chosen by name"
    return None


def backoff_limit(state: State) -> int:
    asked = state.run.spec.backoff_limit
    return DEFAULT_BACKOFF_LIMIT if asked is None else asked


def retries(state: State) -> int:
    """Further attempts so far; a suspension is none."""
    return sum(past.reason != TrainingReason.Suspended.value for past in state.run.status.attempts)


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


def begin_next_attempt(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """9. Settle the attempt in the record; then the status has no job, one attempt more, and no price."""
    job, record = state.require_job(), state.require_record()
    booked = settle_attempt(state, record)
    writes: tuple[TrainingStep, ...] = ()
    if booked != record:
        name = state.run.metadata.name
        writes = (WriteRecord(record=booked, purpose=f"settle attempt {job.attempt} of {name}"),)
    cost = booked.settlements[state.reservation_key].usd_micro
    past = finished_attempt(state, job, reason, message, cost=cost)
    suspended = reason is TrainingReason.Suspended
    told = (
        SUSPENDED_MESSAGE
        if suspended
        else f"{message[:MAX_MESSAGE_LENGTH]}; attempt {job.attempt + 1} follows"
    )
    why = TrainingReason.Suspended if suspended else TrainingReason.Retrying
    status = with_phase(
        state,
        TrainingPhase.SUSPENDED if suspended else TrainingPhase.PENDING,
        why,
        told,
        facts={"Submitted": False},
        attempts=(*state.run.status.attempts, past)[-MAX_KEPT_ATTEMPTS:],
        cost_usd=dollars(booked.spent_by(state.uid)),
        job=None,
        estimate=None,
        progress=None,
        ending="",
        **({"active_since": None} if suspended else {}),
    )
    return Plan(steps=(*writes, *status_steps(state, status, why, told)), requeue_after=0)


def finished_attempt(
    state: State, job: JobStatus, reason: TrainingReason, message: str, *, cost: int
) -> AttemptStatus:
    """The attempt as it is remembered; what the next one needs of it is in here."""
    estimate, (batch, accumulation) = state.run.status.estimate, batch_sizes(attempt_values(state))
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


def backoff_has_not_elapsed(state: State) -> TrainingPlan | None:
    """After a loss, twice as long after each further one, ten minutes at most."""
    before = previous_attempt(state)
    if (
        before is None
        or before.finished_at is None
        or TrainingReason.named(before.reason) not in RETRIED_AFTER_BACKOFF
    ):
        return None
    lost = sum(
        TrainingReason.named(past.reason) in RETRIED_AFTER_BACKOFF for past in state.run.status.attempts
    )
    pause = min(state.settings.retry_seconds * 2 ** (lost - 1), MAX_BACKOFF_SECONDS)
    left = (before.finished_at + timedelta(seconds=pause) - state.now).total_seconds()
    return Plan(requeue_after=left) if 0 < left <= pause else None


def run_is_suspended(state: State) -> TrainingPlan | None:
    if not state.run.spec.suspend:
        return None
    return wait_in_phase(
        state,
        TrainingPhase.SUSPENDED,
        TrainingReason.Suspended,
        SUSPENDED_MESSAGE,
        after=None,
        active_since=None,
    )
