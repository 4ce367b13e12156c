"""How often to look again while nothing happens: soon at first, rarely later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

SHARE: Final = 0.1
"""Of the time that was waited already: what took a minute is noticed six seconds late at most."""
LONGEST_SECONDS: Final = 5.0


class Patience:
    """Stretches short pauses between looks that found nothing to do; events wake at once all the same."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[Hashable, float] = {}

    def stretched(self, key: Hashable, seconds: float | None) -> float | None:
        """The pause after another look in vain. Pauses of `LONGEST_SECONDS` and more stay as they are."""
        if seconds is None or not 0 < seconds < LONGEST_SECONDS:
            self._since.pop(key, None)
            return seconds
        waited = self._monotonic() - self._since.setdefault(key, self._monotonic())
        return max(seconds, min(LONGEST_SECONDS, waited * SHARE))

    def forget(self, key: Hashable) -> None:
        """Something was done, or there is nothing left to wait for."""
        self._since.pop(key, None)

    def __len__(self) -> int:
        return len(self._since)
