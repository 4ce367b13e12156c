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
"""Used if spec.backoffLimit is not set."""
SUSPENDED_MESSAGE: Final = "spec.suspend is true: set it to false to continue"
MAX_KEPT_ATTEMPTS: Final = 32
"""Finished attempts in status.attempts; the oldest ones are dropped."""
MAX_MESSAGE_LENGTH: Final = 400

RETRIED_AT_ONCE: Final = frozenset(
    {
        TrainingReason.OutOfMemory,
        TrainingReason.JobKilled,
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.StuckInScheduling,
    }
)
"""The next attempt differs, in hardware, batch size or timeout, so it starts without a pause."""
RETRIED_AFTER_BACKOFF: Final = frozenset(
    {TrainingReason.JobLost, TrainingReason.HubUnavailable, TrainingReason.HubRefused}
)
"""The next attempt is the same one again, after a pause in which the service may recover."""
MAX_BACKOFF_SECONDS: Final = 600.0


def retry_or_conclude(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """The attempt made no model, and none of its jobs runs: start another attempt, or end the run."""
    if reason is TrainingReason.Suspended:
        return begin_next_attempt(state, reason, message)
    obstacle = reason_against_retry(state, reason)
    if obstacle is None:
        return begin_next_attempt(state, reason, message)
    return conclude(state, reason, f"{message}{obstacle}{remedy_for(state, reason)}")


def reason_against_retry(state: State, reason: TrainingReason) -> str | None:
    """Why no further attempt follows, as the end of a sentence; None if one follows."""
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
        return "; no further attempt: without a checkpoint it would time out again"
    if reason is TrainingReason.HubRefused and not checkpoint_is_kept(state):
        return "; no further attempt: there is no checkpoint from which only the rest would be paid for"
    if reason is TrainingReason.JobKilled and not flavor_is_auto(state):
        return "; no further attempt: the run names its hardware"
    if (
        reason is TrainingReason.OutOfMemory
        and halved_batch_sizes(state) is None
        and not flavor_is_auto(state)
    ):
        return "; no further attempt: the batch size is 1, and the run names its hardware"
    return None


def backoff_limit(state: State) -> int:
    limit = state.run.spec.backoff_limit
    return DEFAULT_BACKOFF_LIMIT if limit is None else limit


def retries(state: State) -> int:
    """Number of finished attempts that count against spec.backoffLimit; suspended ones do not."""
    return sum(past.reason != TrainingReason.Suspended.value for past in state.run.status.attempts)


def checkpoint_is_kept(state: State) -> bool:
    """Whether the attempt has a checkpoint: by its last report; without one, by the progress that was seen."""
    status, report = state.run.status, state.report
    if isinstance(report, JobReport) and report.checkpoint is not None:
        return report.checkpoint > 0
    if status.dataset is None or status.estimate is None or status.progress is None:
        return False
    steps = checkpoint_steps(
        examples=status.dataset.train,
        values=attempt_values(state),
        high_minutes=status.estimate.high_minutes,
        minutes=status.estimate.checkpoint_minutes,
    )
    return bool(steps) and status.progress.step >= steps


def begin_next_attempt(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """Step 9: settles the attempt in the record, then moves it to status.attempts and clears job and price."""
    job, record = state.require_job(), state.require_record()
    settled = settle_attempt(state, record)
    writes: tuple[TrainingStep, ...] = ()
    if settled != record:
        name = state.run.metadata.name
        writes = (WriteRecord(record=settled, purpose=f"settle attempt {job.attempt} of {name}"),)
    cost = settled.settlements[state.reservation_key].usd_micro
    past = finished_attempt(state, job, reason, message, cost=cost)
    suspended = reason is TrainingReason.Suspended
    text = (
        SUSPENDED_MESSAGE
        if suspended
        else f"{message[:MAX_MESSAGE_LENGTH]}; attempt {job.attempt + 1} follows"
    )
    next_reason = TrainingReason.Suspended if suspended else TrainingReason.Retrying
    status = with_phase(
        state,
        TrainingPhase.SUSPENDED if suspended else TrainingPhase.PENDING,
        next_reason,
        text,
        facts={"Submitted": False},
        attempts=(*state.run.status.attempts, past)[-MAX_KEPT_ATTEMPTS:],
        cost_usd=dollars(settled.spent_by(state.uid)),
        job=None,
        estimate=None,
        progress=None,
        ending="",
        **({"active_since": None} if suspended else {}),
    )
    return Plan(steps=(*writes, *status_steps(state, status, next_reason, text)), requeue_after=0)


def finished_attempt(
    state: State, job: JobStatus, reason: TrainingReason, message: str, *, cost: int
) -> AttemptStatus:
    """The attempt's entry in status.attempts, with all that the next attempt depends on."""
    estimate, (batch, accumulation) = state.run.status.estimate, batch_sizes(attempt_values(state))
    remaining = state.report.metrics.get("seconds_left", 0.0) if isinstance(state.report, JobReport) else 0.0
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
        remaining_seconds=round(remaining)
        if reason is TrainingReason.TooSlow and 0 < remaining < 10**7
        else 0,
        intended_at=job.intended_at,
        finished_at=state.now.replace(microsecond=0),
    )


def backoff_has_not_elapsed(state: State) -> TrainingPlan | None:
    """Waits after a loss: twice as long after each further one, up to ten minutes."""
    previous = previous_attempt(state)
    if (
        previous is None
        or previous.finished_at is None
        or TrainingReason.named(previous.reason) not in RETRIED_AFTER_BACKOFF
    ):
        return None
    lost = sum(
        TrainingReason.named(past.reason) in RETRIED_AFTER_BACKOFF for past in state.run.status.attempts
    )
    pause = min(state.settings.retry_seconds * 2 ** (lost - 1), MAX_BACKOFF_SECONDS)
    remaining = (previous.finished_at + timedelta(seconds=pause) - state.now).total_seconds()
    return Plan(requeue_after=remaining) if 0 < remaining <= pause else None


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
