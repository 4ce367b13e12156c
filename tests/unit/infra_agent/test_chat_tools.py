"""The tools of `create_agent`: a model calls them, and a person decides about each plan."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from tests.unit.infra_agent.fake_hands import FakeHands

from modelops.client import Forbidden
from modelops.infra_agent.chat_tools import tools_on
from modelops.infra_agent.hands import TeamSettings

CONFIG: Any = {"configurable": {"thread_id": "t"}}
TRAIN = {"name": "train_subagent_model", "args": {"agent_name": "docs"}, "id": "call-1"}
DEPLOY = {
    "name": "deploy_model_to_agent",
    "args": {"agent_name": "docs", "rollout_strategy": "canary_5pct"},
    "id": "call-2",
}


class Model(FakeMessagesListChatModel):
    """A model whose answers are given; it takes tools."""

    def bind_tools(self, tools: Any, **given: Any) -> Any:
        return self


def agent_that_calls(hands: FakeHands, *calls: dict[str, Any]) -> Any:
    """An agent whose model makes these calls at once."""
    asks = AIMessage("", tool_calls=[{**call, "type": "tool_call"} for call in calls])
    model = Model(responses=[asks, AIMessage("done")])
    return create_agent(model, tools_on(hands, TeamSettings()), checkpointer=InMemorySaver())


async def asked(agent: Any) -> list[Any]:
    """The interrupts of a first turn."""
    result = await agent.ainvoke({"messages": [("user", "go")]}, CONFIG)
    return list(result["__interrupt__"])


def results(state: Any) -> list[str]:
    """What the tools returned."""
    return [str(one.content) for one in state["messages"] if isinstance(one, ToolMessage)]


def test_the_five_tools_have_their_names_and_inputs_of_the_mission() -> None:
    tools = {tool.name: set(tool.tool_call_schema.model_json_schema()["properties"]) for tool in tools_on(FakeHands(), TeamSettings())}  # fmt: skip
    wanted = {
        "train_subagent_model": {
            "agent_name",
            "dataset_id",
            "base_model",
            "training_method",
            "training_config",
        },
        "monitor_training_job": {"job_id"},
        "evaluate_model_vs_baseline": {"agent_name", "candidate_model", "eval_dataset_id", "metrics"},
        "deploy_model_to_agent": {"agent_name", "model_repo", "deployment_target", "rollout_strategy"},
        "list_agent_models": {"agent_name"},
    }
    assert set(tools) == set(wanted)
    for name, inputs in wanted.items():
        assert tools[name] - {"max_usd", "scorer", "threshold"} == inputs, (
            "and none with which a model could approve"
        )


async def test_a_plan_is_carried_out_once_it_is_approved() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, TRAIN)
    (question,) = await asked(agent)
    assert "Estimated cost: $2.80 to $3.50" in question.value["text"]
    assert hands.created == {}
    state = await agent.ainvoke(Command(resume={"plan": question.value["plan"], "approved": True}), CONFIG)
    assert list(hands.created) == ["docs-estimate-1"]
    assert '"job_id": "docs-train-1"' in results(state)[0]


async def test_a_declined_plan_is_told_to_the_model() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, DEPLOY)
    (question,) = await asked(agent)
    state = await agent.ainvoke(Command(resume={"plan": question.value["plan"], "approved": False}), CONFIG)
    assert "declined" in results(state)[0]
    assert hands.created == {}


async def test_an_approval_that_reaches_another_call_approves_nothing() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, TRAIN, DEPLOY)
    train, deploy = await asked(agent)
    approval = {"plan": train.value["plan"], "approved": True}
    decline = {"plan": deploy.value["plan"], "approved": False}
    state = await agent.ainvoke(Command(resume={deploy.id: approval, train.id: decline}), CONFIG)
    assert hands.created == {}
    assert all("not for this plan" in one for one in results(state))


async def test_two_calls_at_once_are_decided_one_by_one() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, TRAIN, DEPLOY)
    train, deploy = await asked(agent)
    answers = {one.id: {"plan": one.value["plan"], "approved": one is deploy} for one in (train, deploy)}
    await agent.ainvoke(Command(resume=answers), CONFIG)
    (made,) = hands.created.values()
    assert made.rollout_strategy == "canary_5pct"


async def test_two_equal_calls_are_two_plans() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, DEPLOY, {**DEPLOY, "id": "call-3"})
    first, second = await asked(agent)
    assert first.value["plan"] != second.value["plan"]


async def test_what_changed_since_the_question_is_not_carried_out() -> None:
    hands = FakeHands()
    agent = agent_that_calls(hands, DEPLOY)
    (question,) = await asked(agent)
    hands.scorer = "tokenF1"
    state = await agent.ainvoke(Command(resume={"plan": question.value["plan"], "approved": True}), CONFIG)
    assert "not for this plan" in results(state)[0]
    assert hands.created == {}


async def test_a_refusal_is_an_answer_for_the_model() -> None:
    agent = agent_that_calls(FakeHands(refuse=Forbidden("you may not create rollouts")), DEPLOY)
    state = await agent.ainvoke({"messages": [("user", "go")]}, CONFIG)
    assert results(state) == ['{"error": "you may not create rollouts"}']


async def test_what_only_reads_asks_nobody() -> None:
    calls = [
        {"name": "monitor_training_job", "args": {"job_id": "docs-train-1"}, "id": "1"},
        {"name": "list_agent_models", "args": {"agent_name": "docs"}, "id": "2"},
    ]
    state = await agent_that_calls(FakeHands(), *calls).ainvoke({"messages": [("user", "go")]}, CONFIG)
    progress, models = results(state)
    assert '"progress_pct": 45' in progress
    assert '"current_version": "v1.0.0"' in models
