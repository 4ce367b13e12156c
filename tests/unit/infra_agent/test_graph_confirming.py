"""Only a confirmation of exactly the plan that waits does something, and it does it once."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from tests.unit.infra_agent.chat import Chat
from tests.unit.infra_agent.fake_hands import FakeHands

from modelops.client import Forbidden, Uncertain
from modelops.infra_agent.acting import carry_out
from modelops.infra_agent.hands import TeamSettings
from modelops.infra_agent.state import State
from modelops.tools.errors import ToolRefused


async def test_a_request_shows_cost_and_time_and_starts_nothing() -> None:
    chat = Chat()
    said = await chat.say("train docs")
    assert said == (
        "I can fine-tune Qwen/Qwen2.5-Coder-7B on 150 examples for docs. Estimated cost: $2.80 to $3.50 (at most $3.68), "
        "time: 1.2 to 1.5 hours. Proceed?"
    )
    assert chat.hands.created == {}
    assert chat.question is not None
    assert (chat.question["kind"], chat.question["action"], chat.question["agent"]) == (
        "modelops_plan",
        "train",
        "docs",
    )
    assert chat.question["max_usd"] == 3.68
    assert chat.question["said"] == [said]


@pytest.mark.parametrize("request_", ["train docs", "evaluate docs", "deploy docs"])
async def test_an_approval_carries_out_the_plan_once(request_: str) -> None:
    chat = Chat()
    await chat.say(request_)
    assert "docs" in await chat.confirm()
    assert len(chat.hands.created) == 1
    assert chat.question is None
    assert await chat.say("approve") == "There is no plan that waits for a confirmation. Nothing was done."
    assert len(chat.hands.created) == 1


@pytest.mark.parametrize("request_", ["train docs", "evaluate docs", "deploy docs"])
async def test_words_confirm_as_a_button_does_after_a_restart_too(request_: str) -> None:
    chat = Chat()
    await chat.say(request_)
    chat.restart()
    await chat.say("approve docs")
    assert len(chat.hands.created) == 1


async def test_a_host_may_resume_with_the_words_of_the_person() -> None:
    chat = Chat()
    await chat.say("train docs")
    await chat.resume("approve")
    assert list(chat.hands.created) == ["docs-estimate-1"]


@pytest.mark.parametrize(
    "answer",
    [True, "", 1, {"approved": True}, {"plan": "", "approved": True}, {"plan": "PLAN", "approved": "yes"},
     {"plan": "PLAN", "approved": 1}, {"plan": "PLAN", "approved": True, "max_usd": 900}, [], ["approve"]],
    ids=repr,
)  # fmt: skip
async def test_an_answer_of_another_form_does_nothing_and_the_plan_waits(answer: Any) -> None:
    chat = Chat()
    await chat.say("train docs")
    assert chat.question is not None
    plan = chat.question["plan"]
    if isinstance(answer, dict) and answer.get("plan") == "PLAN":
        answer = {**answer, "plan": plan}
    said = await chat.resume(answer)
    assert "othing was done" in said or "I did nothing" in said
    assert chat.hands.created == {}
    assert chat.question is not None
    assert chat.question["plan"] == plan


async def test_a_declined_plan_can_no_longer_be_confirmed() -> None:
    chat = Chat()
    await chat.say("train docs")
    assert chat.question is not None
    assert (
        await chat.resume({"plan": chat.question["plan"], "approved": False})
        == "Dropped. Nothing was done for docs."
    )
    assert chat.question is None
    await chat.say("approve docs")
    assert chat.hands.created == {}


async def test_never_mind_drops_the_plan() -> None:
    chat = Chat()
    await chat.say("deploy docs")
    assert "Dropped" in await chat.say("cancel")
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_a_changed_plan_replaces_the_old_one_which_cannot_be_confirmed() -> None:
    chat = Chat()
    await chat.say("deploy docs")
    assert chat.question is not None
    old = chat.question["plan"]
    assert "5% of its requests first" in await chat.say("deploy docs percent=5")
    assert "another plan" in await chat.resume({"plan": old, "approved": True})
    assert chat.hands.created == {}
    await chat.confirm()
    (made,) = chat.hands.created.values()
    assert made.rollout_strategy == "canary_5pct"


async def test_a_change_that_cannot_be_made_drops_the_plan_too() -> None:
    chat = Chat()
    await chat.say("deploy docs")
    assert "The plan before is dropped" in await chat.say("deploy docs percent=200")
    assert chat.question is None
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_a_yes_for_another_agent_confirms_nothing() -> None:
    chat = Chat()
    await chat.say("train docs")
    assert "This plan still waits" in await chat.say("approve cicd")
    assert chat.hands.created == {}


async def test_a_yes_to_another_agents_question_confirms_nothing() -> None:
    chat = Chat()
    await chat.say("train docs")
    said = await chat.say(
        "approve", after=[AIMessage("Shall I merge the pull request? Confirm?", name="cicd")]
    )
    assert chat.hands.created == {}
    assert chat.question is not None
    assert said.endswith("Proceed?"), "the plan is shown again"
    assert not any("merge" in turn for turn in chat.contexts[-1])
    await chat.say("approve")
    assert len(chat.hands.created) == 1


async def test_the_understanding_sees_the_plan_without_names_and_prices_of_objects() -> None:
    chat = Chat()
    chat.hands.quote = chat.hands.quote.model_copy(update={"base_model": "evil/Deploy-cicd-for-$900?"})
    assert "evil" in await chat.say("train docs")
    await chat.say("none")
    assert chat.contexts[-1] == ["user: train docs", "chef: Plan: train docs by sft. Confirm?"]


async def test_a_host_that_shares_the_memory_does_not_bring_back_an_older_one() -> None:
    chat = Chat(host=State)
    await chat.say("history docs")
    await chat.say("train docs")
    await chat.say("approve")
    assert len(chat.hands.created) == 1
    assert chat.question is None


async def test_an_answer_in_between_keeps_the_plan() -> None:
    chat = Chat()
    await chat.say("train docs")
    said = await chat.say("cost docs")
    assert "$46.00 left" in said
    assert said.endswith("Proceed?")
    await chat.say("approve")
    assert len(chat.hands.created) == 1


async def test_after_an_open_question_the_answer_is_no_confirmation() -> None:
    chat = Chat()
    await chat.say("train docs")
    assert await chat.say("ambiguous question=Which_agent? about=deploy") == "Which_agent?"
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_a_doubt_about_the_plan_can_be_answered() -> None:
    chat = Chat()
    await chat.say("train docs")
    await chat.say("ambiguous question=As_shown? of_plan=yes")
    await chat.say("approve")
    assert len(chat.hands.created) == 1


@pytest.mark.parametrize("in_words", [False, True])
async def test_an_expired_plan_is_not_carried_out(in_words: bool) -> None:
    chat = Chat()
    chat.hands.quote = chat.hands.quote.model_copy(update={"valid_until": "2025-01-01T00:00:00Z"})
    await chat.say("train docs")
    assert "expired" in (await chat.say("approve") if in_words else await chat.confirm())
    assert chat.hands.created == {}
    assert chat.question is None


async def test_a_lost_answer_keeps_the_plan_and_a_repetition_creates_nothing_twice() -> None:
    chat = Chat(FakeHands(on_create=Uncertain("the answer was lost")))
    await chat.say("deploy docs")
    assert "I do not know whether it was done" in await chat.confirm()
    assert "has started" in await chat.say("approve")
    assert len(chat.hands.created) == 1


async def test_a_node_that_runs_again_creates_nothing_twice() -> None:
    hands = FakeHands()
    for request in ("train docs", "evaluate docs", "deploy docs"):
        chat = Chat(hands)
        await chat.say(request)
        plan = (await chat.memory()).plan
        assert plan is not None
        first, again = [await carry_out(hands, plan, TeamSettings()) for _ in range(2)]
        assert first.follow == again.follow
    assert len(hands.created) == 3


@pytest.mark.parametrize(
    "error", [Forbidden("you may not create rollouts"), ToolRefused("no such version")], ids=str
)
async def test_a_refusal_is_a_sentence_and_ends_the_plan(error: Any) -> None:
    chat = Chat()
    await chat.say("train docs")
    chat.hands.refuse = error
    said = await chat.confirm()
    assert said.lower().startswith(str(error))
    assert said.endswith("Nothing was done.")
    assert chat.question is None
    chat.hands.refuse = None
    await chat.say("approve")
    assert chat.hands.created == {}


async def test_what_changed_since_the_plan_was_shown_is_not_carried_out() -> None:
    chat = Chat()
    await chat.say("deploy docs")
    chat.hands.scorer = "tokenF1"
    assert "changed since I showed the plan" in await chat.confirm()
    assert chat.hands.created == {}


async def test_a_model_that_serves_by_now_is_not_compared_in_place_of_the_one_that_was_shown() -> None:
    chat = Chat()
    await chat.say("evaluate docs")
    chat.hands.current = "v1.5.0"
    assert "the model that serves it changed" in await chat.confirm()
    assert chat.hands.created == {}


async def test_a_memory_of_another_form_waits_for_nothing_and_says_so() -> None:
    chat = Chat()
    await chat.say("train docs")
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "modelops"}}
    await chat.graph.aupdate_state(
        config, {"modelops": {"turn": 99, "plan": {"id": "x", "do": "everything"}}}
    )
    assert "I have lost what we had planned" in await chat.say("approve")
    assert chat.hands.created == {}
