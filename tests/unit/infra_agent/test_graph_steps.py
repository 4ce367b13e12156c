"""Pauses, collections, runs that are repeated, proposals, and two requests in one message."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from tests.unit.infra_agent.chat import Chat
from tests.unit.infra_agent.fake_hands import FakeHands

from modelops.client import Unavailable
from modelops.infra_agent.hands import AgentFacts, Running
from modelops.tools.errors import ToolRefused

RUNS = Running(kind="training", name="docs-train-1", agent="docs", finished=False)
CANARY = Running(kind="deployment", name="docs-deploy-1", agent="docs", finished=False)
ENDED = Running(kind="deployment", name="docs-deploy-0", agent="docs", finished=True)
EMPTY = AgentFacts(
    agent="docs", agent_model="docs", training_dataset=None, evaluation_dataset=None, approval_above_usd=10
)


@pytest.mark.parametrize(
    ("message", "runs", "shown", "done"),
    [
        ("pause docs", CANARY, "begins no further step, and keeps the share", "pause docs-deploy-1"),
        ("resume docs", CANARY, "goes on with its steps", "resume docs-deploy-1"),
        ("pause docs", RUNS, "stops its job, and keeps its last checkpoint", "pause docs-train-1"),
        ("resume run=docs-train-1", RUNS, "goes on from its last checkpoint", "resume docs-train-1"),
    ],
)
async def test_what_runs_is_paused_after_a_confirmation(
    message: str, runs: Running, shown: str, done: str
) -> None:
    chat = Chat(FakeHands(now_running=(runs,)))
    assert shown in await chat.say(message)
    assert chat.hands.changed == []
    await chat.confirm()
    assert chat.hands.changed == [done]


@pytest.mark.parametrize(
    ("running", "said"),
    [
        ((), "Nothing runs that could be paused."),
        ((ENDED,), "Nothing runs that could be paused."),
        ((RUNS, CANARY), "Which one: docs-train-1 of docs, docs-deploy-1 of docs?"),
    ],
)
async def test_what_cannot_be_paused_is_said(running: tuple[Running, ...], said: str) -> None:
    chat = Chat(FakeHands(now_running=running))
    assert await chat.say("pause docs") == said
    assert chat.question is None


async def test_failures_are_shown_and_become_a_dataset_once_it_is_confirmed() -> None:
    chat = Chat()
    said = await chat.say("collect docs")
    assert "I found 2 failures in 90 runs of docs since 2026-10-31, in project docs-prod." in said
    assert "1 more have the inputs of another one." in said
    assert "Left out, because they contain secrets or personal data: 3 with key." in said
    assert chat.hands.created == {}
    done = await chat.confirm()
    assert "Created ls://docs-failures-20261130 with 2 examples. Correct their outputs" in done
    (made,) = chat.hands.created.values()
    assert made.runs == ("r1", "r2")


async def test_a_collection_keeps_no_content_of_traces_in_the_memory() -> None:
    chat = Chat()
    await chat.say("collect docs")
    plan = (await chat.memory()).plan
    assert plan is not None
    assert set(plan.action.model_dump()) == {"kind", "project", "name", "since", "until", "runs"}


async def test_no_failures_are_no_plan() -> None:
    chat = Chat(FakeHands(failed=ToolRefused("project 'docs-prod' has no failure")))
    assert await chat.say("collect docs") == "Project 'docs-prod' has no failure."
    assert chat.question is None


async def test_a_lost_answer_keeps_the_collection_and_a_repetition_stores_it_once() -> None:
    chat = Chat(FakeHands(on_create=Unavailable("LangSmith does not answer")))
    await chat.say("collect docs")
    assert "I do not know whether it was done" in await chat.confirm()
    assert "Created ls://docs-failures-20261130" in await chat.say("approve")
    assert len(chat.hands.created) == 1


async def test_a_yes_to_a_proposal_shows_a_plan_and_does_nothing_yet() -> None:
    chat = Chat(FakeHands(facts_of=EMPTY))
    assert "Run '@chef collect docs failures' first?" in await chat.say("train docs")
    chat.restart()
    assert "I found 2 failures" in await chat.say("approve")
    assert chat.hands.created == {}


@pytest.mark.parametrize("between", ["history docs", "none", "cancel"])
async def test_a_proposal_that_was_passed_over_is_gone(between: str) -> None:
    chat = Chat(FakeHands(facts_of=EMPTY))
    await chat.say("train docs")
    await chat.say(between)
    assert "There is no plan" in await chat.say("approve")
    assert chat.question is None


async def test_a_yes_to_another_agents_question_accepts_no_proposal() -> None:
    chat = Chat(FakeHands(facts_of=EMPTY))
    await chat.say("train docs")
    asked = AIMessage("Shall I merge the pull request?", name="cicd")
    assert "There is no plan" in await chat.say("approve", after=[asked])


async def test_a_training_is_repeated_with_what_it_had() -> None:
    chat = Chat(FakeHands(now_running=(RUNS,)))
    await chat.say("train docs run=docs-train-1 method=orpo")
    (asked,) = chat.hands.estimates
    assert (asked.dataset_id, asked.base_model, asked.training_method) == (
        "ls://of-that-run",
        "org/base",
        "orpo",
    )


async def test_an_evaluation_is_repeated_with_its_candidate() -> None:
    chat = Chat(FakeHands(now_running=(CANARY,)))
    chat.hands.moved = chat.hands.moved.model_copy(update={"version": "v7"})
    assert "I can evaluate v7 of docs" in await chat.say("evaluate docs run=docs-deploy-1")


async def test_two_requests_are_two_plans_one_after_the_other() -> None:
    chat = Chat()
    said = await chat.say("evaluate docs THEN deploy cicd version=v3")
    assert said.startswith(
        "One after the other: evaluate docs v1.1.0-rc.1 first, then deploy cicd v3. I can evaluate"
    )
    chat.restart()
    said = await chat.confirm()
    assert len(chat.hands.created) == 1
    assert said.endswith("Deploy?")
    assert "I can deploy v3 to cicd" in said
    assert chat.question is not None
    await chat.say("approve")
    assert len(chat.hands.created) == 2


@pytest.mark.parametrize("button", [True, False])
async def test_after_a_no_to_the_first_the_second_is_planned(button: bool) -> None:
    chat = Chat()
    await chat.say("evaluate docs THEN deploy cicd version=v3")
    assert chat.question is not None
    declined = {"plan": chat.question["plan"], "approved": False}
    said = await chat.resume(declined) if button else await chat.say("cancel")
    assert "Dropped" in said
    assert "I can deploy v3 to cicd" in said
    assert chat.hands.created == {}
    await chat.say("cancel")
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_what_follows_on_a_run_that_takes_hours_is_not_planned_before_its_end() -> None:
    chat = Chat()
    await chat.say("train docs THEN deploy docs")
    said = await chat.confirm()
    assert said.endswith("When it has ended, I say so: then you can deploy docs.")
    assert chat.question is None
    assert len(chat.hands.created) == 1


async def test_a_first_request_that_cannot_be_done_leaves_the_second() -> None:
    chat = Chat()
    said = await chat.say("deploy docs percent=200 THEN train cicd")
    assert "200 % is no share" in said
    assert "for cicd" in said
    assert chat.question is not None
    assert chat.question["agent"] == "cicd"


async def test_an_expired_first_plan_takes_the_second_request_with_it() -> None:
    chat = Chat()
    chat.hands.quote = chat.hands.quote.model_copy(update={"valid_until": "2025-01-01T00:00:00Z"})
    await chat.say("train docs THEN deploy cicd")
    assert "expired" in await chat.say("approve")
    assert chat.question is None
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_what_is_not_understood_is_answered_with_the_agents_there_are() -> None:
    assert "The agents that I know: docs" in await Chat(FakeHands()).say("none")
