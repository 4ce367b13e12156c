"""What an evaluation is likely to say: the exact probability of each verdict, and the examples that a verdict needs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from modelops.domain.gates.exact_bound import exact_bound, passing_edge, probability_above

MOST_EXAMPLES = 20_000
"""The largest number of examples that `examples_needed` names."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities of the verdicts `pass` and `fail`, from 0 to 1; what is left is inconclusive."""

    passes: float
    fails: float


def chances(n: int, *, disagree: float, difference: float, margin: float, alpha: float) -> Chances:
    """The probability of each verdict of the gate `nonInferior`, summed over all outcomes of `n` pairs.

    `disagree`: the share of pairs in which one model succeeds and the other does not. `difference`: the candidate's
    true success rate minus the baseline's. `margin` and `alpha` as in `exact_bound`. All are fractions. A share of
    disagreement below the difference is impossible, and is raised to it. The gate `superior` is the margin 0.
    """
    quantile = NormalDist().inv_cdf(1 - alpha)
    bound = exact_bound(n, margin=margin, alpha=alpha)
    disagree = min(1.0, max(disagree, abs(difference)))
    gained, lost = (disagree + difference) / 2, (disagree - difference) / 2
    above = passing_edge(n, margin=margin, bound=bound)
    # `fail` is a statistic below the quantile, so an outcome exactly at the quantile is not among them.
    not_failed = passing_edge(n, margin=margin, bound=-quantile - 1e-9)
    return Chances(
        passes=min(1.0, probability_above(above, n, gained=gained, lost=lost)),
        fails=max(0.0, 1 - probability_above(not_failed, n, gained=gained, lost=lost)),
    )


def examples_needed(
    *, disagree: float, margin: float, alpha: float, difference: float = 0.0, chance: float = 0.9
) -> int | None:
    """The fewest examples with which a candidate of this `difference` passes with probability `chance`, to about 2 %.

    None where `MOST_EXAMPLES` are not enough. The other arguments are those of `chances`.
    """

    def passes(n: int) -> bool:
        found = chances(n, disagree=disagree, difference=difference, margin=margin, alpha=alpha)
        return found.passes >= chance

    low, high = 1, 16
    while not passes(high):
        if high >= MOST_EXAMPLES:
            return None
        low, high = high, min(2 * high, MOST_EXAMPLES)
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
