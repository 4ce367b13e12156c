"""What becomes a plan, what is asked first, and what is refused before anybody is asked."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.chat import Chat
from tests.unit.infra_agent.fake_hands import DOCS, SPENT, FakeHands

from modelops.client import Forbidden, Unavailable
from modelops.infra_agent.hands import AgentFacts, GoingOn, Running, WayBack

RUNS = Running(kind="training", name="docs-train-1", agent="docs", finished=False)
CANARY = Running(kind="deployment", name="docs-deploy-1", agent="docs", finished=False)


async def test_without_a_dataset_examples_are_asked_for() -> None:
    without = AgentFacts(
        agent="docs",
        agent_model="docs",
        training_dataset=None,
        evaluation_dataset=None,
        approval_above_usd=10,
    )
    chat = Chat(FakeHands(facts_of=without))
    assert (
        await chat.say("train docs") == "I need training examples. Run '@chef collect docs failures' first?"
    )
    assert chat.question is None
    assert "I found 2 failures in 90 runs of docs since 2026-10-31" in await chat.say("approve")
    assert chat.hands.created == {}
    await chat.say("cancel")
    assert "from ls://mine for docs" in await chat.say("train docs dataset=ls://mine")


async def test_values_of_a_message_are_those_of_the_plan() -> None:
    chat = Chat()
    await chat.say("train docs dataset=ls://mine method=dpo base_model=org/base max_usd=5")
    (asked,) = chat.hands.estimates
    assert (asked.dataset_id, asked.training_method, asked.base_model, asked.max_usd) == (
        "ls://mine", "dpo", "org/base", "5"
    )  # fmt: skip
    plan = (await chat.memory()).plan
    assert plan is not None
    assert plan.gist == "Plan: train docs by dpo on ls://mine from org/base for at most $5. Confirm?"
    assert plan.max_usd == 5


async def test_a_price_above_the_persons_limit_is_no_plan() -> None:
    chat = Chat()
    said = await chat.say("train docs max_usd=3")
    assert "up to $3.50, more than your limit of $3.00" in said
    assert chat.question is None


async def test_a_price_above_the_budget_is_no_plan_and_names_the_way_forward() -> None:
    chat = Chat(FakeHands(spent=SPENT.model_copy(update={"left_usd": 1.0})))
    said = await chat.say("train docs")
    assert "docs has $1.00 left of $50.00 this month" in said
    assert "monthlyUSD" in said
    assert chat.question is None


async def test_a_price_that_needs_an_approval_says_so() -> None:
    chat = Chat()
    chat.hands.quote = chat.hands.quote.model_copy(update={"high_usd": 12.0, "max_usd": 12.6})
    assert "waits for an approval" in await chat.say("train docs")
    assert DOCS.approval_above_usd < 12


async def test_a_condition_is_shown_since_it_cannot_be_checked() -> None:
    said = await Chat().say("train docs condition=more_than_500_rows")
    assert "I cannot check your condition ('more_than_500_rows'): confirm only if it holds." in said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("train", "Which agent: docs, cicd?"),
        ("deploy docs cicd", "Which agent first: docs, cicd?"),
        ("train docs base_model=14b", "Name the base model as organisation/name"),
        ("deploy docs percent=0.5", "0.5 % is no share"),
        ("deploy docs version=v1.0.0", "V1.0.0 serves docs already."),
        ("deploy docs version=current", "V1.0.0 serves docs already."),
        ("rollback docs", "Docs stays as it is: it is on v1.0.0."),
        ("cancel docs", "Nothing runs that could be cancelled."),
        ("none", "I did nothing."),
        ("approve", "There is no plan"),
    ],
)
async def test_what_cannot_be_planned_is_said_and_nothing_waits(message: str, said: str) -> None:
    chat = Chat()
    assert said in await chat.say(message)
    assert chat.question is None
    assert chat.hands.created == {}


@pytest.mark.parametrize(
    ("message", "strategy"),
    [
        ("deploy docs", "canary_20pct"),
        ("deploy docs percent=35", "canary_35pct"),
        ("deploy docs percent=100", "immediate"),
        ("deploy docs strategy=immediate", "immediate"),
        ("promote docs", "canary_20pct"),
    ],
)
async def test_a_deployment_gets_the_share_that_was_named(message: str, strategy: str) -> None:
    chat = Chat()
    await chat.say(message)
    await chat.confirm()
    (made,) = chat.hands.created.values()
    assert made.rollout_strategy == strategy
    assert (made.candidate_model, made.max_usd) == ("v1.1.0-rc.1", "10"), (
        "what was shown, not what is newest then"
    )


async def test_a_deployment_when_the_training_is_done_is_none_of_an_older_model() -> None:
    chat = Chat(FakeHands(now_running=(RUNS,)))
    said = await chat.say("deploy docs condition=when_done")
    assert "Training docs-train-1 of docs still runs. When it has ended, I say so" in said
    assert chat.question is None
    assert "Deploy?" in await chat.say("deploy docs version=v2 condition=when_done")


async def test_a_running_canary_is_not_hurried_unless_all_traffic_is_asked_for() -> None:
    chat = Chat(FakeHands(now_running=(CANARY,)))
    assert "It ends by itself. Here, 'take it to 100%' promotes it" in await chat.say("promote docs")
    assert "I cannot choose 50 %" in await chat.say("promote docs percent=50")
    assert chat.question is None
    assert "it is promoted. It cannot be taken back" in await chat.say("promote docs percent=100")
    await chat.confirm()
    assert chat.hands.changed == [f"open all steps of {CANARY.name}"]


@pytest.mark.parametrize("message", ["promote docs", "resume docs"])
async def test_a_canary_that_waits_for_a_person_goes_on(message: str) -> None:
    waits = GoingOn(rollout=CANARY.name, agent="docs", through_step=2, words="it goes on after step 2 of 3")
    chat = Chat(FakeHands(now_running=(CANARY,), waiting=waits))
    assert "it goes on after step 2 of 3. It cannot be taken back" in await chat.say(message)
    await chat.confirm()
    assert chat.hands.changed == [f"open step 2 of {CANARY.name}"]


async def test_a_canary_that_was_paused_is_resumed_and_nothing_else() -> None:
    waits = GoingOn(rollout=CANARY.name, agent="docs", through_step=2, paused=True)
    chat = Chat(FakeHands(now_running=(CANARY,), waiting=waits))
    assert "goes on with its steps" in await chat.say("resume docs")
    await chat.confirm()
    assert chat.hands.changed == [f"resume {CANARY.name}"]


async def test_what_is_open_already_is_said() -> None:
    waits = GoingOn(rollout=CANARY.name, agent="docs", nothing=True, words="step 2 is open already")
    chat = Chat(FakeHands(now_running=(CANARY,), waiting=waits))
    assert "Step 2 is open already" in await chat.say("promote docs")
    assert chat.question is None


@pytest.mark.parametrize(
    ("way", "message", "done"),
    [
        (
            WayBack(agent_model="docs", current="v1.0.0", abort="docs-deploy-1"),
            "rollback docs",
            "abort docs-deploy-1",
        ),
        (WayBack(agent_model="docs", current="v2.0.0", to="v1.0.0"), "rollback docs", "docs to v1.0.0"),
        (
            WayBack(agent_model="docs", current="v2.0.0", to="v1.0.0"),
            "deploy docs version=previous",
            "docs to v1.0.0",
        ),
    ],
)
async def test_the_way_back_is_shown_and_then_gone(way: WayBack, message: str, done: str) -> None:
    chat = Chat(FakeHands(way=way))
    assert "Proceed?" in await chat.say(message)
    assert chat.hands.changed == []
    chat.hands.way = WayBack(agent_model="docs", current="v9", abort="something-else")
    await chat.confirm()
    assert chat.hands.changed == [done]


async def test_what_runs_is_stopped_after_a_confirmation() -> None:
    chat = Chat(FakeHands(now_running=(RUNS,)))
    assert "is stopped for good" in await chat.say("cancel docs")
    await chat.confirm()
    assert chat.hands.changed == ["cancel docs-train-1"]


async def test_cancel_it_neither_confirms_nor_drops_a_plan_that_stops_something() -> None:
    chat = Chat(FakeHands(now_running=(RUNS,)))
    await chat.say("cancel docs")
    assert await chat.say("cancel") == "It runs on, unless you answer yes."
    assert chat.hands.changed == []
    await chat.say("approve")
    assert chat.hands.changed == ["cancel docs-train-1"]


async def test_of_several_things_that_run_one_must_be_named() -> None:
    chat = Chat(FakeHands(now_running=(RUNS, CANARY)))
    assert "Which one: docs-train-1 of docs, docs-deploy-1 of docs?" in await chat.say("cancel docs")
    await chat.say("cancel docs run=docs-deploy-1")
    await chat.confirm()
    assert chat.hands.changed == ["abort docs-deploy-1"]


async def test_an_approval_by_name_shows_the_offer_and_approves_exactly_that() -> None:
    chat = Chat(FakeHands(now_running=(RUNS,)))
    assert await chat.say("approve docs run=docs-train-1") == "cost: $10 to $12\nApprove it?"
    await chat.confirm()
    assert chat.hands.changed == ["approve docs-train-1 digest"]


@pytest.mark.parametrize("message", ["train docs", "monitor docs", "history docs", "approve"])
async def test_an_unreachable_cluster_is_a_sentence(message: str) -> None:
    chat = Chat(FakeHands(unreachable=Unavailable("the API server cannot be reached by context dev")))
    said = await chat.say(message)
    assert said == "The API server cannot be reached by context dev. Nothing was done."


async def test_missing_rights_are_said_before_anybody_is_asked() -> None:
    chat = Chat(FakeHands(refuse=Forbidden("you may not create rollouts in namespace prod")))
    assert "you may not create rollouts" in (await chat.say("deploy docs")).replace("You", "you")
    assert chat.question is None
