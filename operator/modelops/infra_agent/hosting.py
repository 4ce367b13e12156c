"""For the program that runs a supervisor with the conversation in it: a turn, its memory, and when to speak up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.client import AsyncClient, NotFound, WaitTimeout, has_finished
from modelops.infra_agent.confirming import KIND
from modelops.infra_agent.following import WAITS
from modelops.infra_agent.state import Followed, State, remembered
from modelops.infra_agent.turns import NAME

NODE: Final = "modelops"
"""Name of the conversation's node in the host's graph."""
NO_MESSAGE: Final[dict[str, list[AnyMessage]]] = {"messages": []}
"""The input of a turn without a message, in which the conversation says what has changed."""
Host = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the conversation has said in a turn, and the question that waits at its end, as `confirming.question`."""

    said: tuple[str, ...]
    plan: dict[str, Any] | None

    @property
    def text(self) -> str:
        """What was said, as one text."""
        return "\n".join(self.said)


async def take_turn(host: Host, given: Any, *, thread_id: str, node: str = NODE) -> Turn:
    """Run the host's graph with messages, `NO_MESSAGE` or a Command, and return what the conversation says to that.

    At an interrupt the host's own messages do not have that yet, and later they have it a second time.
    """
    before = {one.id for one in (await read_memory(host, thread_id, node=node)).get("messages", [])}
    result = await host.ainvoke(given, {"configurable": {"thread_id": thread_id}})
    after = (await read_memory(host, thread_id, node=node)).get("messages", [])
    mine = (one for one in after if isinstance(one, AIMessage) and one.name == NAME)
    waiting = [one.value for one in result.get("__interrupt__") or () if _is_plan(one.value)]
    return Turn(
        said=tuple(str(one.text) for one in mine if one.id not in before),
        plan=waiting[0] if waiting else None,
    )


async def read_memory(host: Host, thread_id: str, *, node: str = NODE) -> State:
    """The conversation's own state in a thread of the host; empty at first. The host's copy of it may be older."""
    config: RunnableConfig = {"configurable": {"thread_id": thread_id, "checkpoint_ns": node}}
    found = await host.aget_state(config)
    return cast(State, found.values)


async def wait_for_news(client: AsyncClient, state: State, *, seconds: float) -> bool:
    """Wait until something that the conversation follows has news, for at most `seconds`; whether it has.

    News are an end, a canary's new share, and what waits for an approval. Afterwards a turn with
    `NO_MESSAGE` says what they are. It runs beside the graph, never in a node.

    Raises:
        ClientError: the cluster does not answer.
    """
    following = remembered(state)[0].following
    if not following:
        return False
    waits = [asyncio.create_task(_wait(client, one, seconds)) for one in following]
    try:
        for next_one in asyncio.as_completed(waits):
            if await next_one:
                return True
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return False


async def _wait(client: AsyncClient, one: Followed, seconds: float) -> bool:
    try:
        if one.kind == "training":
            await client.training_runs.wait(
                one.name, lambda run: _run_has_news(run, one), what="news", timeout=seconds
            )
        else:
            await client.rollouts.wait(
                one.name, lambda move: _move_has_news(move, one), what="news", timeout=seconds
            )
    except WaitTimeout:
        return False
    except NotFound:
        return True
    return True


def _run_has_news(run: TrainingRun, one: Followed) -> bool:
    waits = run.status.phase is TrainingPhase.AWAITING_APPROVAL
    return has_finished(run) or (waits and one.mark != WAITS)


def _move_has_news(move: Rollout, one: Followed) -> bool:
    if move.status.offer is not None:
        return one.mark != WAITS
    if has_finished(move) or one.kind != "deployment":
        return has_finished(move)
    return move.status.weight != (int(one.mark) if one.mark.isdecimal() else 0)


def _is_plan(value: object) -> bool:
    return isinstance(value, dict) and value.get("kind") == KIND
