"""Conditions of a person: which are read, and that what is not read is never taken for true."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.chat import Chat
from tests.unit.infra_agent.fake_hands import COMPARISON, FakeHands

from modelops.infra_agent.conditions import Quantity, limit_in, verdict

KNOWN = {
    Quantity.EXAMPLES: 150.0,
    Quantity.USD: 3.5,
    Quantity.MINUTES: 90.0,
    Quantity.ACCURACY: 87.0,
    Quantity.POINTS: 12.0,
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("if it has more than 100 rows", True),
        ("if ls://docs has at least 150 examples", True),
        ("if it has more than 150 examples", False),
        ("if it has over 1,000 rows", False),
        ("if it costs less than $5", True),
        ("if it stays under 3 dollars", False),
        ("if it takes at most 2 hours", True),
        ("if it takes less than 45 minutes", False),
        ("if the eval is above 80 %", True),
        ("if accuracy > 0.9", False),
        ("only if the score is at least 87%", True),
        ("if it is better than the baseline", True),
        ("if it beats the baseline by at least 15 points", False),
    ],
)
def test_a_comparison_with_a_number_is_checked(condition: str, holds: bool) -> None:
    assert verdict(condition, KNOWN)[0] is holds


@pytest.mark.parametrize(
    "condition",
    [
        "if sam agrees",
        "if it is not better than the baseline",
        "unless it has 500 rows",
        "if it has more than 100 rows and costs less than $1",
        "if v3 is above v2",
        "if the error rate is below 2 %",
        "if more than 100",
        "when 3 of 4 evals are above 80 %",
        "if tuesday",
        "",
    ],
)
def test_what_is_not_wholly_understood_is_not_checked(condition: str) -> None:
    assert verdict(condition, KNOWN)[0] is None


def test_the_number_itself_is_no_more_than_itself() -> None:
    limit = limit_in("if it has more than 500 rows")
    assert limit is not None
    assert [limit.holds(value) for value in (499, 500, 501)] == [False, False, True]


class Said(Chat):
    """A conversation in which `_` in a value is a space."""

    def _understand(self, message, context, agents):  # type: ignore[no-untyped-def]
        meant = super()._understand(message, context, agents)
        words = (meant.slots.condition or "").replace("_", " ") or None
        return type(meant)(
            **{**meant.__dict__, "slots": type(meant.slots)(**{**meant.slots.__dict__, "condition": words})}
        )


async def test_a_condition_that_holds_is_said_in_the_plan() -> None:
    said = await Said().say("train docs condition=if_it_has_more_than_100_rows")
    assert "Your condition holds ('if it has more than 100 rows'): it is 150 examples. Proceed?" in said


async def test_a_condition_that_does_not_hold_makes_no_plan() -> None:
    chat = Said()
    said = await chat.say("train docs condition=if_it_has_more_than_500_rows")
    assert said == "Your condition does not hold ('if it has more than 500 rows'): it is 150 examples."
    assert chat.question is None


async def test_a_deployment_is_checked_against_the_last_evaluation() -> None:
    chat = Said(FakeHands(last=COMPARISON))
    assert "it is 87 percent accuracy. Deploy?" in await chat.say(
        "deploy docs condition=if_the_eval_is_above_80_%"
    )
    assert "does not hold" in await chat.say("deploy docs condition=if_the_eval_is_above_90_%")
    assert "it is 12 points more" in await chat.say("deploy docs condition=if_it_is_better")
    assert "it is 20 percent faster" in await chat.say("deploy docs condition=if_it_is_faster")
    slower = COMPARISON.metrics[0].model_copy(update={"candidate": 1800.0})
    chat.hands.last = COMPARISON.model_copy(update={"metrics": (slower,)})
    assert "it is -20 percent faster" in await chat.say("deploy docs condition=if_it_is_faster")


async def test_without_an_evaluation_one_is_proposed_and_a_yes_shows_its_plan() -> None:
    chat = Said()
    said = await chat.say("deploy docs condition=if_the_eval_is_above_80_%")
    assert said.endswith("Evaluate it first?")
    assert chat.question is None
    assert "I can evaluate v1.1.0-rc.1 of docs" in await chat.say("approve")
    assert chat.hands.created == {}
    await chat.say("approve")
    assert len(chat.hands.created) == 1


async def test_a_condition_that_cannot_be_checked_is_shown() -> None:
    said = await Said().say("deploy docs condition=if_sam_agrees")
    assert "I cannot check your condition ('if sam agrees'): confirm only if it holds. Deploy?" in said
