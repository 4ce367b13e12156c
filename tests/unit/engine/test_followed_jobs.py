"""When the poller has seen enough of a job: its end, and that the service no longer knows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from modelops.engine.poller import SharedJobPoller
from modelops.engine.watched_job import JobObservation, WatchedJob
from modelops.ports import Job, Unavailable

POLL_SECONDS = 15.0
MEASURED = (
    '@@modelops:n@@ {"v":1,"kind":"error","t":9.0,"reason":"TooSlow","message":"too slow","exit_code":45,'
    '"step":8,"max_steps":900,"metrics":{"seconds_left":9000}}',
)


class Clock:
    """A clock that stands still until a test moves it."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


class Service:
    """Answers about one job, which it never lists."""

    job: Job | None = None
    log: tuple[str, ...] = ()
    down = False

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        return ()

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        if self.down:
            raise Unavailable("answered 503")
        return self.job

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        return self.log

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        return self.log


class Followed:
    """A job that the poller watches."""

    def __init__(self) -> None:
        self.service, self.clock = Service(), Clock()
        self.told: list[Any] = []
        jobs: Any = self.service
        self.poller = SharedJobPoller(jobs, clock=self.clock, changed=self.told.append)
        self.poller.watch(WatchedJob(key="run", token="t", namespace="o", job_id="job1", nonce="n"))

    async def poll(self, *, after: float = POLL_SECONDS) -> JobObservation:
        """The observation after one more poll."""
        self.clock.seconds += after
        await self.poller.poll()
        seen = self.poller.observe("run")
        assert seen is not None
        return seen


@pytest.fixture
def followed() -> Followed:
    return Followed()


def ended(exit_code: int) -> Job:
    """A job that ended with this exit code, as the service's message says."""
    return Job(id="job1", stage="ERROR", message="Job failed", exit_code=exit_code, label="attempt")


async def test_what_a_job_measured_is_waited_for_although_its_exit_code_says_too_slow(
    followed: Followed,
) -> None:
    followed.service.job = ended(45)
    seen = await followed.poll()
    assert (seen.report, seen.settled) == (None, False)
    followed.service.log = MEASURED
    seen = await followed.poll()
    assert seen.settled
    assert seen.report is not None
    assert seen.report.metrics["seconds_left"] == 9000


async def test_what_a_job_measured_is_not_waited_for_without_end(followed: Followed) -> None:
    followed.service.job = ended(45)
    await followed.poll()
    seen = await followed.poll(after=180.0)
    assert (seen.report, seen.settled) == (None, True)


async def test_exit_codes_that_say_all_need_no_log(followed: Followed) -> None:
    followed.service.job = ended(44)
    assert (await followed.poll()).settled


async def test_a_job_is_not_lost_after_a_few_quick_answers_without_it(followed: Followed) -> None:
    for _ in range(30):
        assert not (await followed.poll(after=1.0)).not_found
    followed.service.job = Job(id="job1", stage="RUNNING", label="attempt")
    seen = await followed.poll()
    assert seen.job is not None
    followed.service.job = None  # What was counted before does not count any more.
    for _ in range(5):
        assert not (await followed.poll()).not_found


async def test_a_job_that_the_service_has_not_known_for_minutes_is_lost(followed: Followed) -> None:
    followed.service.job = Job(id="job1", stage="RUNNING", label="attempt")
    await followed.poll()
    followed.service.job = None
    for _ in range(12):
        seen = await followed.poll()
        assert not seen.not_found
    seen = await followed.poll()
    assert (seen.not_found, seen.job) == (True, None)
    assert followed.told == ["run", "run"]


async def test_an_outage_between_two_answers_does_not_count_as_a_third(followed: Followed) -> None:
    await followed.poll()
    followed.service.down = True
    await followed.poll(after=600.0)
    followed.service.down = False
    assert not (await followed.poll()).not_found


async def test_a_lost_job_is_followed_again_when_the_service_knows_it(followed: Followed) -> None:
    for _ in range(14):
        seen = await followed.poll()
    assert seen.not_found
    followed.service.job = Job(id="job1", stage="RUNNING", label="attempt")
    seen = await followed.poll()
    assert not seen.not_found
    assert seen.job is not None
    assert followed.told == ["run", "run"]
