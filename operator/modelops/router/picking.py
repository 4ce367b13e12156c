"""The hot path: one immutable plan per routing table, swapped as a whole."""

from __future__ import annotations

import os
from typing import Final

from modelops.router.split import Splitter
from modelops.router.table import Route, RoutingTable

BUCKETS_REMEMBERED: Final = 8_192
"""Sessions whose bucket is remembered; when full it starts again (a hash costs about a microsecond)."""


class PickPlan:
    """A routing table with its salt hashed, and the buckets of recent sessions."""

    __slots__ = ("_buckets", "_canary", "_limit", "_splitter", "_stable", "_until")

    def __init__(self, table: RoutingTable, before: PickPlan | None = None) -> None:
        self._stable = table.stable
        self._canary = table.canary or table.stable
        self._limit = table.canary_buckets
        self._until = table.canary_until
        kept = before if before is not None and before._splitter.salt == table.salt else None
        self._splitter: Splitter = kept._splitter if kept else Splitter(table.salt)
        self._buckets: dict[str, int] = kept._buckets if kept else {}

    def route(self, session_key: str, now: float) -> Route:
        """The route of a session; `now` in seconds since the epoch."""
        if not self._limit or now >= self._until:
            return self._stable
        bucket = self._buckets.get(session_key)
        if bucket is None:
            bucket = self._splitter.bucket(session_key)
            if len(self._buckets) >= BUCKETS_REMEMBERED:
                self._buckets.clear()
            self._buckets[session_key] = bucket
        return self._canary if bucket < self._limit else self._stable

    def route_without_key(self, now: float) -> Route:
        """A route by a random key, for one request."""
        if not self._limit or now >= self._until:
            return self._stable
        return self._canary if self._splitter.bucket(os.urandom(8).hex()) < self._limit else self._stable

    @property
    def stable(self) -> Route:
        """Where a request goes that the canary has failed."""
        return self._stable
