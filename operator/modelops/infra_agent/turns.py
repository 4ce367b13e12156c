"""The messages of the host as turns: which one is new, what was said before, and which plan was shown last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from modelops.infra_agent.state import Plan, State, remembered

NAME: Final = "modelops"
"""Name of the messages of this conversation among those of other agents."""
_TURNS: Final = 8


def say(text: str, *, plan: Plan | None = None, offers: bool = False) -> AIMessage:
    """A message of this conversation; `plan` is the one that it shows or asks about; `offers`: it proposes a step."""
    marks: dict[str, Any] = {"plan": plan.id} if plan else {"offers": True} if offers else {}
    return AIMessage(content=text, name=NAME, additional_kwargs=marks)


def new_message(state: State) -> HumanMessage | None:
    """The person's newest message, if nobody has answered it: another agent's answer counts, a hand-over does not."""
    for message in reversed(state.get("messages") or []):
        if isinstance(message, HumanMessage):
            return message if message.id != remembered(state)[0].answered else None
        if isinstance(message, AIMessage) and message.text and not message.tool_calls:
            return None
    return None


def turns_before(messages: Sequence[AnyMessage], message: HumanMessage, plan: Plan | None) -> list[str]:
    """What was said before `message`, as `chef: ...` and `user: ...`, the newest last.

    The plan that waits stands there in its own words, without names that came from objects; and only where this
    conversation spoke last: after another agent's question a yes is not for the plan. Other agents' words are no turns.
    """
    before = list(messages)[: list(messages).index(message)]
    turns: list[str] = []
    for one in before:
        if isinstance(one, HumanMessage):
            turns.append(f"user: {one.text}")
        elif isinstance(one, AIMessage) and one.name == NAME:
            turns.append(f"chef: {one.text}")
    if plan is not None and was_shown_last(before, plan):
        turns[-1] = f"chef: {plan.gist}"
    elif before and isinstance(before[-1], AIMessage) and before[-1].name != NAME:
        turns.append("chef: .")
    return turns[-_TURNS:]


def offered_last(before: Sequence[AnyMessage]) -> bool:
    """Whether the last message proposes a step that a yes would ask for."""
    last = before[-1] if before else None
    return isinstance(last, AIMessage) and last.name == NAME and bool(last.additional_kwargs.get("offers"))


def was_shown_last(before: Sequence[AnyMessage], plan: Plan) -> bool:
    """Whether the last message shows or asks about the plan."""
    last = before[-1] if before else None
    return isinstance(last, AIMessage) and last.name == NAME and last.additional_kwargs.get("plan") == plan.id
