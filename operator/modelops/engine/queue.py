"""The keyed work queue: coalescing, one worker per key, requeue, backoff.

The rules are those of client-go's workqueue (k8s.io/client-go/util/workqueue): a key added while it waits is
one piece of work; a key added while it is worked on is worked on once more afterwards; never two workers on
one key.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from modelops.ports import Conflict, Missing, NotLeader, Unavailable, Uncertain

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """One object to reconcile."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


Work = Callable[[Key], Awaitable[float | None]]
"""Reconciles; returns seconds until it wants to look again if nothing happens, or None."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Seconds to wait after failure n in a row: base * 2**(n-1), at most `longest`, less the jitter."""

    base: float = 0.05
    longest: float = 60.0
    jitter: float = 0.3

    def seconds(self, failures: int, chance: float) -> float:
        """`chance` in [0, 1) draws the jitter."""
        # 2**1023 is the largest power of two that is a float.
        full: float = min(self.longest, self.base * 2.0 ** min(failures - 1, 1000))
        return full * (1 - self.jitter * chance)


class QueueObserver(Protocol):
    """Hooks for metrics."""

    def depth(self, waiting: int) -> None:
        """Keys that wait for a worker, after a change."""

    def started(self, kind: str, waited: float) -> None:
        """A worker took a key that had waited that many seconds."""

    def finished(self, kind: str, seconds: float, failure: str) -> None:
        """Done in that many seconds; `failure`: name of the exception's class, or empty."""


class NoObserver:
    """Observes nothing."""

    def depth(self, waiting: int) -> None: ...
    def started(self, kind: str, waited: float) -> None: ...
    def finished(self, kind: str, seconds: float, failure: str) -> None: ...


class KeyedQueue:
    """Feeds keys to `work` by `workers` tasks, from `start` to `close`; all in one event loop."""

    def __init__(
        self,
        work: Work,
        *,
        workers: int = 16,
        backoff: Backoff | None = None,
        limit_seconds: float = 120.0,
        observer: QueueObserver | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._work = work
        self._workers = workers
        self._backoff = backoff or Backoff()
        self._limit = limit_seconds
        self._observer = observer or NoObserver()
        self._chance = chance
        self._ready: deque[Key] = deque()
        self._since: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def add(self, key: Key) -> None:
        """Work on it soon: once if it waits already, once more if it is being worked on."""
        if self._closed or key in self._since or key in self._again:
            return
        if key in self._working:
            self._again.add(key)
            return
        self._since[key] = asyncio.get_running_loop().time()
        self._ready.append(key)
        self._observer.depth(len(self._ready))
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Work on it in `seconds`, unless it is due earlier already."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + seconds
        if self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, next(self._order), key))
        self._set_alarm()

    def failures(self, key: Key) -> int:
        """How often in a row it failed."""
        return self._failures.get(key, 0)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on; what is due later does not count."""
        return not self._ready and not self._working

    def start(self) -> None:
        """Starts the workers; what was added before waits until then."""
        self._tasks = [
            asyncio.create_task(self._serve(), name=f"reconciler {number}") for number in range(self._workers)
        ]

    async def close(self, *, grace: float = 5.0) -> None:
        """Takes no more work, lets what is worked on end within `grace` seconds, then cancels it."""
        self._closed = True
        self._ready.clear()
        self._since.clear()
        self._again.clear()
        self._heap.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        self._wake.set()
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=grace)
            for task in running:
                task.cancel()
            for task in running:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._tasks = []

    async def _serve(self) -> None:
        while not self._closed:
            if not self._ready:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._take(self._ready.popleft())

    async def _take(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._working.add(key)
        self._observer.depth(len(self._ready))
        self._observer.started(key.kind, began - self._since.pop(key))
        failure = ""
        try:
            async with asyncio.timeout(self._limit):
                after = await self._work(key)
            self._failures.pop(key, None)
            if after is not None:
                self.add_after(key, after)
        except Exception as error:  # noqa: BLE001 - the queue's edge: counted, logged, tried again
            failure = type(error).__name__
            self._retry(key, error)
        finally:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            self._observer.finished(key.kind, loop.time() - began, failure)

    def _retry(self, key: Key, error: Exception) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = self._backoff.seconds(count, self._chance())
        if isinstance(error, Unavailable) and error.retry_after is not None:
            seconds = max(seconds, error.retry_after)
        expected = isinstance(error, Conflict | Missing | NotLeader | Unavailable | Uncertain)
        _log.log(
            logging.WARNING if expected else logging.ERROR,
            "reconciling %s failed (%d in a row), again in %.2f s: %s: %s",
            key,
            count,
            seconds,
            type(error).__name__,
            error,
            exc_info=None if expected else error,
            extra={"kind": key.kind, "namespace": key.namespace, "object": key.name},
        )
        self.add_after(key, seconds)

    def _set_alarm(self) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._heap:
            self._alarm = loop.call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:  # else an earlier one took its place
                del self._due[key]
                self.add(key)
        self._set_alarm()
