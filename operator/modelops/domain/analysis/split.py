"""The second guard: is the canary worse than stable is at this moment?

While both tracks are equally ill, a bad session is the canary's with the chance that any session is. A fault of the
provider hits both, so it never moves this evidence, however many sessions fail.
"""

from __future__ import annotations

from math import exp, log
from typing import Final

_SHARES: Final = (0.3, 0.6, 0.9)
_PRIOR_SESSIONS: Final = 50.0
"""The weight in force counts as so many sessions: a bucket with one session says nothing about the share."""
_CEILING: Final = 1e100

Split = tuple[float, float, float]
NO_SPLIT: Final[Split] = (1.0, 1.0, 1.0)


def canary_share(canary: int, stable: int, weight: float) -> float:
    """The canary's share of the sessions of a bucket; `weight` is from 0 to 1."""
    share = (canary + _PRIOR_SESSIONS * weight) / (canary + stable + _PRIOR_SESSIONS)
    return min(max(share, 0.001), 0.999)


def after_bucket(before: Split, *, canary_bad: int, stable_bad: int, share: float) -> Split:
    """The three bets after one bucket. It is a CUSUM (Page 1954), so it forgets what was good before."""
    if not (canary_bad or stable_bad):
        return before
    after = []
    for value, part in zip(before, _SHARES, strict=True):
        chance = share + part * (1 - share)
        won = canary_bad * log(chance / share) + stable_bad * log((1 - chance) / (1 - share))
        after.append(min(max(value, 1.0) * exp(min(won, 230.0)), _CEILING))
    return after[0], after[1], after[2]


def evidence_of(split: Split) -> float:
    """The evidence that the canary has more than its share."""
    return sum(split) / len(split)
