"""One look at all jobs of an account, for everybody who waits for one of them."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Hashable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from modelops.domain.job_report import JobReport, merged, parse_reports
from modelops.ports import Clock, Job, Jobs, Refused, Unavailable

logger = logging.getLogger(__name__)

TAILS_AT_ONCE: Final = 4
READS_PER_POLL: Final = 24
"""Logs of running jobs, of one account. At the usual interval that is 480 requests in the five minutes over which the
Hub counts (a free account has 1,000), and three seconds of four threads."""
AT_A_STRETCH: Final = 100
"""Jobs of a listing that are gone through before others in the event loop have their turn."""
TAIL_LINES: Final = 200
MISSES_UNTIL_GONE: Final = 3
"""A listing may lag behind a submission, so one miss says nothing."""
SHORTEST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0

Account = tuple[str, str]
"""Namespace and token."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A job that somebody waits for. `key` is what `changed` is called with."""

    key: Hashable
    token: str = field(repr=False)
    namespace: str
    job_id: str
    nonce: str = field(repr=False, default="")
    """Of its reports; empty: its log is not read."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What is known of a watched job. Moments are on the monotonic clock."""

    job: Job | None = None
    """As it was last seen; None before the first look, and where it is gone."""
    report: JobReport | None = None
    gone: bool = False
    """The service does not know it (any more)."""
    seen_at: float | None = None
    """When the service last told about it."""
    report_read_at: float | None = None
    problem: str = ""
    """Why the last look failed; empty where it did not."""


@dataclass(slots=True)
class _Entry:
    watch: Watch
    sighting: Sighting = field(default_factory=Sighting)
    misses: int = 0
    read_at: float = float("-inf")
    """When its log was last asked for, with or without an answer."""

    @property
    def settled(self) -> bool:
        job = self.sighting.job
        return self.sighting.gone or (job is not None and job.ended)


class SharedJobPoller:
    """Lists the active jobs of each account once per interval and tells who is concerned.

    A job that has left the listing is inspected, and its log read a last time, before its end is told. Logs
    of running jobs are read when the last reading is older than `report_seconds`, `READS_PER_POLL` in a poll and
    four at a time, those that waited longest first: with a thousand jobs each is read every ten minutes. A rate
    limit, whatever it was said to, is a pause of the whole account. `changed` is called in the event loop, after
    the sighting has been stored.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        clock: Clock,
        changed: Callable[[Hashable], None],
        interval_seconds: float = 15.0,
        report_seconds: float = 30.0,
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._changed = changed
        self._interval_seconds = interval_seconds
        self._report_seconds = report_seconds
        self._entries: dict[Hashable, _Entry] = {}
        self._active: dict[Account, tuple[Job, ...]] = {}
        self._not_before: dict[Account, float] = {}
        self._failures: dict[Account, int] = {}
        self._tails = asyncio.Semaphore(TAILS_AT_ONCE)
        self._due = asyncio.Event()

    def watch(self, watch: Watch, *, known: Job | None = None) -> Sighting:
        """Waits for this job from now on, and says what is known of it; the same again changes nothing.

        `known`: the job as its submission was answered, which counts as the first look.
        """
        entry = self._entries.get(watch.key)
        if entry is None or entry.watch.job_id != watch.job_id:
            entry = self._entries[watch.key] = _Entry(watch)
            if known is not None and known.id == watch.job_id:
                entry.sighting = Sighting(job=known, seen_at=self._clock.monotonic())
        else:
            entry.watch = watch
        return entry.sighting

    def observe(self, key: Hashable) -> Sighting | None:
        """What is known of the job watched under this key; None where none is."""
        entry = self._entries.get(key)
        return entry.sighting if entry else None

    def labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """Active jobs with this label in the last listing: a hint, not a proof that there are no others."""
        return tuple(job for job in self._active.get((namespace, token), ()) if job.label == label)

    def forget(self, key: Hashable) -> None:
        """Waits no longer."""
        self._entries.pop(key, None)

    def soon(self) -> None:
        """Something was asked of a job: look within a second instead of at the end of the interval."""
        self._due.set()

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            self._due.clear()
            began = self._clock.monotonic()
            try:
                await self.poll()
            except Exception:  # the loop's edge: without it nobody would ever look again
                logger.exception("a poll of jobs failed; the next one follows")
            await asyncio.sleep(min(SHORTEST_PAUSE_SECONDS, self._interval_seconds))
            with suppress(TimeoutError):
                left = began + self._interval_seconds - self._clock.monotonic()
                await asyncio.wait_for(self._due.wait(), max(0.0, left))

    async def poll(self) -> None:
        """One look at every account that somebody waits for."""
        accounts: dict[Account, list[_Entry]] = defaultdict(list)
        for entry in self._entries.values():
            if not entry.settled:
                accounts[(entry.watch.namespace, entry.watch.token)].append(entry)
        for known in (self._active, self._not_before, self._failures):
            for account in known.keys() - accounts.keys():
                del known[account]
        now = self._clock.monotonic()
        due = [account for account in accounts if self._not_before.get(account, now) <= now]
        await asyncio.gather(*(self._poll_account(account, accounts[account]) for account in due))

    async def _poll_account(self, account: Account, entries: Sequence[_Entry]) -> None:
        namespace, token = account
        try:
            active = await self._jobs.list_active(token, namespace)
        except (Unavailable, Refused) as error:
            self._postpone(account, error)
            for entry in entries:
                entry.sighting = replace(entry.sighting, problem=str(error))
            return
        self._failures.pop(account, None)
        self._active[account] = active
        by_id = {job.id: job for job in active}
        for number, entry in enumerate(entries, start=1):
            job = by_id.get(entry.watch.job_id)
            if job is not None:
                self._listed(entry, job)
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        away = [self._look(entry) for entry in entries if entry.watch.job_id not in by_id]
        reads = [self._read(entry) for entry in self._next_reads(entries, by_id)]
        await asyncio.gather(*away, *reads)

    def _listed(self, entry: _Entry, job: Job) -> None:
        entry.misses = 0
        self._store(entry, replace(entry.sighting, job=job, seen_at=self._clock.monotonic(), problem=""))

    def _next_reads(self, entries: Sequence[_Entry], running: Container[str]) -> list[_Entry]:
        """Of the listed jobs, those whose log has not been asked for the longest."""
        before = self._clock.monotonic() - self._report_seconds
        due = (
            entry
            for entry in entries
            if entry.watch.job_id in running and entry.read_at <= before and _has_log(entry)
        )
        return heapq.nsmallest(READS_PER_POLL, due, key=lambda entry: entry.read_at)

    def _postpone(self, account: Account, error: Unavailable | Refused) -> None:
        failures = self._failures[account] = self._failures.get(account, 0) + 1
        own = min(LONGEST_PAUSE_SECONDS, self._interval_seconds * 2 ** min(failures, 8))
        told = getattr(error, "retry_after", None) or 0.0
        pause = min(LONGEST_PAUSE_SECONDS, max(told, own if isinstance(error, Refused) else 0.0))
        self._not_before[account] = self._clock.monotonic() + pause
        logger.warning("jobs of %s cannot be listed: %s", account[0], error)

    async def _look(self, entry: _Entry) -> None:
        """At a job that is not in the listing: it has ended, or is not listed yet, or is not known."""
        watch, before = entry.watch, entry.sighting
        try:
            async with self._asking(watch):
                job = await self._jobs.inspect(watch.token, watch.namespace, watch.job_id)
            if job is None:
                self._missed(entry)
                return
            if not job.ended:
                self._listed(entry, job)
                return
            sighting = replace(before, job=job, seen_at=self._clock.monotonic(), problem="")
            sighting = await self._with_report(entry, sighting)
            if sighting.problem:
                # The last words say why it failed: worth another try, not worth holding up its end.
                entry.misses += 1
                if entry.misses < MISSES_UNTIL_GONE:
                    entry.sighting = replace(before, problem=sighting.problem)
                    return
        except (Unavailable, Refused) as error:
            entry.sighting = replace(entry.sighting, problem=str(error))
            return
        self._store(entry, sighting)

    async def _read(self, entry: _Entry) -> None:
        """What a running job says of itself. Meanwhile nobody else looks at it: polls follow each other."""
        self._store(entry, await self._with_report(entry, entry.sighting))

    @asynccontextmanager
    async def _asking(self, watch: Watch) -> AsyncIterator[None]:
        """Room for one request about one job. Raises Unavailable where the account is to be left alone."""
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

    def _missed(self, entry: _Entry) -> None:
        entry.misses += 1
        if entry.misses >= MISSES_UNTIL_GONE:
            self._store(entry, replace(entry.sighting, job=None, gone=True, problem=""))

    async def _with_report(self, entry: _Entry, sighting: Sighting) -> Sighting:
        """A log that cannot be read holds up nothing but the report."""
        watch = entry.watch
        if not watch.nonce:
            return sighting
        entry.read_at = self._clock.monotonic()
        try:
            async with self._asking(watch):
                lines = await self._jobs.tail(watch.token, watch.namespace, watch.job_id, TAIL_LINES)
        except (Unavailable, Refused) as error:
            return replace(sighting, problem=str(error))
        said, known = parse_reports(lines, watch.nonce), sighting.report
        report = merged(known, said) if known and said else said or known
        return replace(sighting, report=report, report_read_at=self._clock.monotonic())

    def _store(self, entry: _Entry, sighting: Sighting) -> None:
        if self._entries.get(entry.watch.key) is not entry:
            return
        before, entry.sighting = entry.sighting, sighting
        if _told(before) != _told(sighting):
            self._changed(entry.watch.key)


def _has_log(entry: _Entry) -> bool:
    job = entry.sighting.job
    return bool(entry.watch.nonce) and job is not None and job.stage != "SCHEDULING"


def _told(sighting: Sighting) -> tuple[object, ...]:
    """What is worth waking somebody up for; running seconds and moments are not."""
    job = sighting.job
    return (sighting.gone, sighting.report, job and (job.stage, job.message, job.started_at, job.finished_at))
