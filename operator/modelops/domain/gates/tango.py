"""Tango's score interval for the difference of paired proportions.

T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
design", Statistics in Medicine 17 (1998) 891-908. It keeps its error rate at small n and without any
discordant pair. There Wald's interval and the bootstrap have width zero, so every candidate would pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Outcomes of `n` pairs: `gained` succeeded only with the candidate, `lost` only with the baseline.

    Raises ValueError for counts that `n` pairs cannot have.
    """

    n: int
    gained: int
    lost: int

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.gained, self.lost) < 0 or self.gained + self.lost > self.n:
            raise ValueError(f"these counts are not possible for paired outcomes: {self}")

    @property
    def difference(self) -> float:
        """The candidate's success rate minus the baseline's, -1 to 1."""
        return (self.gained - self.lost) / self.n


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval. Each end is a one-sided bound with half of the error probability."""

    low: float
    high: float


def interval(pairs: Pairs, *, alpha: float, low_bound: float | None = None) -> Interval:
    """The interval whose ends are one-sided bounds at `alpha`, so 0.05 gives a two-sided interval of 90 %.

    `low_bound`: the bound on the statistic for the lower end, where it is not the normal quantile.
    """
    quantile = NormalDist().inv_cdf(1 - alpha)
    return Interval(
        low=_crossing(pairs, quantile if low_bound is None else low_bound, outside=-1.0),
        high=_crossing(pairs, -quantile, outside=1.0),
    )


def score(pairs: Pairs, difference: float) -> float:
    """Tango's statistic for a true difference of `difference`, under which it is standard normal."""
    return statistic(pairs.n, pairs.gained, pairs.lost, difference)


def statistic(n: int, gained: int, lost: int, difference: float) -> float:
    """`score` for counts that are known to be possible: sums over thousands of outcomes call it."""
    numerator = gained - lost - n * difference
    # The constrained maximum-likelihood estimate of the rate of `lost` pairs (Tango 1998, equation 4).
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    rate = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * rate + difference * (1 - difference))
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def mcnemar_p(pairs: Pairs) -> float:
    """McNemar's exact two-sided p-value: the probability of a split at least this uneven if both models are equal."""
    discordant = pairs.gained + pairs.lost
    tail = sum(math.comb(discordant, k) for k in range(min(pairs.gained, pairs.lost) + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def _crossing(pairs: Pairs, level: float, *, outside: float) -> float:
    """The difference between `outside` and the estimate at which the score, which decreases, reaches `level`."""
    inside = pairs.difference
    if inside == outside:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        if abs(score(pairs, middle)) > abs(level):
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2
