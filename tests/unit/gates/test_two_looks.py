"""Two declared looks: the error of both together at the margin, and the planned chances beside simulated ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates import tango
from modelops.domain.gates.exact_bound import exact_bound
from modelops.domain.gates.tango import Interval, Pairs
from modelops.domain.gates.two_looks import Look, TwoLookChances, two_look_chances, two_looks
from modelops.domain.gates.verdict import Verdict, evaluate

SIMULATED = 4000


def at_margin(looks: tuple[Look, Look], *, margin: float, disagree: float) -> TwoLookChances:
    return two_look_chances(looks, disagree=disagree, difference=-margin, margin=margin, fail_alpha=0.05)


def test_the_error_probabilities_are_those_of_wang_and_tsiatis() -> None:
    first, both = two_looks(150, 300, alpha=0.05)
    assert (first.examples, both.examples) == (150, 300)
    assert (round(first.alpha, 4), round(both.alpha, 4)) == (0.0189, 0.0403)


@pytest.mark.parametrize("margin", [0.05, 0.10])
@pytest.mark.parametrize("factor", [1.5, 2, 3])
@pytest.mark.parametrize("first", [20, 33, 52, 100, 150, 250])
def test_a_candidate_at_the_margin_passes_at_either_look_in_at_most_5_5_percent(
    first: int, factor: float, margin: float
) -> None:
    looks = two_looks(first, round(first * factor), alpha=0.05)
    shares = np.arange(max(margin, 0.05), 0.4, 0.013)
    worst = max(at_margin(looks, margin=margin, disagree=float(share)).passes for share in shares)
    assert 0.005 < worst <= 0.055


def test_two_looks_at_five_percent_each_are_what_the_smaller_ones_are_needed_for() -> None:
    uncorrected = Look(examples=150, alpha=0.05), Look(examples=300, alpha=0.05)
    worst = max(at_margin(uncorrected, margin=0.05, disagree=share).passes for share in (0.05, 0.1, 0.2, 0.3))
    assert worst > 0.07


@lru_cache(maxsize=100_000)
def verdict(n: int, gained: int, lost: int, *, alpha: float, margin: float) -> Verdict:
    """The gate's own verdict of one look."""
    pairs = Pairs(n=n, gained=gained, lost=lost)
    low = tango.interval(pairs, alpha=alpha, low_bound=exact_bound(n, margin=margin, alpha=alpha)).low
    high = tango.interval(pairs, alpha=0.05).high
    return evaluate(Interval(low, high), goal=Goal.NON_INFERIOR, margin=margin)


@pytest.mark.parametrize(
    ("first", "both", "disagree", "margin", "difference"),
    [
        (20, 60, 0.4, 0.10, 0.0),
        (75, 150, 0.2, 0.05, -0.05),
        (150, 300, 0.2, 0.05, 0.0),
        (150, 300, 0.2, 0.10, -0.05),
        (150, 300, 0.1, 0.05, 0.02),
        (100, 150, 0.05, 0.10, -0.10),
        (60, 100, 0.0, 0.10, 0.0),
        (60, 100, 0.3, 0.0, 0.05),
    ],
)
def test_planned_chances_are_within_three_points_of_simulated_evaluations(
    first: int, both: int, disagree: float, margin: float, difference: float
) -> None:
    looks = two_looks(first, both, alpha=0.05)
    planned = two_look_chances(
        looks, disagree=disagree, difference=difference, margin=margin, fail_alpha=0.05
    )
    disagree = max(disagree, abs(difference))
    rates = [(disagree + difference) / 2, (disagree - difference) / 2, 1 - disagree]
    random = np.random.default_rng(5)
    earlier = random.multinomial(first, rates, SIMULATED)
    later = earlier + random.multinomial(both - first, rates, SIMULATED)
    passed = again = 0
    for (up, down, _), (more_up, more_down, _) in zip(earlier.tolist(), later.tolist(), strict=True):
        found = verdict(first, up, down, alpha=looks[0].alpha, margin=margin)
        if found is Verdict.INCONCLUSIVE:
            again += 1
            found = verdict(both, more_up, more_down, alpha=looks[1].alpha, margin=margin)
        passed += found is Verdict.PASS
    assert planned.passes == pytest.approx(passed / SIMULATED, abs=0.03)
    assert planned.second == pytest.approx(again / SIMULATED, abs=0.03)


def test_chances_of_a_pass_at_150_and_then_300_examples() -> None:
    looks = two_looks(150, 300, alpha=0.05)
    equal = two_look_chances(looks, disagree=0.2, difference=0.0, margin=0.10, fail_alpha=0.05)
    assert equal.passes == pytest.approx(0.98, abs=0.01)
    assert equal.second == pytest.approx(0.29, abs=0.01)
