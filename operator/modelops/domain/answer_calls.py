"""The calls of tools in the answer of an example, from the places where LangChain, LangSmith and OpenAI write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from modelops.domain.chat_messages import MessageError, message_calls, openai_tool_calls, without_tool_use

_PLACES: Final[Mapping[str, Sequence[str | int]]] = {
    "outputs": (),
    "outputs.message": ("message",),
    "outputs.output": ("output",),
    "outputs.choices[0].message": ("choices", 0, "message"),
    "outputs.generations[0][0].message": ("generations", 0, 0, "message"),
}
"""Messages that are the answer, and where they are in `outputs`."""
_ANSWER_KEYS: Final = frozenset(
    {"tool_calls", "function_call", *(path[0] for path in _PLACES.values() if path)}
)
_CALLS: Final = ("tool_calls", "function_call")


def answer_calls(assistant: str, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of the answer in OpenAI's form. `assistant` is the template of its text.

    A template that names the calls writes them itself: then only `outputs.tool_calls` are calls, too. Raises
    MessageError for calls that would be left out: those in other places of the values that the template names, such as
    `outputs.messages`. Other values, such as a log of the run, are not part of the answer.
    """
    inside = list(_calls_inside(outputs, "outputs"))
    if not inside:
        return []
    if any(name in assistant for name in _CALLS):
        own = outputs.get("tool_calls")
        return openai_tool_calls(own, "outputs.tool_calls") if own else []
    read = next(filter(None, (message_calls(_at(outputs, path), at) for at, path in _PLACES.items())), [])
    known = {_identity(call) for call in read}
    for where, found in inside:
        key = re.split(r"[.\[]", where)[1]
        if key in _ANSWER_KEYS or re.search(rf"\b{re.escape(key)}\b", assistant):
            _refuse_unread(found, where, known=known)
    return read


def field_of_calls(outputs: Mapping[str, Any]) -> str:
    """The first field with calls, `outputs.tool_calls`; `outputs` where there are none."""
    return next((where for where, _ in _calls_inside(outputs, "outputs")), "outputs")


def without_repeated_calls(value: Any) -> Any:
    """A copy of outputs without the parts of content that repeat the calls beside it, as LangChain has Anthropic's."""
    if isinstance(value, list):
        return [without_repeated_calls(one) for one in value]
    if not isinstance(value, dict):
        return value
    copied = {key: without_repeated_calls(one) for key, one in value.items()}
    if copied.get("tool_calls") and isinstance(copied.get("content"), list):
        copied["content"] = without_tool_use(copied["content"]) or ""
    return copied


def _calls_inside(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Everything in `value` that has the form of calls, with its place."""
    if isinstance(value, dict):
        if value.get("type") == "tool_use":
            yield where, [{"name": value.get("name"), "args": value.get("input") or {}}]
        for key, inner in value.items():
            if key in _CALLS and inner:
                yield f"{where}.{key}", [{"function": inner}] if key == "function_call" else inner
            else:
                yield from _calls_inside(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _calls_inside(inner, f"{where}[{number}]")


def _refuse_unread(calls: Any, where: str, *, known: set[str]) -> None:
    if any(_identity(call) not in known for call in openai_tool_calls(calls, where)):
        raise MessageError(
            f"{where}: a call of a tool that would be left out of the answer; put the message that is the answer into "
            "outputs.message, or its calls into outputs.tool_calls"
        )


def _at(value: Any, path: Sequence[str | int]) -> Any:
    """The value at a path; None where there is none."""
    for step in path:
        try:
            value = value[step]
        except (TypeError, LookupError):
            return None
    return value


def _identity(call: Mapping[str, Any]) -> str:
    """Equal for the same call, whatever its id and the spacing of its arguments."""
    function = call["function"]
    arguments = function.get("arguments")
    with suppress(ValueError):
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    return json.dumps([function["name"], arguments], sort_keys=True)
