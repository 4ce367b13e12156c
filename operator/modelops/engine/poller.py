"""One listing of an account's jobs for all runs that wait for one of them."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Container,
    Coroutine,
    Hashable,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelops.domain.job_report import CAUSES_WITHOUT_A_REPORT, failure_of, merge_reports, parse_reports
from modelops.engine.watched_job import JobObservation, WatchedJob
from modelops.ports import Clock, Job, Jobs, Refused, TokenRefused, Unavailable

logger = logging.getLogger(__name__)

TAILS_AT_ONCE: Final = 4
"""Requests about single jobs that run at the same time."""
READS_PER_POLL: Final = 24
"""Logs of running jobs that are read in one poll, for each account. At the usual interval these are 480 requests in
five minutes, the period over which the Hub counts (a free account has 1,000), and three seconds of four threads."""
BATCH_SIZE: Final = 100
"""Jobs of a listing that are processed before other tasks of the event loop run."""
TAIL_LINES: Final = 200
MISSES_UNTIL_NOT_FOUND: Final = 3
"""Fewest answers without the job until it counts as not found, after `missing_seconds`."""
SHORTEST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0

Account = tuple[str, str]
"""Namespace and token."""
ReadLog = Callable[[str, str, str, int], Awaitable[tuple[str, ...]]]
"""`Jobs.tail` or `Jobs.end_of_log`."""


@dataclass(slots=True)
class _Entry:
    watch: WatchedJob
    observation: JobObservation = field(default_factory=JobObservation)
    misses: int = 0
    """Answers without the job since the last one that had it."""
    missed_at: float | None = None
    """Time of the first of them."""
    read_at: float = float("-inf")
    """When its log was last requested, with or without an answer."""
    ended_at: float | None = None
    """When this process first saw that the job has ended."""


class SharedJobPoller:
    """Lists the active jobs of each account once per interval and calls `changed` for jobs that have changed.

    A job that is no longer in the listing is inspected. Where it has ended, the end of its log is read before the end
    is reported. It is read again in each poll until the job's own last report is there, or `final_seconds` have
    passed: logs can be late, and what an attempt ended with decides whether another one is paid for.
    A job that the service does not know is asked for again in each poll. It counts as not found once that was so for
    `missing_seconds`, and is followed again if the service knows it later: an answer can lag behind a submission.
    Logs of running jobs are read when the last reading is older than `report_seconds`: at most `READS_PER_POLL` in a
    poll, `TAILS_AT_ONCE` at a time, and those first that have waited longest. With a thousand jobs each log is read
    every ten minutes. A rate limit in any answer pauses the whole account. `changed` is called in the event loop,
    after the observation was stored.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        clock: Clock,
        changed: Callable[[Hashable], None],
        interval_seconds: float = 15.0,
        report_seconds: float = 30.0,
        final_seconds: float = 180.0,
        missing_seconds: float = 180.0,
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._changed = changed
        self._interval_seconds = interval_seconds
        self._report_seconds = report_seconds
        self._final_seconds = final_seconds
        self._missing_seconds = missing_seconds
        self._entries: dict[Hashable, _Entry] = {}
        self._active: dict[Account, tuple[Job, ...]] = {}
        self._not_before: dict[Account, float] = {}
        self._failures: dict[Account, int] = {}
        self._tails = asyncio.Semaphore(TAILS_AT_ONCE)
        self._poll_requested = asyncio.Event()

    def watch(self, watch: WatchedJob, *, known: Job | None = None) -> JobObservation:
        """Watches this job from now on and returns its observation. Repeating the call changes nothing.

        `known`: the answer to the job's submission, which counts as the first observation.
        """
        entry = self._entries.get(watch.key)
        if entry is None or entry.watch.job_id != watch.job_id:
            entry = self._entries[watch.key] = _Entry(watch)
            if known is not None and known.id == watch.job_id:
                entry.observation = JobObservation(job=known, observed_at=self._clock.monotonic())
        else:
            entry.watch = watch
        return entry.observation

    def observe(self, key: Hashable) -> JobObservation | None:
        """The observation of the job that is watched under this key; None where none is."""
        entry = self._entries.get(key)
        return entry.observation if entry else None

    def labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """Active jobs with this label in the last listing. There may be others that the listing did not have."""
        return tuple(job for job in self._active.get((namespace, token), ()) if job.label == label)

    def forget(self, key: Hashable) -> None:
        """Stops watching the job."""
        self._entries.pop(key, None)

    def poll_soon(self) -> None:
        """Makes the next poll start within a second instead of at the end of the interval."""
        self._poll_requested.set()

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            self._poll_requested.clear()
            began = self._clock.monotonic()
            try:
                await self.poll()
            except Exception:  # the edge of the loop: without it the first bug would end all polling
                logger.exception("polling jobs failed; the next poll follows")
            await asyncio.sleep(min(SHORTEST_PAUSE_SECONDS, self._interval_seconds))
            with suppress(TimeoutError):
                left = began + self._interval_seconds - self._clock.monotonic()
                await asyncio.wait_for(self._poll_requested.wait(), max(0.0, left))

    async def poll(self) -> None:
        """Polls every account with a watched job once, except accounts that are paused."""
        accounts: dict[Account, list[_Entry]] = defaultdict(list)
        for entry in self._entries.values():
            if not entry.observation.settled:
                accounts[(entry.watch.namespace, entry.watch.token)].append(entry)
        for known in (self._active, self._not_before, self._failures):
            for account in known.keys() - accounts.keys():
                del known[account]
        now = self._clock.monotonic()
        unpaused = [account for account in accounts if self._not_before.get(account, now) <= now]
        await self._each(self._poll_account(account, accounts[account]) for account in unpaused)

    async def _poll_account(self, account: Account, entries: Sequence[_Entry]) -> None:
        namespace, token = account
        try:
            active = await self._jobs.list_active(token, namespace)
        except (Unavailable, Refused) as error:
            self._pause_account(account, error)
            for entry in entries:
                self._store_problem(entry, error)
            return
        self._failures.pop(account, None)
        self._active[account] = active
        by_id = {job.id: job for job in active}
        for number, entry in enumerate(entries, start=1):
            job = by_id.get(entry.watch.job_id)
            if job is not None:
                self._store_job(entry, job)
            if number % BATCH_SIZE == 0:
                await asyncio.sleep(0)
        inspections = [self._inspect(entry) for entry in entries if entry.watch.job_id not in by_id]
        reads = [self._read_log(entry) for entry in self._next_reads(entries, by_id)]
        await self._each([*inspections, *reads])

    async def _each(self, tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Runs all at the same time. A failure of one is logged: it must not hide the others' answers."""
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                logger.error("polling jobs failed; the next poll follows", exc_info=failure)
            elif isinstance(failure, BaseException):
                raise failure

    def _store_job(self, entry: _Entry, job: Job) -> None:
        self._store(entry, self._known(entry, job))

    def _known(self, entry: _Entry, job: Job) -> JobObservation:
        """The observation with this answer, which ends the count of misses."""
        entry.misses, entry.missed_at = 0, None
        return replace(
            entry.observation,
            job=job,
            not_found=False,
            observed_at=self._clock.monotonic(),
            problem="",
            token_refusal="",
        )

    def _next_reads(self, entries: Sequence[_Entry], running: Container[str]) -> list[_Entry]:
        """The listed jobs whose logs have not been requested for the longest time."""
        before = self._clock.monotonic() - self._report_seconds
        candidates = (
            entry
            for entry in entries
            if entry.watch.job_id in running and entry.read_at <= before and _has_log(entry)
        )
        return heapq.nsmallest(READS_PER_POLL, candidates, key=lambda entry: entry.read_at)

    def _pause_account(self, account: Account, error: Unavailable | Refused) -> None:
        failures = self._failures[account] = self._failures.get(account, 0) + 1
        backoff = min(LONGEST_PAUSE_SECONDS, self._interval_seconds * 2 ** min(failures, 8))
        requested = getattr(error, "retry_after", None) or 0.0
        pause = min(LONGEST_PAUSE_SECONDS, max(requested, backoff if isinstance(error, Refused) else 0.0))
        self._not_before[account] = self._clock.monotonic() + pause
        logger.warning("jobs of %s cannot be listed: %s", account[0], error)

    async def _inspect(self, entry: _Entry) -> None:
        """Requests a job that is not in the listing: it has ended, is not listed yet, or does not exist."""
        watch = entry.watch
        try:
            async with self._request_slot(watch):
                job = await self._jobs.inspect(watch.token, watch.namespace, watch.job_id)
            if job is None:
                self._count_miss(entry)
                return
            if not job.ended:
                self._store_job(entry, job)
                return
            if entry.ended_at is None:
                entry.ended_at = self._clock.monotonic()
            observation = self._known(entry, job)
            observation = await self._with_report(entry, observation, read=self._jobs.end_of_log)
            is_final = self._is_final(entry, observation)
            observation = replace(observation, report_is_final=is_final)
        except (Unavailable, Refused) as error:
            self._store_problem(entry, error)
            return
        self._store(entry, observation)

    def _store_problem(self, entry: _Entry, error: Unavailable | Refused) -> None:
        """An ended job that can no longer be asked about is not waited for longer than any other."""
        refusal = str(error) if isinstance(error, TokenRefused) else ""
        observation = replace(entry.observation, problem=str(error), token_refusal=refusal)
        if entry.ended_at is not None:
            observation = replace(observation, report_is_final=self._is_final(entry, observation))
        self._store(entry, observation)

    def _is_final(self, entry: _Entry, observation: JobObservation) -> bool:
        """Whether nothing more is to be known about the end of this job, or it was waited for long enough."""
        job, report = observation.job, observation.report
        if not entry.watch.nonce or entry.ended_at is None:
            return True
        if self._clock.monotonic() >= entry.ended_at + self._final_seconds:
            return True
        if observation.problem or job is None:
            return False
        says_why = failure_of(job.exit_code) in CAUSES_WITHOUT_A_REPORT
        return (report is not None and report.ended) or job.stage == "COMPLETED" or says_why

    async def _read_log(self, entry: _Entry) -> None:
        """Reads the log of a running job. Polls do not overlap, so nothing else changes the entry meanwhile."""
        self._store(entry, await self._with_report(entry, entry.observation, read=self._jobs.tail))

    @asynccontextmanager
    async def _request_slot(self, watch: WatchedJob) -> AsyncIterator[None]:
        """Waits for one of the slots for requests about single jobs. Raises Unavailable where the account is paused."""
        account = (watch.namespace, watch.token)
        async with self._tails:
            left = self._not_before.get(account, 0.0) - self._clock.monotonic()
            if left > 0:
                raise Unavailable(f"the service asked for a pause of {left:.0f} s more")
            try:
                yield
            except Unavailable as error:
                if error.retry_after:
                    pause = min(LONGEST_PAUSE_SECONDS, error.retry_after)
                    self._not_before[account] = self._clock.monotonic() + pause
                raise

    def _count_miss(self, entry: _Entry) -> None:
        now = self._clock.monotonic()
        entry.misses += 1
        entry.missed_at = now if entry.missed_at is None else entry.missed_at
        if entry.misses >= MISSES_UNTIL_NOT_FOUND and now >= entry.missed_at + self._missing_seconds:
            self._store(entry, replace(entry.observation, job=None, not_found=True, problem=""))

    async def _with_report(
        self, entry: _Entry, observation: JobObservation, *, read: ReadLog
    ) -> JobObservation:
        """The observation with the report in the job's log. If the log cannot be read, `problem` says why."""
        watch = entry.watch
        if not watch.nonce:
            return observation
        entry.read_at = self._clock.monotonic()
        try:
            async with self._request_slot(watch):
                lines = await read(watch.token, watch.namespace, watch.job_id, TAIL_LINES)
        except (Unavailable, Refused) as error:
            return replace(observation, problem=str(error))
        found, known = parse_reports(lines, watch.nonce), observation.report
        report = merge_reports(known, found) if known and found else found or known
        return replace(observation, report=report, report_read_at=self._clock.monotonic())

    def _store(self, entry: _Entry, observation: JobObservation) -> None:
        if self._entries.get(entry.watch.key) is not entry:
            return
        before, entry.observation = entry.observation, observation
        if before.notable_state() != observation.notable_state():
            self._changed(entry.watch.key)


def _has_log(entry: _Entry) -> bool:
    job = entry.observation.job
    return bool(entry.watch.nonce) and job is not None and job.stage != "SCHEDULING"
