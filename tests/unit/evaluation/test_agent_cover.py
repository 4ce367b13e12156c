"""What an evaluation of the agent, and a sample of production, may cost: an agent calls a model several times."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.evaluation.asked import ARM, answer, request

from modelops.evaluation import cover as cover_module
from modelops.evaluation.cover import billed_usd, cover
from modelops.evaluation.question import Question

QUESTIONS = [
    Question(example=str(n), inputs={}, messages=({"role": "user", "content": "x" * 30},), target="t")
    for n in range(10)
]
PRICES: Any = {"data": {"endpoints": [{"pricing": {"prompt": "0.000001", "completion": "0.00001"}}]}}


@pytest.fixture(autouse=True)
def prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k")
    monkeypatch.setattr(cover_module, "model_listing", lambda *_, **__: (200, PRICES))


def given(tokens: int = 100, **more: Any) -> Any:
    arms = {
        name: {**ARM, "model": f"author/{name}", "version": "v1", "service": "openrouter"}
        for name in ("baseline", "candidate")
    }
    prompt = {"user": "{{ inputs.task }}", "assistant": "x", "maxTokens": tokens}
    return request(arms=arms, prompt=prompt, **more)


def agent(calls: int) -> dict[str, Any]:
    rule = {"url": "http://docs.team.svc/evaluate", "max_calls": calls, "max_prompt_tokens": 1000}
    return {"target": "agent", "asked_agent": rule}


@pytest.mark.parametrize("calls", [1, 4])
def test_the_cost_is_that_of_all_calls_with_the_agents_own_prompt(calls: int) -> None:
    once = Decimal("0.000001") * 1000 + Decimal("0.00001") * 100
    found = cover(given(**agent(calls)), QUESTIONS)
    assert Decimal(found["calls_usd"]) == 2 * 10 * calls * once


def test_the_longest_time_is_that_of_all_calls_and_no_answer_is_longer_than_the_limit() -> None:
    one, four = (cover(given(**agent(calls)), QUESTIONS)["seconds"] for calls in (1, 4))
    assert four == 4 * one
    limited = cover(given(timeout_seconds=20, **agent(200)), QUESTIONS)["seconds"]
    assert limited == 3 * 20  # 20 answers, 8 at a time


def test_a_sample_of_production_is_in_cost_and_time_once() -> None:
    alone = cover(given(), QUESTIONS)
    both = cover(given(), QUESTIONS, production=QUESTIONS)
    assert Decimal(both["calls_usd"]) == 2 * Decimal(alone["calls_usd"])
    assert both["seconds"] == 2 * alone["seconds"]
    repeated = cover(given(repetitions=3), QUESTIONS, production=QUESTIONS)
    assert Decimal(repeated["calls_usd"]) == 4 * Decimal(alone["calls_usd"])


@pytest.mark.parametrize(
    "rule", [{"judge": {"model": "judges/strict"}}, {"similarity": {"model": "team/embed"}}]
)
def test_a_judge_and_an_embedding_model_read_all_of_an_agents_answer(rule: dict[str, Any]) -> None:
    """`spec.prompt.maxTokens` limits a call of a model, and not what an agent makes of its calls."""

    def reading(tokens: int) -> Decimal:
        alone, both = (cover(given(tokens, **agent(1), **more), QUESTIONS) for more in ({}, rule))
        return Decimal(both["calls_usd"]) - Decimal(alone["calls_usd"])

    assert reading(100) == reading(8000)


def test_what_failed_answers_of_an_agent_have_cost_is_booked_too() -> None:
    answers = [
        answer("baseline", 1, "x", cost_usd="0.10"),
        answer("candidate", 1, None, cost_usd="0.20"),
    ]
    asked = given(**agent(1))
    assert billed_usd(asked, answers) == "0.30"
    assert billed_usd(asked, [*answers, answer("baseline", 2, "x")]) is None
    assert billed_usd(asked, [*answers, answer("candidate", 2, None)]) is None, (
        "it may have made calls before"
    )
    assert billed_usd(given(), [*answers, answer("candidate", 2, None)]) == "0.30"
