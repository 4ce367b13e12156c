"""What this process sent where, counted since its start or since the salt last changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from modelops.router.latency import LATENCY_BUCKETS_MS, latency_bucket, latency_quantile
from modelops.router.table import Route, Track

MODELS_REPORTED: Final = 8
LONGEST_MODEL: Final = 253
IN_USE_SECONDS: Final = 60.0
"""How long after its last request a model is reported as in use."""
SESSIONS_REMEMBERED: Final = 16_384
"""Per track and half: a session that comes back after as many others counts again. About 2 MB at most."""


class TrackCounters:
    """Counters of one track; latencies by the buckets of `LATENCY_BUCKETS_MS`."""

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
        """The form that goes over the wire; percentiles in milliseconds, null without requests."""
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


class Tally:
    """Both tracks' counters under one salt. Thread-safe."""

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
        """Starts from zero where the salt is a new one. Routing that is removed keeps the last salt."""
        if salt and salt != self.salt:
            with self._lock:
                self.salt = salt
                self._reset()

    def session(self, track: Track, session_key: str) -> None:
        """Counts a session that is new on its track."""
        counters = self._tracks[track]
        if session_key in counters.recent:
            return
        with self._lock:
            if session_key not in counters.older and session_key not in counters.recent:
                counters.sessions += 1
            counters.recent.add(session_key)
            if len(counters.recent) >= SESSIONS_REMEMBERED:
                counters.older, counters.recent = counters.recent, set()

    def unkeyed_request(self, track: Track) -> None:
        """Counts a request without a session key: a session of its own."""
        with self._lock:
            self.unkeyed += 1
            self._tracks[track].sessions += 1

    def observe(
        self, route: Route, *, ok: bool, latency_ms: float, tokens: int, cost_micro_usd: int, fallback: bool
    ) -> None:
        """Counts one finished request, unless its rollout is over and another one has begun."""
        place = latency_bucket(latency_ms)
        with self._lock:
            self._used[route.served_model] = time.monotonic()
            if route.salt != self.salt and (route.salt or route.track == "canary"):
                return
            counters = self._tracks[route.track]
            counters.requests += 1
            counters.errors += not ok
            counters.fallbacks += fallback
            counters.tokens += max(0, int(tokens))
            counters.cost_micro_usd += max(0, int(cost_micro_usd))
            counters.latencies[place] += 1

    def models(self, routable: Iterable[Route]) -> list[str]:
        """Models that may be in use: those that requests go to now, and those that any went to lately.

        At most `MODELS_REPORTED`, the routable ones first, then the newest.
        """
        now = time.monotonic()
        with self._lock:
            self._used = {m: t for m, t in self._used.items() if now - t <= IN_USE_SECONDS}
            lately = sorted(self._used, key=self._used.__getitem__, reverse=True)
        names = dict.fromkeys([*(route.served_model for route in routable), *lately])
        return [name[:LONGEST_MODEL] for name in names if name][:MODELS_REPORTED]

    def as_report(self) -> dict[str, Any]:
        """`salt`, `unkeyed` and `tracks`, all of the same moment."""
        with self._lock:
            tracks = {track: counters.as_report() for track, counters in self._tracks.items()}
            return {"salt": self.salt, "unkeyed": self.unkeyed, "tracks": tracks}
