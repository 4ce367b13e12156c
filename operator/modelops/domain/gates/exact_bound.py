"""The bound on Tango's statistic that keeps the error rate exactly: a candidate at the margin rarely passes.

Tango's statistic is normal only for many pairs. With its own bound, 1.645, a candidate that is worse by exactly the
margin passes up to 7.2 % of the time at 25 pairs and 6.9 % at 52. The exact unconditional test takes the bound from the
worst case instead: the distribution of the counts is trinomial, so the probability of a wrong pass is a sum, computed
for each share of pairs in which the models disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist

from modelops.domain.gates.tango import statistic

MOST_PAIRS = 2000
"""With more pairs the normal bound is used: its worst wrong pass is below 5.3 %, and the sums would take seconds."""
_TAIL = 6.5
"""Standard deviations of a count that are summed on each side, so that 1e-9 of the probability is left out."""
_LEAST = 1e-13
"""Probability of one outcome below which the rest of its tail is left out."""
_ROUNDING = 1e-6
"""Added to the bound, so that the outcome which gave it does not pass by a rounding error."""
_PRECISION = 1e-7


@lru_cache(maxsize=64)
def exact_bound(n: int, *, margin: float, alpha: float) -> float:
    """The smallest bound on Tango's statistic at -`margin` above which at most `alpha` of the wrong candidates are.

    `n`: pairs; `margin`: a fraction from 0 to 1; `alpha`: the one-sided error probability. It is never below the normal
    quantile, and is that quantile where there are more than `MOST_PAIRS` pairs.
    """
    bound = NormalDist().inv_cdf(1 - alpha)
    if n > MOST_PAIRS:
        return bound
    edge = passing_edge(n, margin=margin, bound=bound)
    for disagree in _shares(margin):
        gained, lost = (disagree - margin) / 2, (disagree + margin) / 2
        if probability_above(edge, n, gained=gained, lost=lost) <= alpha:
            continue
        high = 2 * bound
        while (
            probability_above(passing_edge(n, margin=margin, bound=high), n, gained=gained, lost=lost) > alpha
        ):
            high *= 2
        while high - bound > _PRECISION:
            middle = (bound + high) / 2
            edge = passing_edge(n, margin=margin, bound=middle)
            too_many = probability_above(edge, n, gained=gained, lost=lost) > alpha
            bound, high = (middle, high) if too_many else (bound, middle)
        bound = high
        edge = passing_edge(n, margin=margin, bound=bound)
    return bound + _ROUNDING


def passing_edge(n: int, *, margin: float, bound: float) -> Sequence[int]:
    """For each number of lost pairs from 0 on, the fewest gained pairs with which the statistic is above the bound.

    The list ends at the first number of lost pairs that no number of gained ones outweighs.
    """
    edge: list[int] = []
    gained = 0
    for lost in range(n + 1):
        while gained + lost <= n and not statistic(n, gained, lost, -margin) > bound:
            gained += 1
        if gained + lost > n:
            break
        edge.append(gained)
    return edge


def probability_above(edge: Sequence[int], n: int, *, gained: float, lost: float) -> float:
    """The probability of all outcomes of `n` pairs at or above the edge, to about 1e-9.

    `gained` and `lost` are the probabilities of one pair.
    """
    width = _TAIL * math.sqrt(max(0.0, n * lost * (1 - lost))) + 8
    first, last = max(0, math.floor(n * lost - width)), min(len(edge) - 1, math.ceil(n * lost + width))
    return math.fsum(
        _row_above(n, edge[count], count, gained=gained, lost=lost) for count in range(first, last + 1)
    )


def _row_above(n: int, least: int, lost_count: int, *, gained: float, lost: float) -> float:
    """The probability of `lost_count` lost pairs and at least `least` gained ones."""
    others, equal = n - lost_count, 1 - gained - lost
    if equal <= 1e-12:
        # Every pair disagrees, so all others are gained.
        return _probability(n, others, lost_count, gained=gained, lost=lost) if least <= others else 0.0
    probability = _probability(n, least, lost_count, gained=gained, lost=lost)
    mode, ratio, count, total = others * gained / (gained + equal), gained / equal, least, 0.0
    while count <= others and (count <= mode or probability > _LEAST):
        total += probability
        probability *= (others - count) / (count + 1) * ratio
        count += 1
    return total


def _probability(n: int, gained_count: int, lost_count: int, *, gained: float, lost: float) -> float:
    """The trinomial probability of one outcome."""
    rest = n - gained_count - lost_count
    counts = ((gained_count, gained), (lost_count, lost), (rest, 1 - gained - lost))
    if any(count and p <= 0 for count, p in counts):
        return 0.0
    ways = math.lgamma(n + 1) - sum(math.lgamma(count + 1) for count, _ in counts)
    return math.exp(ways + sum(count * math.log(p) for count, p in counts if count))


def _shares(margin: float) -> Iterator[float]:
    """Shares of pairs that disagree, from the smallest possible one: close together there, where the worst case is."""
    yield from (min(1.0, margin + step * 0.0025) for step in range(40))
    yield from (margin + 0.1 + step * 0.01 for step in range(max(0, math.ceil((0.9 - margin) * 100 - 1e-9))))
