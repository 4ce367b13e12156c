"""Reads and checks the rows of a dataset: conversations for SFT, pairs of answers for DPO and ORPO."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
else:
    import job as jobs

Message = dict[str, Any]
_Row = TypeVar("_Row")
ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A conversation whose last message is the answer to learn; `tools` are the functions it may call."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] | None = None

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the last answer."""
        return self.messages[:-1]

    @property
    def answers(self) -> int:
        """Number of messages by the assistant."""
        return sum(message["role"] == "assistant" for message in self.messages)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one prompt; `chosen` is preferred."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] | None = None


def read_chats(content: bytes, *, path: str) -> list[Chat]:
    """Read lines of `{"messages": [...], "tools": [...]}`. Raises jobs.BadData, which names the line and its fault."""
    return list(_read(content, path, _chat))


def read_pairs(content: bytes, *, path: str) -> list[Pair]:
    """Read lines of `{"prompt": [...], "chosen": [...], "rejected": [...]}`. Raises jobs.BadData like `read_chats`."""
    return list(_read(content, path, _pair))


def _read(content: bytes, path: str, make: Callable[[Mapping[str, Any]], _Row]) -> Iterator[_Row]:
    try:
        lines = content.decode().strip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise jobs.BadData(f"{path} is not UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is not a JSON object")
            yield make(row)
        except ValueError as error:
            raise jobs.BadData(f"{path} line {number}: {error}") from error


def _chat(row: Mapping[str, Any]) -> Chat:
    messages = _messages(row, "messages")
    if messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not an assistant's answer")
    if len(messages) < 2:
        raise ValueError("there is an answer, but no message before it")
    return Chat(messages=messages, tools=_tools(row))


def _pair(row: Mapping[str, Any]) -> Pair:
    prompt, chosen, rejected = (_messages(row, key) for key in ("prompt", "chosen", "rejected"))
    if prompt[-1]["role"] == "assistant":
        raise ValueError("the prompt ends with an assistant's answer")
    for key, answer in (("chosen", chosen), ("rejected", rejected)):
        if answer[0]["role"] != "assistant" or answer[-1]["role"] != "assistant":
            raise ValueError(f"{key} does not begin and end with an assistant's message")
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same")
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, tools=_tools(row))


def _messages(row: Mapping[str, Any], key: str) -> tuple[Message, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise ValueError(f"{key} is not a list of messages")
    return tuple(_message(one) for one in value)


def _message(message: Mapping[str, Any]) -> Message:
    """The message without keys that are null, because a chat template may treat null as a value."""
    role = message.get("role")
    if role not in ROLES:
        raise ValueError(f"a message has the role {role!r}; the roles are {', '.join(ROLES)}")
    text = _text(message.get("content"))
    if role == "assistant" and not text.strip() and not message.get("tool_calls"):
        raise ValueError("an assistant's message is empty and calls no tool")
    kept = {name: value for name, value in message.items() if value is not None}
    return {**kept, "content": text}


def _text(content: Any) -> str:
    """The text of a string, or of a list of text parts (OpenAI's chat format)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        return "\n".join(str(part.get("text", "")) for part in content)
    raise ValueError("a message's content is neither a string nor a list of text parts")


def _tools(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...] | None:
    tools = row.get("tools")
    tools = json.loads(tools) if isinstance(tools, str) else tools
    if not tools:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise ValueError("tools is not a list of functions")
    return tuple(tools)
