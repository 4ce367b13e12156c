"""The other statement: how much worse the canary can still be. "Not shown to be worse" is not "shown to be healthy"."""

from __future__ import annotations

from math import exp, log
from typing import Final

from modelops.domain.analysis.metrics import HEALTH_EVIDENCE

DIFFERENCES: Final = (5, 10, 20)
"""Differences in percentage points that are said to be excluded."""


def health_evidence(bad: int, sessions: int, *, limit: float, expected: float) -> float:
    """Evidence that the canary's rate is below `limit`, if it is really about `expected`; both from 0 to 1.

    A likelihood ratio of two simple hypotheses (Wald 1945), which may be looked at as often as one likes.
    """
    if not 0 <= expected < limit:
        return 0.0
    if limit >= 1:
        return 0.0
    likely = max(expected + 0.1 * (limit - expected), 1e-9)
    return exp(min(bad * log(likely / limit) + (sessions - bad) * log((1 - likely) / (1 - limit)), 99.0))


def excluded_points(bad: int, sessions: int, expected: float) -> int | None:
    """The smallest of `DIFFERENCES` that is excluded at 95 %: the canary is worse by less. None where none is."""
    for points in DIFFERENCES:
        limit = expected + points / 100
        if health_evidence(bad, sessions, limit=limit, expected=expected) >= HEALTH_EVIDENCE:
            return points
    return None


def excludes(bad: int, sessions: int, *, expected: float, points: float) -> bool:
    """Whether it is shown at 95 % that the canary is worse by less than these points."""
    limit = expected + points / 100
    return health_evidence(bad, sessions, limit=limit, expected=expected) >= HEALTH_EVIDENCE


def rate_below(sessions: int) -> int:
    """The percentage that a rate is below at 95 % after so many sessions without a bad one, where stable has none."""
    for percent in range(1, 100):
        if health_evidence(0, sessions, limit=percent / 100, expected=0.0) >= HEALTH_EVIDENCE:
            return percent
    return 100
