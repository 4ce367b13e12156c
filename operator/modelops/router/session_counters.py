"""Sessions of this process by the time of their start, with yes-or-no flags: what the operator judges a canary by.

A session counts when it starts, and its flags only ever turn from no to yes, so that every count grows. Sessions that
began in the same 10 s share a bucket. After 15 minutes a bucket is added to the totals, so a report stays small.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from modelops.router.latency import LATENCY_BUCKETS_MS, latency_bucket
from modelops.router.routing_table import CANARY, STABLE, Route, RoutingTable, Track

BUCKET_SECONDS: Final = 10
RING_BUCKETS: Final = 90
"""Buckets of the last 15 minutes, which a report has one by one."""
IDLE_SECONDS: Final = 900.0
"""A session that was silent for so long has ended: its next request begins another."""
MAX_OPEN_SESSIONS: Final = 8_192
"""In each of two sets. A session that returns after as many others counts as a new one. At most about 6 MB."""
MAX_REVISION_CHARACTERS: Final = 253

_FIRST, _TOUCHED, _BROKEN, _TIMED, _SLOW, _VERY_SLOW = 1, 2, 3, 4, 5, 6
_COUNTS: Final = 7
"""sessions, first request failed, any failed, two failed in a row, had limits of latency, slow, very slow"""


class _Bucket:
    __slots__ = ("counts", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.counts = [0] * _COUNTS


class _TrackSessions:
    """One track of one revision. `limits` are the latencies in ms above which a session is slow and very slow."""

    __slots__ = ("buckets", "folded", "limits", "revision", "slowest")

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.limits: tuple[float, float] | None = None
        self.folded = [0] * _COUNTS
        self.buckets: dict[int, _Bucket] = {}
        self.slowest = [0] * (len(LATENCY_BUCKETS_MS) + 1)
        """Sessions without limits by their slowest request: the operator finds the limits from it."""

    def bucket(self, index: int) -> _Bucket:
        found = self.buckets.get(index)
        if found is None:
            self.fold_before(index - RING_BUCKETS + 1)
            found = self.buckets[index] = _Bucket(index)
        return found

    def fold_before(self, oldest: int) -> None:
        for index in [index for index in self.buckets if index < oldest]:
            old = self.buckets.pop(index)
            for place, count in enumerate(old.counts):
                self.folded[place] += count
            # A session that is still open counts its next flag in the totals.
            old.counts = self.folded

    def as_report(self, oldest: int) -> dict[str, Any]:
        self.fold_before(oldest)
        return {
            "revision": self.revision,
            "limits": list(self.limits) if self.limits else None,
            "folded": list(self.folded),
            "buckets": [[index, *bucket.counts] for index, bucket in sorted(self.buckets.items())],
        }


class Session:
    """A session that has begun. The fields belong to `SessionCounters`."""

    __slots__ = ("answered", "bucket", "failed", "limits", "said", "seen", "slowest", "track", "within")

    def __init__(self, track: Track, within: _TrackSessions | None, bucket: _Bucket | None) -> None:
        self.track = track
        self.within = within
        """None: the session counts nowhere, because its model changed after it had begun."""
        self.bucket = bucket
        self.limits = within.limits if within else None
        self.seen = 0.0
        self.said = 0
        self.slowest = -1.0
        self.answered = self.failed = False


class SessionCounters:
    """The sessions of both tracks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: dict[str, Session] = {}
        self._older: dict[str, Session] = {}
        self._rotated = 0.0
        self._salt = ""
        self._newest = 0
        self._tracks: dict[Track, _TrackSessions] = {STABLE: _TrackSessions(""), CANARY: _TrackSessions("")}

    def start_table(self, table: RoutingTable) -> None:
        """Another stable model or another rollout begins from zero; a stable model that stays keeps its history."""
        revision = _revision(table.stable)
        with self._lock:
            if self._tracks[STABLE].revision != revision:
                self._tracks[STABLE] = _TrackSessions(revision)
            if table.salt and table.salt != self._salt:
                self._salt = table.salt
                self._tracks[CANARY] = _TrackSessions(_revision(table.canary) if table.canary else "")

    def set_limits(self, given: Any) -> None:
        """Takes the limits of latency that the operator answered a report with. What is malformed is ignored."""
        if not isinstance(given, dict):
            return
        with self._lock:
            if given.get("revision") == self._tracks[STABLE].revision:
                _set_limits(self._tracks[STABLE], given.get("stable"))
            if self._salt and given.get("salt") == self._salt:
                _set_limits(self._tracks[CANARY], given.get("canary"))

    def begin(self, route: Route, session_key: object, now: float) -> Session:
        """The session of a request, which counts from now on if it is new. `now` is in seconds since the epoch.

        Without a key (None or empty) the request is a session of its own. A session that changes its track, because
        the weight was raised or the canary ended, counts on neither from then on.
        """
        with self._lock:
            if session_key is None or session_key == "":
                return self._open(route, now)
            key = _text_of(session_key)
            session = self._recent.get(key)
            if session is None:
                session = self._older.pop(key, None)
                self._make_room(now)
                if session is None or now - session.seen > IDLE_SECONDS:
                    session = self._open(route, now)
                self._recent[key] = session
            elif now - session.seen > IDLE_SECONDS:
                session = self._recent[key] = self._open(route, now)
            if session.track != route.track:
                session = self._recent[key] = Session(route.track, None, None)
            session.seen = now
            return session

    def finish(self, session: Session, *, ok: bool, latency_ms: float) -> None:
        """Counts the outcome of one request of the session. A request that was cancelled has none."""
        within = session.within
        if within is None:
            return
        with self._lock:
            if not ok:
                if not session.answered:
                    _say(session, _FIRST)
                _say(session, _TOUCHED)
                if session.failed:
                    _say(session, _BROKEN)
            session.answered, session.failed = True, not ok
            latency = latency_ms if latency_ms >= 0 else float("inf")
            if latency <= session.slowest:
                return
            if session.limits is None:
                if session.slowest >= 0:
                    within.slowest[latency_bucket(session.slowest)] -= 1
                within.slowest[latency_bucket(latency)] += 1
            elif session.limits is within.limits:
                if latency > session.limits[0]:
                    _say(session, _SLOW)
                if latency > session.limits[1]:
                    _say(session, _VERY_SLOW)
            session.slowest = latency

    def as_report(self, now: float) -> dict[str, Any]:
        """The form in a report. `now` is in seconds since the epoch."""
        with self._lock:
            index = self._index(now)
            oldest, stable = max(0, index - RING_BUCKETS + 1), self._tracks[STABLE]
            return {
                "now": index,
                "oldest": oldest,
                "stable": stable.as_report(oldest),
                "canary": self._tracks[CANARY].as_report(oldest),
                "slowest": []
                if stable.limits
                else [[bucket, count] for bucket, count in enumerate(stable.slowest) if count],
            }

    def _index(self, now: float) -> int:
        """The number of the current bucket; a clock that is put back does not go back in the buckets."""
        self._newest = max(self._newest, int(now // BUCKET_SECONDS))
        return self._newest

    def _open(self, route: Route, now: float) -> Session:
        within = self._tracks[route.track]
        stable = route.track == STABLE
        current = (
            _revision(route) == within.revision if stable else bool(self._salt) and route.salt == self._salt
        )
        if not current:
            return Session(route.track, None, None)
        bucket = within.bucket(self._index(now))
        session = Session(route.track, within, bucket)
        bucket.counts[0] += 1
        if within.limits is not None:
            bucket.counts[_TIMED] += 1
        return session

    def _make_room(self, now: float) -> None:
        if len(self._recent) >= MAX_OPEN_SESSIONS or now - self._rotated > IDLE_SECONDS:
            self._older, self._recent, self._rotated = self._recent, {}, now


def _say(session: Session, place: int) -> None:
    if not session.said >> place & 1 and session.bucket is not None:
        session.said |= 1 << place
        session.bucket.counts[place] += 1


def _set_limits(track: _TrackSessions, given: Any) -> None:
    """Sets limits. What was counted by others is forgotten; sessions that are open count by neither."""
    try:
        slow, very_slow = (float(limit) for limit in given)
    except (TypeError, ValueError):
        return
    if not 0 < slow <= very_slow < float("inf") or track.limits == (slow, very_slow):
        return
    track.limits = slow, very_slow
    for counts in (track.folded, *(bucket.counts for bucket in track.buckets.values())):
        counts[_TIMED:] = [0, 0, 0]


def _revision(route: Route) -> str:
    """What tells one stable model from another."""
    return f"{route.version or ''} {route.served_model}"[:MAX_REVISION_CHARACTERS]


def _text_of(key: object) -> str:
    """The key's text, by which its route is picked, too. So no object of the agent is kept, and 0 and "0" are one."""
    return key if type(key) is str else str(key)
