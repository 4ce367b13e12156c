"""Chat messages and tools in OpenAI's form, from the forms in which LangChain and LangSmith export them.

A message is read as LangChain writes it in four ways (langchain-core 1.8: `messages_to_dict`, `model_dump`, `dumpd`,
and pairs of a role and a text), a tool call as its `ToolCall`, and a tool as Anthropic's or as a bare function. Only
what means the same is translated. Whether a model can be trained on the result is checked by `trainers.trl_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Message = dict[str, Any]
"""One chat message as JSON: `role`, `content`, and further keys of the example such as `tool_calls`."""

ROLES: Final[Mapping[str, str]] = {
    "human": "user",
    "humanmessage": "user",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "function": "tool",
    "functionmessage": "tool",
}
"""Roles of LangChain's message classes and of older exports, by OpenAI's name."""
_LANGCHAIN_KEYS: Final = ("content", "tool_calls", "tool_call_id", "name")
_SAYS_SOMETHING: Final = ("content", "tool_calls", "function_call")


class MessageError(ValueError):
    """A message has no known form; the text begins with its place in the example."""


def openai_messages(value: Any, where: str) -> list[Message]:
    """The messages at `where` of an example. Raises MessageError."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) and _are_messages(value[0]):
        value = value[0]  # A chat model's run has a list of conversations.
    if not isinstance(value, list) or not value:
        raise MessageError(f"{where}: must be a list of messages that is not empty")
    return [openai_message(message, f"{where}[{number}]") for number, message in enumerate(value)]


def openai_message(value: Any, where: str) -> Message:
    """The message at `where` of an example. Raises MessageError."""
    message = _unpacked(value)
    role = message.get("role") if message is not None else None
    if message is None or not isinstance(role, str) or not role:
        raise MessageError(f"{where}: must be an object with a `role`, e.g. 'user'")
    message["role"] = ROLES.get(role.lower(), role)
    calls = message_calls(message, where)
    message.pop("function_call", None)
    if calls:
        message["tool_calls"] = calls
        message["content"] = without_tool_use(message.get("content"))
    return message


def is_message(value: Any) -> bool:
    """Whether an object is a message in one of the known forms."""
    message = _unpacked(value) if isinstance(value, dict) else None
    return message is not None and (
        isinstance(value.get("role"), str) or not message.keys().isdisjoint(_SAYS_SOMETHING)
    )


def message_calls(value: Any, where: str) -> list[dict[str, Any]]:
    """The calls of tools in the message at `where`, which may lack a role; empty without calls. Raises MessageError."""
    message = _unpacked(value) or value
    if not isinstance(message, dict):
        return []
    call = message.get("function_call")
    calls = message.get("tool_calls") or ([{"function": call}] if isinstance(call, dict) else None)
    return openai_tool_calls(calls, f"{where}.tool_calls") if calls else []


def without_tool_use(content: Any) -> Any:
    """Content without Anthropic's parts that repeat the calls."""
    if not isinstance(content, list):
        return content
    return [part for part in content if not (isinstance(part, dict) and part.get("type") == "tool_use")]


def openai_tool_calls(value: Any, where: str) -> list[dict[str, Any]]:
    """Calls of tools at `where` of an example. Raises MessageError."""
    if not isinstance(value, list):
        raise MessageError(f"{where}: must be a list of tool calls")
    return [_tool_call(call, f"{where}[{number}]") for number, call in enumerate(value)]


def openai_tools(value: Any, where: str) -> list[dict[str, Any]]:
    """Definitions of tools at `where` of an example. Raises MessageError."""
    if not isinstance(value, list):
        raise MessageError(
            f"{where}: must be a list of tools, each an object with its name and its parameters"
        )
    return [_tool(tool, f"{where}[{number}]") for number, tool in enumerate(value)]


def _are_messages(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(message, dict | list) for message in value)


def _unpacked(value: Any) -> dict[str, Any] | None:
    """A copy of the message as an object with a role; None where it is none of the known forms."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return {"role": value[0], "content": value[1]}
    if not isinstance(value, dict):
        return None
    if "role" in value:
        return dict(value)
    inner, kind = value, value.get("type")
    if isinstance(value.get("kwargs"), dict) and isinstance(value.get("id"), list) and value["id"]:
        inner, kind = value["kwargs"], value["kwargs"].get("type") or value["id"][-1]
    elif isinstance(value.get("data"), dict):
        inner = value["data"]
    if not isinstance(kind, str):
        return None
    extra = inner.get("additional_kwargs")
    older = (
        {key: extra[key] for key in ("tool_calls", "function_call") if extra.get(key)}
        if isinstance(extra, dict)
        else {}
    )
    kept = {key: inner[key] for key in _LANGCHAIN_KEYS if inner.get(key) not in (None, [])}
    return {"role": str(inner.get("role") or kind), **older, **kept}


def _tool_call(call: Any, where: str) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise MessageError(f"{where}: must be an object with the called function")
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return {"type": "function", **call}
    if isinstance(call.get("name"), str) and isinstance(call.get("args"), dict):
        arguments = json.dumps(call["args"], ensure_ascii=False)
        named = {"id": call["id"]} if call.get("id") else {}
        return {**named, "type": "function", "function": {"name": call["name"], "arguments": arguments}}
    raise MessageError(
        f"{where}: has neither `function` with a name and arguments nor LangChain's `name` and `args`"
    )


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if isinstance(tool, dict):
        function = tool.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            return tool
        if isinstance(tool.get("name"), str):
            parameters = tool.get("parameters") or tool.get("input_schema")
            described = {key: tool[key] for key in ("name", "description") if key in tool}
            schema = {"parameters": parameters} if parameters else {}
            return {"type": "function", "function": {**described, **schema}}
    raise MessageError(
        f"{where}: must be an object with the function's name, description and parameters, as OpenAI's API takes it"
    )
