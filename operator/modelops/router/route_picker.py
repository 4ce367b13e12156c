"""Picks the route of a session: one picker per routing table, replaced as a whole. This is the hot path."""

from __future__ import annotations

import os
from typing import Final

from modelops.router.routing_table import Route, RoutingTable
from modelops.router.split import Splitter

MAX_CACHED_BUCKETS: Final = 8_192
"""Size of the cache of buckets by session. A full cache is cleared; a hash costs about a microsecond."""


class RoutePicker:
    """A routing table with its salt already hashed, and a cache of the buckets of recent sessions."""

    __slots__ = ("_buckets", "_canary", "_limit", "_splitter", "_stable", "_until")

    def __init__(self, table: RoutingTable, previous: RoutePicker | None = None) -> None:
        self._stable = table.stable
        self._canary = table.canary or table.stable
        self._limit = table.canary_buckets
        self._until = table.canary_until
        reusable = previous if previous is not None and previous._splitter.salt == table.salt else None
        self._splitter: Splitter = reusable._splitter if reusable else Splitter(table.salt)
        self._buckets: dict[str, int] = reusable._buckets if reusable else {}

    def route(self, session_key: str, now: float) -> Route:
        """The route of a session; `now` is in seconds since the epoch."""
        if not self._limit or now >= self._until:
            return self._stable
        bucket = self._buckets.get(session_key)
        if bucket is None:
            bucket = self._splitter.bucket(session_key)
            if len(self._buckets) >= MAX_CACHED_BUCKETS:
                self._buckets.clear()
            self._buckets[session_key] = bucket
        return self._canary if bucket < self._limit else self._stable

    def route_without_key(self, now: float) -> Route:
        """The route of one request without a session key: a random key is used."""
        if not self._limit or now >= self._until:
            return self._stable
        return self._canary if self._splitter.bucket(os.urandom(8).hex()) < self._limit else self._stable

    @property
    def stable(self) -> Route:
        """The stable route, also for a request that the canary failed."""
        return self._stable
