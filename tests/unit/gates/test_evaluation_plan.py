"""The plan says what simulated evaluations do, names a way forward, and is quick enough for a command."""

from __future__ import annotations

import time
from decimal import Decimal

import numpy as np
import pytest

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates import tango
from modelops.domain.gates.evaluation_plan import (
    Assumptions,
    default_margin_points,
    has_poor_chance,
    plan_evaluation,
)
from modelops.domain.gates.exact_bound import exact_bound
from modelops.domain.gates.tango import Pairs
from modelops.domain.gates.verdict import Verdict, evaluate

SIMULATED = 4000


def simulated_pass(assumed: Assumptions, difference: float) -> float:
    """The share of simulated evaluations that the gate's own verdict passes."""
    n, margin = assumed.examples, float(assumed.margin_points) / 100
    disagree = max(float(assumed.disagree_points) / 100, abs(difference))
    up, down = (disagree + difference) / 2, (disagree - difference) / 2
    drawn = np.random.default_rng(11).multinomial(n, [up, down, max(0.0, 1 - up - down)], SIMULATED)
    bound = exact_bound(n, margin=margin if assumed.goal is Goal.NON_INFERIOR else 0.0, alpha=0.05)

    def passes(gained: int, lost: int) -> bool:
        interval = tango.interval(Pairs(n=n, gained=gained, lost=lost), alpha=0.05, low_bound=bound)
        return evaluate(interval, goal=assumed.goal, margin=margin) is Verdict.PASS

    known = {pair: passes(*pair) for pair in {(int(g), int(lo)) for g, lo, _ in drawn}}
    return sum(known[int(g), int(lo)] for g, lo, _ in drawn) / SIMULATED


@pytest.mark.parametrize("goal", list(Goal))
@pytest.mark.parametrize(
    ("examples", "margin", "disagree", "gain"),
    [(20, 10, 40, 5), (30, 45, 20, 2), (52, 5, 10, 2), (150, 10, 20, 2), (300, 5, 30, 4), (500, 10, 5, 1)],
)
def test_planned_chances_are_within_three_points_of_simulated_ones(
    examples: int, margin: int, disagree: int, gain: int, goal: Goal
) -> None:
    assumed = Assumptions(
        examples=examples,
        margin_points=Decimal(margin),
        goal=goal,
        disagree_points=Decimal(disagree),
        gain_points=Decimal(gain),
    )
    plan = plan_evaluation(assumed)
    for planned, difference in (
        (plan.pass_if_equal, 0.0),
        (plan.pass_if_expected_gain, gain / 100),
        (plan.pass_if_half_margin_worse, -margin / 200),
    ):
        assert float(planned) == pytest.approx(simulated_pass(assumed, difference), abs=0.03)


@pytest.mark.parametrize(("examples", "margin"), [(10, 10), (500, 10), (501, 5), (5000, 5)])
def test_the_default_margin_follows_from_the_number_of_examples(examples: int, margin: int) -> None:
    assert default_margin_points(examples) == margin


def test_a_poor_chance_names_examples_and_a_margin_that_are_enough() -> None:
    poor = Assumptions(examples=30, margin_points=Decimal(10))
    plan = plan_evaluation(poor)
    assert has_poor_chance(plan)
    assert "about 130 examples or a marginPoints of 25" in plan.message
    for better in (
        Assumptions(examples=130, margin_points=Decimal(10)),
        Assumptions(examples=30, margin_points=Decimal(25)),
    ):
        assert float(plan_evaluation(better).pass_if_expected_gain) >= 0.9


def test_a_good_chance_needs_no_way_forward() -> None:
    plan = plan_evaluation(Assumptions(examples=150, margin_points=Decimal(10)))
    assert not has_poor_chance(plan)
    assert plan.message.endswith("take about 4 minutes.")


def test_to_be_better_takes_a_gain_that_can_be_seen() -> None:
    same = {"examples": 150, "margin_points": Decimal(10), "goal": Goal.SUPERIOR}
    assert has_poor_chance(plan_evaluation(Assumptions(**same)))  # type: ignore[arg-type]
    assert not has_poor_chance(plan_evaluation(Assumptions(**same, gain_points=Decimal(10))))  # type: ignore[arg-type]


def test_minutes_are_those_of_both_models_at_the_concurrency() -> None:
    assumed = Assumptions(examples=150, margin_points=Decimal(10), concurrency=5, call_seconds=10)
    assert plan_evaluation(assumed).minutes == 10


def test_a_plan_takes_less_than_a_second_of_processor_time() -> None:
    exact_bound.cache_clear()
    began = time.process_time()
    plan_evaluation(Assumptions(examples=500, margin_points=Decimal(10)))
    assert time.process_time() - began < 1
