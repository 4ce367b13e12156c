"""Why an attempt made no model: a reason that decides what follows, and a message for a person."""

from __future__ import annotations

import re
from typing import Final

from modelops.domain.job_report import FAILURES, JobReport
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.outcome.ending import ending_reason
from modelops.domain.training.outcome.remedies import OUT_OF_MEMORY
from modelops.domain.training.outcome.settlement import billed_seconds
from modelops.domain.training.state import State
from modelops.ports import Job

UNPUBLISHED_ENDS: Final = frozenset(
    {
        TrainingReason.BadData,
        TrainingReason.OutOfMemory,
        TrainingReason.TooSlow,
        TrainingReason.ModelDoesNotStop,
        TrainingReason.Cancelled,
    }
)
"""Reasons that exclude a published model, or make it useless."""
_BROKEN_HARDWARE: Final = re.compile(
    r"uncorrectable ecc|\bnccl\b|unspecified launch failure|fell off the bus", re.IGNORECASE
)
"""What PyTorch says if a device or a link is broken."""
STOPPED_STAGES: Final = frozenset({"CANCELED", "DELETED"})
"""Stages of a job that somebody stopped: the operator, or a person at the service."""
FIRST_SIGNAL_CODE: Final = 128
"""From here on, exit codes are those of processes that a signal ended."""
KILLED: Final = 137
"""Exit code of a process that SIGKILL ended: 128 + 9."""
WORDS_WITHOUT_A_CAUSE: Final = frozenset(
    f"job container process failed exited terminated ended error with exit status code {KILLED}".split()
)
TIMED_OUT: Final = re.compile(r"\btime(?:d[ -]?|-)?out\b|\btime limit\b", re.IGNORECASE)
TIMEOUT_EDGE_SECONDS: Final = 60
"""How far below its timeout the billed seconds of a job may be that reached it; at most a tenth of the timeout."""


def classify_end(state: State, job: Job | None, report: JobReport | None) -> tuple[TrainingReason, str]:
    """Reason and message of an attempt whose recorded job has ended. `job`: None if the service no longer knows it."""
    run, recorded = state.run, state.require_job()
    if state.stop_is_requested:
        cause = "cancelled by spec.cancel" if run.spec.cancel else "the TrainingRun was deleted"
        return TrainingReason.Cancelled, f"{cause}; job {recorded.id} was stopped"
    if run.status.ending == TrainingReason.DeadlineExceeded.value:
        seconds = run.spec.active_deadline_seconds
        return (
            TrainingReason.DeadlineExceeded,
            f"spec.activeDeadlineSeconds {seconds} passed; job {recorded.id} was stopped",
        )
    if state.operator_ended_attempt and (job is None or not ended_by_itself(job, report)):
        return ending_reason(state)
    if job is None:
        return TrainingReason.JobLost, (
            f"the service no longer knows job {recorded.id}; its reservation is booked as spent"
        )
    log = log_location(job, recorded.url)
    return classify_job(job, report, timeout_seconds=recorded.timeout_seconds, log=log)


def report_is_needed(state: State, job: Job) -> bool:
    """Whether the job's own report decides what follows: not if the operator ended the attempt, and stopped this job.

    A suspended job that was not stopped has ended before, and its report may say that the next one would end alike.
    """
    if state.stop_is_requested or state.run.status.ending == TrainingReason.DeadlineExceeded.value:
        return False
    return not state.operator_ended_attempt or job.stage not in STOPPED_STAGES


def ended_by_itself(job: Job, report: JobReport | None) -> bool:
    """Whether the job has reported a failure of its own, so that its end is no consequence of being stopped.

    A failure without a meaning of its own can be one: a signal ends a process of the job, and another one reports that.
    """
    reported = effective_report(job, report)
    if reported is None or reported.failure == "already_claimed":
        return False
    return reported.failure != "failed" or (
        job.stage not in STOPPED_STAGES and (job.exit_code or 0) < FIRST_SIGNAL_CODE
    )


def effective_report(job: Job, report: JobReport | None) -> JobReport | None:
    """What the job says of its failure: its report, or an exit code that only the trainer uses; None without both."""
    return report if report is not None and report.failure else report_from_exit_code(job)


def classify_job(
    job: Job, report: JobReport | None, *, timeout_seconds: int, log: str
) -> tuple[TrainingReason, str]:
    """By the job's own report; without one, by what the service says of the job."""
    reported = effective_report(job, report)
    if reported is not None:
        return classify_report(job, reported, log=log)
    if reached_timeout(job, timeout_seconds):
        return TrainingReason.TimedOut, (
            f"job {job.id} reached its timeout of {timeout_seconds} s, the high end of the estimate"
        )
    words = f": {job.message}" if job.message else ""
    if job.stage in STOPPED_STAGES:
        return (
            TrainingReason.JobStopped,
            f"job {job.id} was stopped at the service, not by the operator{words}",
        )
    if OUT_OF_MEMORY.search(job.message):
        return TrainingReason.OutOfMemory, f"job {job.id} ran out of memory{words}"
    if was_killed_without_a_word(job):
        return TrainingReason.JobKilled, (
            f"job {job.id} was killed with exit code {KILLED}, and neither its report nor the service says why; "
            "usually the memory of the machine (not of the GPU) was exhausted"
        )
    return (
        TrainingReason.JobLost,
        f"job {job.id} ended as {job.stage} without a report{words}; its log: {log}",
    )


def reached_timeout(job: Job, timeout_seconds: int) -> bool:
    """Whether the service ended the job because of its timeout: it says so, or the job ran for as long.

    The service stops such a job as ERROR or as CANCELED, and its clock is not the one that counts the seconds.
    """
    if not timeout_seconds or job.stage == "COMPLETED":
        return False
    edge = min(TIMEOUT_EDGE_SECONDS, timeout_seconds // 10)
    return billed_seconds(job) >= timeout_seconds - edge or bool(TIMED_OUT.search(job.message))


def was_killed_without_a_word(job: Job) -> bool:
    """Whether all that is known is the exit code of SIGKILL. Any other word (`node lost`, `Evicted`) is a cause."""
    if job.exit_code != KILLED:
        return False
    return set(re.findall(r"[a-z0-9]+", job.message.lower())) <= WORDS_WITHOUT_A_CAUSE


def log_location(job: Job, url: str) -> str:
    """Where a person finds the job's log."""
    return job.url or url or f"the log of the Pod of {job.id}"


def report_from_exit_code(job: Job) -> JobReport | None:
    """A report from the exit code, if it is one that only the trainer uses; None for all others."""
    failure = FAILURES.get(job.exit_code or 0, "failed")
    return None if failure == "failed" else JobReport(kind="error", t=0.0, began_at=0.0, failure=failure)


def classify_report(job: Job, report: JobReport, *, log: str) -> tuple[TrainingReason, str]:
    """Reason and message of an end that the job reported itself."""
    words = f": {report.error}" if report.error else ""
    match report.failure:
        case "out_of_memory":
            return TrainingReason.OutOfMemory, f"job {job.id} ran out of memory{words}"
        case "bad_data":
            return TrainingReason.BadData, f"job {job.id} found the data unusable{words}"
        case "never_stops":
            return TrainingReason.ModelDoesNotStop, (
                f"job {job.id} trained a model that does not end its answers{words}: train longer, or on answers that "
                "end, in a new run"
            )
        case "too_slow":
            return TrainingReason.TooSlow, f"job {job.id} would not have finished in time{words}"
    if report.error.startswith("HubSilent"):
        return TrainingReason.HubUnavailable, f"job {job.id} got no answer from the Hub{words}"
    if report.error.startswith("HubRefused"):
        return TrainingReason.HubRefused, f"job {job.id} was refused by the Hub{words}"
    if _BROKEN_HARDWARE.search(report.error):
        return TrainingReason.JobLost, f"job {job.id} failed on broken hardware{words}; its log: {log}"
    return TrainingReason.JobFailed, f"job {job.id} ended as {job.stage}{words}; its log: {log}"
