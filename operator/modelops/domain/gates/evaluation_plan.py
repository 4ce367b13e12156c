"""What an evaluation is likely to show, before it is paid for: a plan that a person can accept or change."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from modelops.api.v1alpha1.rollout import EvaluationPlan, Goal
from modelops.api.v1alpha1.top_up import PlannedLook
from modelops.domain.gates.power import chances, examples_needed
from modelops.domain.gates.two_looks import Look, two_look_chances, two_looks
from modelops.grammar import counted

FEW_PAIRS: Final = 500
"""Examples up to which the default margin is the wide one: with fewer, 5 points ask for luck."""
WIDE_MARGIN, NARROW_MARGIN = Decimal(10), Decimal(5)
ASSUMED_DISAGREEMENT: Final = Decimal(20)
"""Percentage of examples that only one of the models solves, where nothing is known of the agent's models."""
ASSUMED_PREFERENCES: Final = Decimal(50)
"""Percentage of examples on which a judge prefers one of the two answers, where nothing is known."""
EXPECTED_GAIN: Final = Decimal(2)
"""Percentage points by which a candidate is expected to be better, where the spec says nothing."""
ASSUMED_CALL_SECONDS: Final = 5.0
POOR_CHANCE: Final = 0.5
"""Probability of a pass with the expected gain below which an evaluation must be accepted by name."""
_GOOD_CHANCE: Final = 0.9
_MARGINS: Final = tuple(Decimal(points) for points in (5, 10, 15, 20, 25, 30, 40, 50))


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What the plan is computed from. Points are percentage points, and `alpha` is the one-sided error probability.

    `calls_each`: calls of each model for each example. `other_calls`: calls beside the examples. `call_seconds`:
    seconds of one call. `judged`: whether a judge's preferences decide, so `disagree_points` are the examples on which
    it prefers an answer.
    """

    examples: int
    margin_points: Decimal
    goal: Goal = Goal.NON_INFERIOR
    alpha: float = 0.05
    disagree_points: Decimal = ASSUMED_DISAGREEMENT
    gain_points: Decimal = EXPECTED_GAIN
    concurrency: int = 8
    calls_each: int = 1
    other_calls: int = 0
    call_seconds: float = ASSUMED_CALL_SECONDS
    first_look: int | None = None
    """Examples of the first of two looks; None where there is only one. `examples` are then those of both."""
    judged: bool = False

    @property
    def tested_margin(self) -> float:
        """The margin that the goal tests, as a fraction: to be better is to be within a margin of 0."""
        return _fraction(self.margin_points) if self.goal is Goal.NON_INFERIOR else 0.0

    @property
    def looks(self) -> tuple[Look, Look] | None:
        """The two looks; None where there is only one."""
        if self.first_look is None or self.first_look >= self.examples:
            return None
        return two_looks(self.first_look, self.examples, alpha=self.alpha)


def default_margin_points(examples: int) -> Decimal:
    """The margin in percentage points where the spec names none."""
    return WIDE_MARGIN if examples <= FEW_PAIRS else NARROW_MARGIN


def plan_evaluation(assumed: Assumptions) -> EvaluationPlan:
    """The plan: exact probabilities, minutes, and where the chance is poor, what would improve it."""
    equal = _passes(assumed, difference=0.0)
    gain = _passes(assumed, difference=_fraction(assumed.gain_points))
    worse = _passes(assumed, difference=-_fraction(assumed.margin_points) / 2)
    minutes, looks = _minutes(assumed, assumed.examples), assumed.looks
    second = None if looks is None else _second_look(assumed, looks)
    plan = EvaluationPlan(
        examples=assumed.examples,
        margin_points=_shown(assumed.margin_points),
        disagreement_points=_shown(assumed.disagree_points),
        expected_gain_points=_shown(assumed.gain_points),
        pass_if_equal=f"{equal:.3f}",
        pass_if_expected_gain=f"{gain:.3f}",
        pass_if_half_margin_worse=f"{worse:.3f}",
        looks=tuple(planned_look(look.alpha, examples=look.examples) for look in looks or ()),
        second_look_if_equal=None if second is None else f"{second:.3f}",
        minutes=minutes,
    )
    rule = (
        "the goal to be better"
        if assumed.goal is Goal.SUPERIOR
        else f"a margin of {_shown(assumed.margin_points)} points"
    )
    disagreeing = "with a preference of the judge" if assumed.judged else "solved by only one model"
    message = (
        f"With {counted(assumed.examples, 'example')}, {rule} and {_shown(assumed.disagree_points)} % of the examples "
        f"{disagreeing}, a candidate passes in {equal * 100:.0f} % of evaluations if it is equal, in "
        f"{gain * 100:.0f} % if it is {_shown(assumed.gain_points)} points better, and in {worse * 100:.0f} % if it is "
        f"{_shown(assumed.margin_points / 2)} points worse. "
    )
    if looks is not None and second is not None:
        message += look_words(looks, second)
    if has_poor_chance(plan):
        message += _way_forward(assumed)
    else:
        message += f"The answers of both models take about {counted(minutes, 'minute')}"
        message += f", of the first look {_minutes(assumed, looks[0].examples)}." if looks else "."
    return plan.model_copy(update={"message": message.rstrip()})


def has_poor_chance(plan: EvaluationPlan) -> bool:
    """Whether even a candidate with the expected gain will probably not pass."""
    return float(plan.pass_if_expected_gain) < POOR_CHANCE


def planned_look(alpha: float, *, examples: int) -> PlannedLook:
    """The look as a status has it."""
    return PlannedLook(examples=examples, error_percent=f"{alpha * 100:.2f}")


def look_words(looks: tuple[Look, Look], second: float) -> str:
    """What two looks mean, as a sentence. `second`: the probability of the second one for an equal candidate."""
    first, both = looks
    return (
        f"There are two looks: {first.examples} examples with an error of {first.alpha * 100:.2f} %, and, where they "
        f"decide nothing, {both.examples} with {both.alpha * 100:.2f} %; an equal candidate needs the second in "
        f"{second * 100:.0f} % of evaluations. "
    )


def _minutes(assumed: Assumptions, examples: int) -> int:
    """Minutes in which both models answer so many examples."""
    calls = 2 * examples * assumed.calls_each + assumed.other_calls
    return math.ceil(math.ceil(calls / assumed.concurrency) * assumed.call_seconds / 60)


def _second_look(assumed: Assumptions, looks: tuple[Look, Look]) -> float:
    """The probability that the second look is needed for an equal candidate."""
    return two_look_chances(
        looks,
        disagree=_fraction(assumed.disagree_points),
        difference=0.0,
        margin=assumed.tested_margin,
        fail_alpha=assumed.alpha,
    ).second


def _passes(assumed: Assumptions, *, difference: float, margin: float | None = None) -> float:
    looks = assumed.looks
    if looks is not None:
        return two_look_chances(
            looks,
            disagree=_fraction(assumed.disagree_points),
            difference=difference,
            margin=assumed.tested_margin if margin is None else margin,
            fail_alpha=assumed.alpha,
        ).passes
    return chances(
        assumed.examples,
        disagree=_fraction(assumed.disagree_points),
        difference=difference,
        margin=assumed.tested_margin if margin is None else margin,
        alpha=assumed.alpha,
    ).passes


def _way_forward(assumed: Assumptions) -> str:
    """What makes a pass of a candidate with the expected gain likely: more examples, or a wider margin.

    It is computed for one look at all examples, which passes at most 3 points more often than two.
    """
    assumed = replace(assumed, first_look=None)
    gain = _fraction(assumed.gain_points)
    needed = examples_needed(
        disagree=_fraction(assumed.disagree_points),
        margin=assumed.tested_margin,
        alpha=assumed.alpha,
        difference=gain,
        chance=_GOOD_CHANCE,
    )
    ways = [f"about {_rounded(needed)} examples"] if needed is not None else []
    if assumed.goal is Goal.NON_INFERIOR:
        wide = (m for m in _MARGINS if m > assumed.margin_points)
        enough = next(
            (m for m in wide if _passes(assumed, difference=gain, margin=_fraction(m)) >= _GOOD_CHANCE), None
        )
        ways += [f"a marginPoints of {enough}"] if enough is not None else []
    if not ways:
        return ""
    return f"It takes {' or '.join(ways)} for {_GOOD_CHANCE * 100:.0f} % at that gain."


def _rounded(examples: int) -> int:
    """The number rounded up to two digits, because it is known to about 2 %."""
    step = int("1".ljust(len(str(examples)) - 1, "0"))
    return math.ceil(examples / step) * step


def _fraction(points: Decimal) -> float:
    return float(points) / 100


def _shown(points: Decimal) -> str:
    return f"{points.normalize():f}"
