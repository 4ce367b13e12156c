"""What an evaluation would cost and show is answered, and starts nothing."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.chat import Chat
from tests.unit.infra_agent.understood import AGENTS

from modelops.infra_agent.heard import heard
from modelops.infra_agent.understanding import understand


@pytest.mark.parametrize(
    ("message", "examples"),
    [
        ("what would an evaluation of docs cost?", None),
        ("what would an evaluation of docs tell me?", None),
        ("how much would it cost to evaluate docs with 300 examples?", 300),
        ("how long would an evaluation of docs with 150 examples take?", 150),
        ("how many examples does an evaluation of docs need?", None),
        ("how likely is it that the docs agent passes an evaluation?", None),
        ("what are the chances that the docs agent passes with 150 examples?", 150),
    ],
)
def test_a_question_about_an_evaluation_to_come_is_one(message: str, examples: int | None) -> None:
    found = heard(understand(message, agents=AGENTS))
    assert (found.intent, found.about, found.agents) == ("cost", "evaluate", ("docs",))
    assert found.examples == examples


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("what did the last evaluation of docs cost?", "cost"),
        ("which part of the docs budget goes to evals?", "cost"),
        ("evaluate docs", "evaluate"),
        ("please evaluate docs and tell me what it costs", "evaluate"),
        ("how is the evaluation of docs going?", "monitor"),
    ],
)
def test_what_was_or_shall_be_is_another_question(message: str, intent: str) -> None:
    found = heard(understand(message, agents=AGENTS))
    assert (found.intent, found.about) == (intent, None)


async def test_the_answer_has_chances_time_and_cost_and_waits_for_nothing() -> None:
    chat = Chat()
    said = await chat.say("cost docs about=evaluate examples=300")
    assert "With 300 examples a candidate passes in 84 % of evaluations if it is equal." in said
    assert "The last one was estimated at $1.20." in said
    assert "It costs at most the limit that you set, $10.00 where you set none" in said
    assert said.endswith("Nothing was started.")
    assert chat.question is None
    assert chat.hands.created == {}


async def test_money_of_several_agents_is_what_they_have_spent() -> None:
    assert "$4" in await Chat().say("cost docs cicd about=evaluate")
