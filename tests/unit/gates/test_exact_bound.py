"""The gate's error rate at the margin, and the plan's probabilities: exact sums, tables and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates import tango
from modelops.domain.gates.exact_bound import MOST_PAIRS, exact_bound, passing_edge, probability_above
from modelops.domain.gates.power import chances, examples_needed
from modelops.domain.gates.tango import Pairs
from modelops.domain.gates.verdict import Verdict, evaluate
from modelops.evaluation.outcome import needed_solved

NORMAL = 1.6448536269514722


def wrong_pass(n: int, *, margin: float, bound: float, disagree: float) -> float:
    """The probability that a candidate which is worse by exactly the margin passes."""
    edge = passing_edge(n, margin=margin, bound=bound)
    return probability_above(edge, n, gained=(disagree - margin) / 2, lost=(disagree + margin) / 2)


@pytest.mark.parametrize("margin", [0.03, 0.05, 0.10])
@pytest.mark.parametrize("n", [20, 25, 37, 52, 80, 150, 300, 500])
def test_a_candidate_at_the_margin_passes_one_time_in_twenty_whatever_the_disagreement(
    n: int, margin: float
) -> None:
    bound = exact_bound(n, margin=margin, alpha=0.05)
    shares = np.arange(max(margin, 0.05), 0.4, 0.0013)
    assert max(wrong_pass(n, margin=margin, bound=bound, disagree=float(d)) for d in shares) <= 0.055
    assert bound > NORMAL


def test_the_normal_bound_is_what_the_exact_one_is_needed_for() -> None:
    shares = np.arange(0.1, 0.4, 0.0013)
    assert max(wrong_pass(25, margin=0.10, bound=NORMAL, disagree=float(d)) for d in shares) > 0.07


def test_with_many_pairs_the_normal_bound_is_enough() -> None:
    n = MOST_PAIRS + 1
    assert exact_bound(n, margin=0.05, alpha=0.05) == pytest.approx(NORMAL)
    assert max(wrong_pass(n, margin=0.0, bound=NORMAL, disagree=d) for d in (0.05, 0.1, 0.2, 0.4)) < 0.053


@pytest.mark.parametrize(("up", "down"), [(0.1, 0.2), (0.0, 0.1), (0.3, 0.0), (0.4, 0.6), (0.0, 0.0)])
def test_the_sum_above_an_edge_is_that_of_the_single_outcomes(up: float, down: float) -> None:
    n, margin = 14, 0.1
    edge = passing_edge(n, margin=margin, bound=0.7)
    summed = 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            rest = n - gained - lost
            ways = math.comb(n, gained) * math.comb(n - gained, lost)
            if tango.score(Pairs(n=n, gained=gained, lost=lost), -margin) > 0.7:
                summed += ways * up**gained * down**lost * (1 - up - down) ** rest
    assert probability_above(edge, n, gained=up, lost=down) == pytest.approx(summed, abs=1e-9)


def test_the_lower_end_passes_the_margin_exactly_where_the_statistic_passes_the_bound() -> None:
    n, margin = 60, 0.10
    bound = exact_bound(n, margin=margin, alpha=0.05)
    for gained in range(0, 12):
        for lost in range(0, 12):
            pairs = Pairs(n=n, gained=gained, lost=lost)
            found = tango.interval(pairs, alpha=0.05, low_bound=bound)
            assert (found.low > -margin) == (tango.score(pairs, -margin) > bound)
            assert found.low <= pairs.difference <= found.high


@pytest.mark.parametrize(("margin", "expected"), [(0.05, [6, 9, 12, 22, 34]), (0.10, [9, 15, 22, 39, 62])])
def test_so_many_examples_must_be_solved(margin: float, expected: list[int]) -> None:
    assert [needed_solved(n, margin=margin, alpha=0.05) for n in (50, 100, 150, 300, 500)] == expected


def test_a_dataset_can_be_too_small_for_any_number_of_solved_examples() -> None:
    assert needed_solved(1, margin=0.5, alpha=0.05) is None


@pytest.mark.parametrize(
    ("n", "disagree", "margin", "difference"),
    [
        (50, 0.1, 0.05, 0.0),
        (150, 0.2, 0.10, 0.02),
        (150, 0.2, 0.10, -0.05),
        (300, 0.3, 0.05, -0.05),
        (20, 0.4, 0.1, -0.1),
    ],
)
def test_planned_probabilities_are_those_of_simulated_evaluations(
    n: int, disagree: float, margin: float, difference: float
) -> None:
    planned = chances(n, disagree=disagree, difference=difference, margin=margin, alpha=0.05)
    up, down = (disagree + difference) / 2, (disagree - difference) / 2
    drawn = np.random.default_rng(7).multinomial(n, [up, down, 1 - up - down], 4000)
    bound = exact_bound(n, margin=margin, alpha=0.05)
    verdicts: dict[tuple[int, int], Verdict] = {}
    for gained, lost in {(int(up), int(down)) for up, down, _ in drawn}:
        found = tango.interval(Pairs(n=n, gained=gained, lost=lost), alpha=0.05, low_bound=bound)
        verdicts[gained, lost] = evaluate(found, goal=Goal.NON_INFERIOR, margin=margin)
    seen = [verdicts[int(up), int(down)] for up, down, _ in drawn]
    assert planned.passes == pytest.approx(seen.count(Verdict.PASS) / len(seen), abs=0.03)
    assert planned.fails == pytest.approx(seen.count(Verdict.FAIL) / len(seen), abs=0.03)


@pytest.mark.parametrize(
    ("margin", "disagree", "expected"),
    [(0.05, 0.2, 691), (0.10, 0.1, 104), (0.10, 0.2, 178), (0.10, 0.3, 259)],
)
def test_examples_that_let_an_equal_model_pass_nine_times_in_ten(
    margin: float, disagree: float, expected: int
) -> None:
    found = examples_needed(disagree=disagree, margin=margin, alpha=0.05)
    assert found == pytest.approx(expected, rel=0.05)


def test_where_no_sensible_number_of_examples_is_enough_none_is_named() -> None:
    assert examples_needed(disagree=0.3, margin=0.05, alpha=0.05, difference=-0.05) is None
