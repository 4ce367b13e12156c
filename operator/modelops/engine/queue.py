"""The keyed work queue: it coalesces keys, gives each key to one worker at a time, requeues and backs off.

The rules are those of client-go's workqueue (k8s.io/client-go/util/workqueue). A key that is added while it waits is
processed once. A key that is added while a worker processes it is processed once more afterwards. Two workers never
process the same key.
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
"""Reconciles an object; returns the seconds until the next reconcile if no event comes first, or None."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Seconds to wait after the n-th failure in a row: base * 2**(n-1), at most `longest`, minus the jitter."""

    base: float = 0.05
    longest: float = 60.0
    jitter: float = 0.3

    def seconds(self, failures: int, chance: float) -> float:
        """The delay; `chance` in [0, 1) is the random number for the jitter."""
        # 2**1023 is the largest power of two that is a float.
        full: float = min(self.longest, self.base * 2.0 ** min(failures - 1, 1000))
        return full * (1 - self.jitter * chance)


class QueueObserver(Protocol):
    """Hooks for metrics."""

    def depth(self, waiting: int) -> None:
        """The number of keys that wait for a worker has changed."""

    def started(self, kind: str, waited: float) -> None:
        """A worker took a key that had waited `waited` seconds."""

    def finished(self, kind: str, seconds: float, failure: str) -> None:
        """A key was processed in `seconds`; `failure` is the name of the exception's class, empty after a success."""


class NoObserver:
    """Ignores everything."""

    def depth(self, waiting: int) -> None: ...
    def started(self, kind: str, waited: float) -> None: ...
    def finished(self, kind: str, seconds: float, failure: str) -> None: ...


class KeyedQueue:
    """Processes keys with `work` in `workers` tasks, from `start` to `close`, in one event loop."""

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
        self._waiting_since: dict[Key, float] = {}
        self._processing: set[Key] = set()
        self._dirty: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._delayed_until: dict[Key, float] = {}
        self._delayed: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._first_pass: set[Key] = set()
        self.first_pass_size = 0
        """How many keys waited when the workers started."""

    @property
    def first_pass_left(self) -> int:
        """How many of the keys that waited at the start have not been processed once."""
        return len(self._first_pass)

    def add(self, key: Key) -> None:
        """Adds a key. A key that waits already is processed once; one that is being processed is processed again."""
        if self._closed or key in self._waiting_since or key in self._dirty:
            return
        if key in self._processing:
            self._dirty.add(key)
            return
        self._waiting_since[key] = asyncio.get_running_loop().time()
        self._ready.append(key)
        self._observer.depth(len(self._ready))
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Adds a key after `seconds`, unless it will be added earlier already."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + seconds
        if self._delayed_until.get(key, float("inf")) <= when:
            return
        self._delayed_until[key] = when
        heapq.heappush(self._delayed, (when, next(self._order), key))
        self._set_timer()

    def failures(self, key: Key) -> int:
        """How many times in a row the key has failed."""
        return self._failures.get(key, 0)

    @property
    def idle(self) -> bool:
        """Whether no key waits and none is being processed. Keys that are added later do not count."""
        return not self._ready and not self._processing

    def start(self) -> None:
        """Starts the workers. Keys that were added before wait until then; they are the first pass."""
        self._first_pass = set(self._ready)
        self.first_pass_size = len(self._first_pass)
        self._tasks = [
            asyncio.create_task(self._run_worker(), name=f"reconciler {number}")
            for number in range(self._workers)
        ]

    async def close(self, *, grace: float = 5.0) -> None:
        """Accepts no more keys, lets running work end within `grace` seconds, and then cancels it."""
        self._closed = True
        self._ready.clear()
        self._waiting_since.clear()
        self._dirty.clear()
        self._delayed.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._wake.set()
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=grace)
            for task in running:
                task.cancel()
            for task in running:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._tasks = []

    async def _run_worker(self) -> None:
        while not self._closed:
            if not self._ready:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._process(self._ready.popleft())
            # Work that only reads the cache never waits: without this, one worker would process all keys, and
            # nothing else would run meanwhile, the renewal of the lease included.
            await asyncio.sleep(0)

    async def _process(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._processing.add(key)
        self._observer.depth(len(self._ready))
        self._observer.started(key.kind, began - self._waiting_since.pop(key))
        failure = ""
        try:
            async with asyncio.timeout(self._limit):
                after = await self._work(key)
            self._failures.pop(key, None)
            if after is not None:
                self.add_after(key, after)
        except Exception as error:  # noqa: BLE001 - the edge of the queue: counted, logged and retried
            failure = type(error).__name__
            self._retry(key, error)
        finally:
            self._first_pass.discard(key)
            self._processing.discard(key)
            if key in self._dirty:
                self._dirty.discard(key)
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
            "reconciling %s failed (%d times in a row); next try in %.2f s: %s: %s",
            key,
            count,
            seconds,
            type(error).__name__,
            error,
            exc_info=None if expected else error,
            extra={"kind": key.kind, "namespace": key.namespace, "object": key.name},
        )
        self.add_after(key, seconds)

    def _set_timer(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            self._timer = loop.call_at(self._delayed[0][0], self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._delayed and self._delayed[0][0] <= now:
            when, _, key = heapq.heappop(self._delayed)
            if self._delayed_until.get(key) == when:  # otherwise an earlier time has replaced it
                del self._delayed_until[key]
                self.add(key)
        self._set_timer()
