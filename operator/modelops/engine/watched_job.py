"""A paid job that the poller watches, and its newest state."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from modelops.domain.job_report import JobReport
from modelops.ports import Job


@dataclass(frozen=True, kw_only=True)
class WatchedJob:
    """A job to watch. The poller's callback `changed` is called with `key`."""

    key: Hashable
    token: str = field(repr=False)
    namespace: str
    job_id: str
    nonce: str = field(repr=False, default="")
    """Nonce of the job's reports; empty: the log is not read."""


@dataclass(frozen=True, kw_only=True)
class JobObservation:
    """The newest state of a watched job. Times are seconds of the monotonic clock."""

    job: Job | None = None
    """The newest answer; None before the first answer, and where the service does not know the job."""
    report: JobReport | None = None
    not_found: bool = False
    """Whether the service has not known the job for minutes."""
    observed_at: float | None = None
    """Time of the newest answer."""
    report_read_at: float | None = None
    """Time at which the log was last read."""
    problem: str = ""
    """Why the last request failed; empty where it succeeded."""
    token_refusal: str = ""
    """Why the service refuses the token; empty where it accepts it, or was not asked since."""
    report_is_final: bool = False
    """Whether `report` is all that is to be known about a job that has ended."""

    @property
    def settled(self) -> bool:
        """Whether it needs no more requests: it has ended, and all about its end is known."""
        return self.job is not None and self.job.ended and self.report_is_final

    def notable_state(self) -> tuple[object, ...]:
        """The parts whose change is worth a reconcile. Running seconds and times of requests are not among them."""
        job = self.job
        return (
            self.not_found,
            self.token_refusal,
            self.report,
            self.report_is_final,
            job and (job.stage, job.message, job.started_at, job.finished_at),
        )
