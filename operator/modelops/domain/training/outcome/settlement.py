"""What an attempt cost, and its settlement in the record."""

from __future__ import annotations

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import micro
from modelops.domain.record import Record, Settlement
from modelops.domain.training.effective_spec import billed_namespace, output_repository
from modelops.domain.training.pricing.estimate import billed_micro_usd
from modelops.domain.training.pricing.measured_speed import with_measured_speed
from modelops.domain.training.state import State
from modelops.ports import Job

JobsById = dict[str, Job]


def settle_attempt(state: State, record: Record) -> Record:
    """The record with the attempt's reservation replaced by what was billed, and with the speed that its job reported.

    Unchanged if the attempt is settled already or was never reserved.
    """
    key, reservation = state.reservation_key, record.reservations.get(state.reservation_key)
    not_submitted = state.run.status.job is None and state.attempt > 1
    if reservation is None and (key in record.settlements or not_submitted):
        return record
    jobs = jobs_of_attempt(state)
    settlement = Settlement(
        usd_micro=attempt_cost(state, jobs, reserved=reservation.usd_micro if reservation else 0),
        month=reservation.month if reservation else f"{state.now:%Y-%m}",
        jobs=tuple(sorted({*jobs, *recorded_job_ids(state)})),
        version=reservation.version if reservation else "",
        repo=output_repository(state),
        account=billed_namespace(state),
    )
    return with_measured_speed(state, record).with_(
        reservations={k: v for k, v in record.reservations.items() if k != state.reservation_key},
        settlements={**record.settlements, state.reservation_key: settlement},
    )


def recorded_job_ids(state: State) -> tuple[str, ...]:
    """The id of the recorded job, which belongs to the settlement even if the service has forgotten the job."""
    job = state.run.status.job
    return (job.id,) if job is not None and job.id else ()


def jobs_of_attempt(state: State) -> JobsById:
    """The attempt's jobs that the service still knows, by id."""
    listed = () if state.labelled is UNSEEN or isinstance(state.labelled, Outage) else state.labelled
    jobs = {job.id: job for job in listed}
    if isinstance(state.job, Job):
        jobs[state.job.id] = state.job
    return jobs


def attempt_cost(state: State, jobs: JobsById, *, reserved: int) -> int:
    """In micro-USD: each job by the started minute; at least the reservation if the service forgot the recorded job, or
    does not say how long one ran."""
    status = state.run.status
    price = micro(status.estimate.usd_per_hour) if status.estimate else 0
    billed = sum(billed_micro_usd(billed_seconds(job), price) for job in jobs.values())
    forgotten = status.job is not None and status.job.id and status.job.id not in jobs
    is_unknown = forgotten or any(map(has_unknown_duration, jobs.values()))
    return max(billed, reserved) if is_unknown else billed


def has_unknown_duration(job: Job) -> bool:
    """Whether a job has run, and the service says neither when it ended nor for how long it ran."""
    return job.started_at is not None and job.finished_at is None and not job.running_seconds


def billed_seconds(job: Job) -> int:
    """Seconds that are billed: the reported ones, but not less than from the job's start to its end.

    The service bills starting time, too, and its duration may leave that out.
    """
    if job.started_at is None or job.finished_at is None:
        return job.running_seconds
    return max(job.running_seconds, int((job.finished_at - job.started_at).total_seconds()))
