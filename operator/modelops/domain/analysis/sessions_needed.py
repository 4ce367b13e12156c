"""How many sessions a statement about the canary takes, before there are any: `health` with what is expected."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from modelops.domain.analysis.health import DIFFERENCES
from modelops.domain.analysis.metrics import HEALTH_EVIDENCE

_MOST: Final = 100_000


@lru_cache(maxsize=256)
def sessions_to_exclude(points: float, *, expected: float = 0.0) -> int | None:
    """Sessions after which these percentage points are excluded, if the share `expected` of them fails.

    65, 32 and 15 for 5, 10 and 20 points where nothing fails. `expected` is from 0 to 1. None: no number does it.
    """
    limit = expected + points / 100
    if limit >= 1:
        return None
    likely = max(expected + 0.1 * (limit - expected), 1e-9)
    gain = (1 - expected) * math.log((1 - likely) / (1 - limit)) + expected * math.log(likely / limit)
    if gain <= 0:
        return None
    sessions = math.ceil(math.log(HEALTH_EVIDENCE) / gain)
    return sessions if sessions <= _MOST else None


def excludable_points(sessions: int, *, expected: float = 0.0) -> int | None:
    """The smallest of `DIFFERENCES` that so many sessions exclude, if the share `expected` fails. None: none."""
    for points in DIFFERENCES:
        needed = sessions_to_exclude(points, expected=expected)
        if needed is not None and sessions >= needed:
            return points
    return None
