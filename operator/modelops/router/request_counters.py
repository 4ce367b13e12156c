"""Counters of the requests of this process, since its start or since the salt last changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from modelops.router.latency import LATENCY_BUCKETS_MS, latency_bucket, latency_quantile
from modelops.router.routing_table import Route, Track

MAX_MODELS_REPORTED: Final = 8
MAX_MODEL_CHARACTERS: Final = 253
MAX_COUNT: Final = 2**53
"""The largest count that a report may have: the operator refuses a report with a larger one."""
IN_USE_SECONDS: Final = 60.0
"""How long after its last request a model is reported as in use."""
MAX_REMEMBERED_SESSIONS: Final = 16_384
"""Per track, in each of two sets. A session that returns after as many others counts again. At most about 2 MB."""


class TrackCounters:
    """Counters of one track; latencies are counts by the buckets of `LATENCY_BUCKETS_MS`."""

    def __init__(self) -> None:
        self.sessions = 0
        self.requests = 0
        self.errors = 0
        self.fallbacks = 0
        self.tokens = 0
        self.cost_micro_usd = 0
        self.latencies = [0] * (len(LATENCY_BUCKETS_MS) + 1)
        self.recent: set[str] = set()
        self.older: set[str] = set()

    def as_report(self) -> dict[str, Any]:
        """The form in a report. Percentiles are in milliseconds, and null without requests."""
        return {
            "sessions": self.sessions,
            "requests": self.requests,
            "errors": self.errors,
            "fallbacks": self.fallbacks,
            "latencyMs": {
                "p50": latency_quantile(self.latencies, 0.50),
                "p95": latency_quantile(self.latencies, 0.95),
                "count": sum(self.latencies),
                "buckets": list(self.latencies),
            },
            "tokens": self.tokens,
            "costMicroUSD": self.cost_micro_usd,
        }


class RequestCounters:
    """The counters of both tracks under one salt. Thread-safe."""

    def __init__(self) -> None:
        self.salt = ""
        self.unkeyed = 0
        self._lock = threading.Lock()
        self._tracks: dict[Track, TrackCounters] = {}
        self._used: dict[str, float] = {}
        self._reset()

    def _reset(self) -> None:
        self._tracks = {"stable": TrackCounters(), "canary": TrackCounters()}

    def start_salt(self, salt: str) -> None:
        """Starts from zero if the salt is new. An empty salt (routing was removed) keeps the counters."""
        if salt and salt != self.salt:
            with self._lock:
                self.salt = salt
                self._reset()

    def count_session(self, track: Track, session_key: str) -> None:
        """Counts a session that is new on its track."""
        counters = self._tracks[track]
        if session_key in counters.recent:
            return
        with self._lock:
            if session_key not in counters.older and session_key not in counters.recent:
                counters.sessions += 1
            counters.recent.add(session_key)
            if len(counters.recent) >= MAX_REMEMBERED_SESSIONS:
                counters.older, counters.recent = counters.recent, set()

    def count_unkeyed_request(self, track: Track) -> None:
        """Counts a request without a session key as a separate session."""
        with self._lock:
            self.unkeyed += 1
            self._tracks[track].sessions += 1

    def observe(
        self,
        route: Route,
        *,
        ok: bool,
        latency_ms: float,
        tokens: int | None,
        cost_micro_usd: int | None,
        fallback: bool,
    ) -> None:
        """Counts one finished request, unless it belongs to an earlier rollout than the current salt.

        The answer was given already, so nothing here raises an error: tokens that are no number count as none.
        """
        bucket = latency_bucket(latency_ms)
        used, paid = _count(tokens), _count(cost_micro_usd)
        with self._lock:
            self._used[route.served_model] = time.monotonic()
            if route.salt != self.salt and (route.salt or route.track == "canary"):
                return
            counters = self._tracks[route.track]
            counters.requests += 1
            counters.errors += not ok
            counters.fallbacks += bool(fallback)
            counters.tokens = min(MAX_COUNT, counters.tokens + used)
            counters.cost_micro_usd = min(MAX_COUNT, counters.cost_micro_usd + paid)
            counters.latencies[bucket] += 1

    def models_in_use(self, routes: Iterable[Route]) -> list[str]:
        """Models that may be in use: those of the given routes, and those of requests in the last 60 s.

        At most `MAX_MODELS_REPORTED`: first those of the routes, then the most recent ones.
        """
        now = time.monotonic()
        with self._lock:
            self._used = {m: t for m, t in self._used.items() if now - t <= IN_USE_SECONDS}
            recent = sorted(self._used, key=self._used.__getitem__, reverse=True)
        names = dict.fromkeys([*(route.served_model for route in routes), *recent])
        return [name[:MAX_MODEL_CHARACTERS] for name in names if name][:MAX_MODELS_REPORTED]

    def as_report(self) -> dict[str, Any]:
        """`salt`, `unkeyed` and `tracks`, all from the same moment."""
        with self._lock:
            tracks = {track: counters.as_report() for track, counters in self._tracks.items()}
            return {"salt": self.salt, "unkeyed": self.unkeyed, "tracks": tracks}


def _count(given: Any) -> int:
    """A count that an agent gave, 0 where it gave None or anything that is no number."""
    try:
        return min(MAX_COUNT, max(0, int(given)))
    except (TypeError, ValueError, OverflowError):
        return 0
