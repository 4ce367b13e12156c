"""Delays between reconciles while an object waits for something: short at first, longer later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

SHARE: Final = 0.1
"""The delay as a share of the time waited so far. A change after a minute is noticed at most six seconds late."""
LONGEST_SECONDS: Final = 5.0


class RequeueBackoff:
    """Lengthens short delays while reconciles find nothing to do. Events still start a reconcile at once."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[Hashable, float] = {}

    def next_delay(self, key: Hashable, seconds: float | None) -> float | None:
        """The delay after a reconcile that found nothing to do. Delays of `LONGEST_SECONDS` or more are not changed."""
        if seconds is None or not 0 < seconds < LONGEST_SECONDS:
            self._since.pop(key, None)
            return seconds
        waited = self._monotonic() - self._since.setdefault(key, self._monotonic())
        return max(seconds, min(LONGEST_SECONDS, waited * SHARE))

    def forget(self, key: Hashable) -> None:
        """Starts with short delays again, because something was done or the wait has ended."""
        self._since.pop(key, None)

    def __len__(self) -> int:
        return len(self._since)
