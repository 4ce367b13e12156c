"""An agent that is a function or a LangGraph graph in the image of the evaluation program.

Only what an installed package declares in the group `modelops.agents` is called: a name from an AgentModel must not be
able to run any function of the image with inputs from a dataset.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from copy import deepcopy
from importlib.metadata import entry_points
from typing import Any, Final

from modelops.evaluation.agent.outputs import document_of
from modelops.evaluation.agent.wire import ArmOfAgent, read_answer
from modelops.evaluation.question import Question
from modelops.evaluation.reply import Reply, failure_of
from modelops.router import CallsExhausted, EvaluationArm
from modelops.workdir import ProgramFailure

GROUP: Final = "modelops.agents"
_BESIDE_INPUTS: Final = ("messages", "tools", "route")


def load_agent(value: str) -> Any:
    """The function or graph. Raises ProgramFailure AgentUnknown, and AgentFailed where it cannot be loaded."""
    known = {one.value.replace(" ", ""): one for one in entry_points(group=GROUP)}
    if value not in known:
        others = f"They declare {', '.join(sorted(known))}" if known else "They declare none"
        raise ProgramFailure(
            "AgentUnknown",
            f"{value!r} in spec.evaluation.agent.entryPoint: no package in the operator's image declares it in the "
            f"group {GROUP}. {others}. Add the package to the image, or correct the name",
        )
    try:
        return _callable(known[value].load())
    except Exception as error:  # Code of others.
        raise ProgramFailure(
            "AgentFailed", f"agent {value} cannot be loaded: {type(error).__name__}: {error}"[:300]
        ) from error


def _callable(found: Any) -> Any:
    """What is called: a graph that is not compiled yet is compiled, and a function without parameters makes one."""
    if hasattr(found, "ainvoke"):
        return found
    if hasattr(found, "compile") and not callable(found):
        return found.compile()
    if not callable(found):
        raise TypeError(f"{type(found).__name__} is neither a function nor a graph")
    if not inspect.signature(found).parameters:
        return _callable(found())
    return found


class EntryPointAgent:
    """Calls the agent with one model in force. Raises ProgramFailure as `load_agent`."""

    def __init__(self, arm: ArmOfAgent) -> None:
        self._arm = arm
        self._agent = load_agent(arm.rule.entry_point)
        self._keys = [os.environ.get(name, "") for name in (arm.api_key_env, "HF_TOKEN", "LANGSMITH_API_KEY")]

    async def answer(self, question: Question, repetition: int) -> Reply:  # noqa: ARG002
        """The agent's reply. Whatever it raises is one failed answer. It is asked once, since it may retry itself."""
        started, clock = time.time(), time.perf_counter()

        def reply(**fields: Any) -> Reply:
            return Reply(started=started, latency_ms=(time.perf_counter() - clock) * 1000, **fields)

        seconds, rule = self._arm.request.timeout_seconds, self._arm.rule
        arm = EvaluationArm(self._arm.request.agent, self._arm.route, max_calls=rule.max_calls)
        try:
            with arm:
                async with asyncio.timeout(seconds):
                    found = await self._call(question)
        except TimeoutError:
            return reply(error=f"no answer within {seconds:g} s", **_spent(arm))
        except CallsExhausted as error:
            return reply(error=str(error), final=True, **_spent(arm))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - Code of others.
            return reply(error=self._words(error), **_spent(arm))
        return read_answer(document_of(found, question, arm.report()), self._arm, reply)

    def permanent_refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every further call would fail like this one; else None."""
        return self._arm.refusal(reply)

    async def close(self) -> None:
        """There is nothing to close."""

    async def _call(self, question: Question) -> Any:
        # The agent's own: what it appends to its messages must not be in what the other model is asked.
        question = _own(question)
        if hasattr(self._agent, "ainvoke"):
            return await self._agent.ainvoke(_state(question))
        named = inspect.signature(self._agent).parameters
        beside = {
            "messages": list(question.messages),
            "tools": list(question.tools),
            "route": self._arm.route,
        }
        given = {name: beside[name] for name in _BESIDE_INPUTS if name in named}
        call = self._agent if inspect.isroutine(self._agent) else type(self._agent).__call__
        if inspect.iscoroutinefunction(call):
            return await self._agent(question.inputs, **given)
        found = await _in_thread(lambda: self._agent(question.inputs, **given))
        return await found if inspect.isawaitable(found) else found

    def _words(self, error: BaseException) -> str:
        words = failure_of(type(error).__name__, str(error), key=self._keys[0])
        for key in filter(None, self._keys[1:]):
            words = words.replace(key, "***")
        return words


def _own(question: Question) -> Question:
    """A copy of all that an agent reads of the question."""
    inputs, messages, tools = deepcopy((dict(question.inputs), question.messages, question.tools))
    return Question(
        example=question.example, inputs=inputs, messages=messages, target=question.target, tools=tools
    )


def _state(question: Question) -> Mapping[str, Any]:
    """The input of a graph: the example's inputs, and its messages by the prompt contract where it has none."""
    return {"messages": list(question.messages), **question.inputs}


def _spent(arm: EvaluationArm) -> dict[str, Any]:
    """What a failed answer has used."""
    report = arm.report()
    return {
        "model_calls": report["served"]["calls"],
        "prompt_tokens": report["usage"].get("total_tokens"),
        "cost_usd": report["usage"].get("cost_usd"),
    }


async def _in_thread(call: Callable[[], Any]) -> Any:
    """The result of a plain function. A daemon thread: one that never ends does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def deliver(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            # A future takes no StopIteration.
            future.set_exception(RuntimeError(str(error)) if isinstance(error, StopIteration) else error)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(call)
        except BaseException as raised:  # noqa: BLE001 - Delivered to the caller.
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=run, name="modelops-agent", daemon=True).start()
    return await future
