"""An evaluation with two declared looks: the error of each, and what both together are likely to say.

Whoever looks at the same examples twice at 5 % passes up to 8.2 % of the candidates that are worse by the margin. So
each look gets a smaller error probability, by the boundary of S. K. Wang and A. A. Tsiatis (Biometrics 43, 1987,
193-199) with delta 0.25: for 150 examples and then 300 it is 1.89 % and 4.03 %. Each look takes the bound on its
statistic from the exact worst case of its own examples (`exact_bound`). Both looks together then pass less than 5 % of
candidates at the margin, for first looks of 20 to 500 examples and second ones of 1.5 to 3 times as many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from modelops.domain.gates.exact_bound import exact_bound, passing_edge

DELTA = 0.25
"""The shape of the boundary: 0 is that of O'Brien and Fleming, 0.5 that of Pocock."""
LEAST_FACTOR, MOST_FACTOR = 1.5, 3.0
"""Examples of both looks together, as a multiple of those of the first: for these the error is shown."""
FEWEST_EXAMPLES = 20
"""Of the first look: for fewer the error is not shown."""
SECOND_LOOK = "asking, look 2 of 2"
"""The stage of the evaluation program while it asks about the examples of the second look."""
_STEPS = 400
_TAIL = 5.0
"""Standard deviations of a count that are summed on each side, so that 1e-6 of the probability is left out."""
_LEAST = 1e-9
"""Probability of an outcome of the first look below which it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look: its examples, those of earlier looks included, and the one-sided error probability of a pass."""

    examples: int
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLookChances:
    """Probabilities from 0 to 1: a pass at either look, and that the second one is needed."""

    passes: float
    second: float


@lru_cache(maxsize=64)
def two_looks(first: int, both: int, *, alpha: float) -> tuple[Look, Look]:
    """The two looks at `first` examples and then at `both` of them, with `alpha` for both looks together."""
    share = first / both
    low, high = NormalDist().inv_cdf(1 - alpha), 2 * NormalDist().inv_cdf(1 - alpha / 2)
    while high - low > 1e-7:
        middle = (low + high) / 2
        if _either_above(middle * share ** (DELTA - 0.5), middle, correlation=math.sqrt(share)) > alpha:
            low = middle
        else:
            high = middle
    at_first = high * share ** (DELTA - 0.5)
    return (
        Look(examples=first, alpha=NormalDist().cdf(-at_first)),
        Look(examples=both, alpha=NormalDist().cdf(-high)),
    )


def two_look_chances(
    looks: tuple[Look, Look], *, disagree: float, difference: float, margin: float, fail_alpha: float
) -> TwoLookChances:
    """The probability of a pass, and of a second look, summed over all outcomes.

    `fail_alpha`: the one-sided error probability of a failure, at each look. The other arguments are those of
    `power.chances`.
    """
    first, second = looks
    disagree = min(1.0, max(disagree, abs(difference)))
    gained, lost = (disagree + difference) / 2, (disagree - difference) / 2
    fails = -NormalDist().inv_cdf(1 - fail_alpha) - 1e-9
    at_first = passing_edge(first.examples, margin=margin, bound=_bound(first, margin))
    not_failed = passing_edge(first.examples, margin=margin, bound=fails)
    at_second = passing_edge(second.examples, margin=margin, bound=_bound(second, margin))
    further = _tails(second.examples - first.examples, gained=gained, lost=lost)
    passes = open_share = later = 0.0
    for lost_count, gained_count, probability in _outcomes(first.examples, gained=gained, lost=lost):
        if lost_count < len(at_first) and gained_count >= at_first[lost_count]:
            passes += probability
        elif lost_count < len(not_failed) and gained_count >= not_failed[lost_count]:
            open_share += probability
            later += probability * _passes_later(further, at_second, lost_count, gained_count)
    return TwoLookChances(passes=min(1.0, passes + later), second=min(1.0, open_share))


def _bound(look: Look, margin: float) -> float:
    return exact_bound(look.examples, margin=margin, alpha=look.alpha)


@dataclass(frozen=True, slots=True)
class _Tails:
    """For each number of lost pairs from `lost` on: the probability of at least `gained` + i gained ones."""

    lost: int
    gained: int
    rows: list[list[float]]


def _passes_later(further: _Tails, edge: Sequence[int], lost: int, gained: int) -> float:
    """The probability that the further pairs lead from these counts of the first look to a pass."""
    total, base = 0.0, gained + further.gained
    for index, row in enumerate(further.rows, start=lost + further.lost):
        if index >= len(edge):
            break
        needed = edge[index] - base
        if needed < len(row):
            total += row[needed if needed > 0 else 0]
    return total


def _tails(n: int, *, gained: float, lost: float) -> _Tails:
    (g0, g1), (l0, l1) = _range(n, gained), _range(n, lost)
    rows = []
    for lost_count in range(l0, l1 + 1):
        row = [_probability(n, count, lost_count, gained=gained, lost=lost) for count in range(g0, g1 + 1)]
        for place in range(len(row) - 2, -1, -1):
            row[place] += row[place + 1]
        rows.append(row)
    return _Tails(lost=l0, gained=g0, rows=rows)


def _outcomes(n: int, *, gained: float, lost: float) -> list[tuple[int, int, float]]:
    """The outcomes of `n` pairs that are probable enough to count: lost pairs, gained pairs, probability."""
    (g0, g1), (l0, l1) = _range(n, gained), _range(n, lost)
    found = (
        (lost_count, count, _probability(n, count, lost_count, gained=gained, lost=lost))
        for lost_count in range(l0, l1 + 1)
        for count in range(g0, g1 + 1)
    )
    return [one for one in found if one[2] > _LEAST]


def _range(n: int, p: float) -> tuple[int, int]:
    """The counts of a binomial that hold nearly all of its probability."""
    width = _TAIL * math.sqrt(max(0.0, n * p * (1 - p))) + 6
    return max(0, math.floor(n * p - width)), min(n, math.ceil(n * p + width))


def _probability(n: int, gained_count: int, lost_count: int, *, gained: float, lost: float) -> float:
    """The trinomial probability of one outcome; 0 where `n` pairs cannot have it."""
    rest, equal = n - gained_count - lost_count, 1 - gained - lost
    if rest < 0 or (gained_count and gained <= 0) or (lost_count and lost <= 0) or (rest and equal <= 0):
        return 0.0
    logarithm = math.lgamma(n + 1)
    for count, p in ((gained_count, gained), (lost_count, lost), (rest, equal)):
        if count:
            logarithm += count * math.log(p) - math.lgamma(count + 1)
    return math.exp(logarithm)


def _either_above(first: float, second: float, *, correlation: float) -> float:
    """The probability that one of two standard normal values with this correlation is above its bound.

    Simpson's rule over the first value, from where 1e-16 is below it.
    """
    normal, rest = NormalDist(), math.sqrt(1 - correlation * correlation)
    width = (first + 8.5) / _STEPS
    total = 0.0
    for step in range(_STEPS + 1):
        value = -8.5 + step * width
        weight = 1 if step in (0, _STEPS) else 4 if step % 2 else 2
        total += weight * normal.pdf(value) * normal.cdf((second - correlation * value) / rest)
    return 1 - total * width / 3
