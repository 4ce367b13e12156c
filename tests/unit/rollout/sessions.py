"""Sessions as agents report them, for tests of decisions."""

from __future__ import annotations

from modelops.ports import SessionReports, SessionTrack


def counts(sessions: int, *, failed: int = 0, slow: int = 0) -> tuple[int, ...]:
    """Counts of a bucket: each failed session failed its first request and the next."""
    return (sessions, failed, failed, failed, sessions, slow, slow)


def reported(
    canary: tuple[int, ...], stable: tuple[int, ...] = counts(2000, failed=4, slow=100), **more: int
) -> SessionReports:
    """Stable's sessions of before, and the canary's in one bucket of now."""
    return SessionReports(
        stable=SessionTrack(folded=stable), canary=SessionTrack(live=((100, canary),)), **more
    )


FAILING = reported(counts(100, failed=60))
SLOW = reported(counts(100, slow=60))
