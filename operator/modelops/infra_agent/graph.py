"""The conversation as a LangGraph: a graph to plug into a supervisor.

One turn: understand, then ask, answer, or plan. A plan waits at an interrupt, in a node of its own that does nothing
else, since LangGraph runs a node again from its top when it resumes. What is confirmed is the stored plan.
"""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer, interrupt
from langsmith import Client

from modelops.client import AsyncClient
from modelops.infra_agent import confirming
from modelops.infra_agent.cluster_hands import ClusterHands
from modelops.infra_agent.hands import Hands, TeamSettings
from modelops.infra_agent.heard import Understand
from modelops.infra_agent.planning import makes_a_plan
from modelops.infra_agent.readers import Reader
from modelops.infra_agent.state import State, remembered
from modelops.infra_agent.steps import Steps
from modelops.infra_agent.turns import new_message

Graph = CompiledStateGraph[State, None, State, State]


def build_modelops_subgraph(
    client: AsyncClient,
    *,
    model: BaseChatModel | None = None,
    langsmith: Client | None = None,
    understand: Understand | None = None,
    team: TeamSettings | None = None,
    checkpointer: Checkpointer = True,
) -> Graph:
    """The conversation, in the rights of the client's caller.

    `model`: is asked where the rules are unsure what a message means. `understand`: reads messages in place of both.
    `langsmith`: reads the traces of failures and makes a dataset of them, with its own key; without it, that is not
    done in conversation.

    `checkpointer`: True for a graph inside another one, which keeps its memory with that one's checkpointer, also where
    a turn ends at an interrupt; with None the memory of a waiting plan is lost when the person answers in words. A
    graph that is used alone needs a checkpointer of its own.
    """
    reader = understand or Reader(model=model)
    return build_graph(ClusterHands(client, langsmith), reader, team=team, checkpointer=checkpointer)


def build_graph(
    hands: Hands,
    understand: Understand,
    *,
    team: TeamSettings | None = None,
    checkpointer: Checkpointer = True,
) -> Graph:
    """As `build_modelops_subgraph`, on anything that can do what `Hands` says."""
    steps = Steps(hands, understand, team or TeamSettings())
    graph = StateGraph(State)
    graph.add_node("hear", steps.hear)
    graph.add_node("answer", steps.answer)
    graph.add_node("plan", steps.plan)
    graph.add_node("confirm", _confirm)
    graph.add_node("act", steps.act)
    graph.add_node("follow", steps.follow)
    graph.add_conditional_edges(START, _begin, ["hear", "follow"])
    graph.add_conditional_edges("hear", _heard, ["answer", "plan", "act", "confirm", END])
    for node in ("answer", "plan", "act", "follow"):
        graph.add_conditional_edges(node, _rest, ["plan", "confirm", END])
    graph.add_conditional_edges("confirm", _confirmed, ["act", "hear", "plan", "confirm", END])
    return graph.compile(checkpointer=checkpointer, name="modelops")


def _begin(state: State) -> Literal["hear", "follow"]:
    return "hear" if new_message(state) is not None else "follow"


def _heard(state: State) -> str:
    memory = remembered(state)[0]
    if memory.heard is not None:
        return "plan" if makes_a_plan(memory.heard) else "answer"
    return "act" if memory.approved else _rest(state)


def _rest(state: State) -> str:
    """A second request of the message is planned; a plan waits; or the turn ends."""
    memory = remembered(state)[0]
    if memory.heard is not None:
        return "plan"
    return "confirm" if memory.plan is not None else END


def _confirm(state: State) -> dict[str, Any]:
    """Wait for the person's decision about the stored plan. Nothing before the interrupt has an effect."""
    plan = remembered(state)[0].plan
    if plan is None:
        return {}
    return confirming.decide(state, interrupt(confirming.question(state, plan)))


def _confirmed(state: State) -> str:
    if new_message(state) is not None:
        return "hear"
    memory = remembered(state)[0]
    return "act" if memory.approved else _rest(state)
