"""A conversation in a test: a supervisor with the graph in it, and messages that say what they mean.

A message is its own understanding: `train docs max_usd=5`. Whether the product understands people is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from tests.unit.infra_agent.fake_hands import FakeHands

from modelops.infra_agent.graph import build_graph
from modelops.infra_agent.hosting import NO_MESSAGE, read_memory, take_turn
from modelops.infra_agent.state import Conversation

AGENTS = ("docs", "cicd")
NUMBERS = ("max_usd", "percent", "examples")


@dataclass(frozen=True)
class Slots:
    """The values of a message."""

    dataset: str | None = None
    method: str | None = None
    base_model: str | None = None
    version: str | None = None
    percent: float | None = None
    strategy: str | None = None
    max_usd: float | None = None
    condition: str | None = None
    run: str | None = None
    examples: int | None = None


@dataclass(frozen=True)
class Meaning:
    """An understanding."""

    intent: str
    agent: str | None = None
    agents: tuple[str, ...] = ()
    slots: Slots = Slots()
    question: str | None = None
    about: str | None = None
    of_plan: bool = False
    by_model: bool = False
    then: Meaning | None = None


def read_literally(message: str, context: Sequence[str], agents: Sequence[str]) -> Meaning:
    """`deploy docs percent=30`; `ambiguous question=Which?`; `train docs THEN train cicd`; anything else than an intent is `none`."""
    message, _, second = message.partition(" THEN ")
    intent, *words = message.split(" ")
    named = tuple(word for word in words if word in agents)
    values: dict[str, Any] = dict(word.split("=", 1) for word in words if "=" in word)
    question, about = values.pop("question", None), values.pop("about", None)
    of_plan, by_model = (bool(values.pop(name, "")) for name in ("of_plan", "by_model"))
    numbers: dict[str, Any] = {name: float(values.pop(name)) for name in NUMBERS if name in values}
    return Meaning(
        intent=intent,
        agent=named[0] if len(named) == 1 else None,
        agents=named,
        slots=Slots(**values, **numbers),
        question=question,
        about=about,
        of_plan=of_plan,
        by_model=by_model,
        then=read_literally(second, context, agents) if second else None,
    )


@dataclass
class Chat:
    """One thread. `question`: the value of the interrupt at which the last turn ended."""

    hands: FakeHands = field(default_factory=FakeHands)
    saver: BaseCheckpointSaver[Any] = field(default_factory=InMemorySaver)
    host: Any = MessagesState
    """The state of the supervisor."""
    question: dict[str, Any] | None = None
    contexts: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The host's process starts again: a new graph on the old checkpointer."""
        supervisor = StateGraph(self.host)
        supervisor.add_node("modelops", build_graph(self.hands, self._understand))
        supervisor.add_edge(START, "modelops")
        supervisor.add_edge("modelops", END)
        self.graph = supervisor.compile(checkpointer=self.saver)

    async def say(self, text: str, *, after: Sequence[AIMessage] = ()) -> str:
        """What is answered to a message; `after`: what other agents have said before it."""
        return await self._run({"messages": [*after, HumanMessage(text)]})

    async def resume(self, answer: Any) -> str:
        """What is answered to a host that resumes."""
        return await self._run(Command(resume=answer))

    async def confirm(self) -> str:
        """What is answered to the approval of the plan that waits."""
        assert self.question is not None
        return await self.resume({"plan": self.question["plan"], "approved": True})

    async def look(self) -> str:
        """What the conversation says by itself."""
        return await self._run(NO_MESSAGE)

    async def memory(self) -> Conversation:
        """What is remembered."""
        return Conversation.model_validate((await read_memory(self.graph, "t"))["modelops"])

    async def _run(self, given: Any) -> str:
        turn = await take_turn(self.graph, given, thread_id="t")
        self.question = turn.plan
        return turn.text

    def _understand(self, message: str, context: Sequence[str], agents: Sequence[str]) -> Meaning:
        self.contexts.append(list(context))
        return read_literally(message, context, agents)
