"""The bound on Tango's statistic that keeps the error rate exactly: a candidate at the margin rarely passes.

Tango's statistic is normal only for many pairs. With its own bound, 1.645, a candidate that is worse by exactly the
margin passes up to 7.2 % of the time at 25 pairs and 6.9 % at 52. The exact unconditional test takes the bound from the
worst case instead: the distribution of the counts is trinomial, so the probability of a wrong pass is a sum, computed
for each share of pairs in which the models disagree.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_PAIRS = 2000
"""With more pairs the normal bound is used: its worst wrong pass is below 5.3 %, and the sums would take seconds."""
_TAIL = 6.5
"""Standard deviations of a count that are summed on each side, so that 1e-9 of the probability is left out."""
_ROUNDING = 1e-6
"""Added to the bound, so that the outcome which gave it does not pass by a rounding error."""


@lru_cache(maxsize=64)
def exact_bound(n: int, *, margin: float, alpha: float) -> float:
    """The smallest bound on Tango's statistic at -`margin` above which at most `alpha` of the wrong candidates are.

    `n`: pairs; `margin`: a fraction from 0 to 1; `alpha`: the one-sided error probability. It is never below the normal
    quantile, and is that quantile where there are more than `MOST_PAIRS` pairs.
    """
    bound = NormalDist().inv_cdf(1 - alpha)
    if n > MOST_PAIRS:
        return bound
    for disagree in _shares(margin):
        gained, lost, probability = trinomial(n, (disagree - margin) / 2, (disagree + margin) / 2)
        statistic = np.round(scores(gained, lost, n, -margin), 9)
        order = np.argsort(-statistic)
        passed = np.cumsum(probability[order])
        # Outcomes with one statistic pass together: the first value that would be too many is the bound.
        first = int(np.searchsorted(passed, alpha, side="right"))
        if first < len(order):
            bound = max(bound, float(statistic[order[first]]))
    return bound + _ROUNDING


def trinomial(n: int, gained: float, lost: float) -> tuple[Floats, Floats, Floats]:
    """All likely counts of gained and lost pairs with their probability, as three arrays of one length.

    `gained` and `lost` are the probabilities of one pair. What is left out has a probability of about 1e-9.
    """
    up, down = np.meshgrid(_likely(n, gained), _likely(n, lost), indexing="ij")
    possible = up + down <= n
    up, down = up[possible], down[possible]
    rest = n - up - down
    logarithm = (
        _log_factorial(n)[n]
        - _log_factorial(n)[up]
        - _log_factorial(n)[down]
        - _log_factorial(n)[rest]
        + _times_log(up, gained)
        + _times_log(down, lost)
        + _times_log(rest, 1 - gained - lost)
    )
    return up.astype(float), down.astype(float), np.exp(logarithm)


def scores(gained: Floats, lost: Floats, n: int, difference: float) -> Floats:
    """`modelops.domain.gates.tango.score` for arrays of counts."""
    numerator = gained - lost - n * difference
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    rate = (np.sqrt(np.maximum(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * rate + difference * (1 - difference))
    known = variance > 0
    with np.errstate(invalid="ignore"):
        unbounded = np.where(numerator == 0, 0.0, np.sign(numerator) * np.inf)
    return np.where(known, numerator / np.sqrt(np.where(known, variance, 1.0)), unbounded)


def _shares(margin: float) -> Floats:
    """Shares of pairs that disagree, from the smallest possible one: close together there, where the worst case is."""
    near = np.arange(margin, margin + 0.1, 0.0025)
    return np.unique(np.minimum(1.0, np.concatenate((near, np.arange(margin + 0.1, 1.0, 0.01)))))


def _likely(n: int, p: float) -> NDArray[np.int64]:
    around, width = n * p, _TAIL * math.sqrt(max(0.0, n * p * (1 - p))) + 8
    return np.arange(max(0, math.floor(around - width)), min(n, math.ceil(around + width)) + 1)


def _times_log(count: NDArray[np.int64], p: float) -> Floats:
    """count × log(p), which is 0 for a count of 0, and minus infinity for a count of what is impossible."""
    if p <= 0:
        return np.where(count > 0, -np.inf, 0.0)
    return count.astype(np.float64) * math.log(p)


@lru_cache(maxsize=8)
def _log_factorial(n: int) -> Floats:
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
