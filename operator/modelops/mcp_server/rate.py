"""A limit of calls per caller."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from modelops.tools.errors import ToolRefused

_CALLERS: Final = 10_000
"""Callers that are remembered: the one that called longest ago is forgotten first, and starts anew."""


class RateLimit:
    """A token bucket for each caller: it holds `per_minute` calls, and fills up evenly within a minute.

    `clock`: monotonic seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float]) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, caller: str) -> None:
        """Count a call. Raises ToolRefused, with the time to wait, where there were too many."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        if left < 1:
            seconds = math.ceil((1 - left) * 60 / self._per_minute)
            raise ToolRefused(
                f"too many calls: {self._per_minute} a minute are allowed; try again in {seconds} s"
            )
