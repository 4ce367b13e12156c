"""Reads and checks the rows of a dataset: conversations for SFT, pairs of answers for DPO and ORPO.

The dataset program checks its rows by these functions, too, so that the job refuses nothing that was paid for.
"""

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
    """A conversation whose last message is the answer to learn; `tools` are the functions it may call.

    The answers before it are learnt, too, except with `only_last`: one of them was wrong.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] | None = None
    only_last: bool = False

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
    """Read lines of `{"messages": [...], "tools": [...], "learn": "last"}`, the last of which is `only_last`.

    Raises jobs.BadData, which names the line and its fault.
    """
    return list(_read(content, path, chat_of))


def read_pairs(content: bytes, *, path: str) -> list[Pair]:
    """Read lines of `{"prompt": [...], "chosen": [...], "rejected": [...]}`. Raises jobs.BadData like `read_chats`."""
    return list(_read(content, path, pair_of))


def chat_of(row: Mapping[str, Any]) -> Chat:
    """The conversation of one row. Raises ValueError, which names the part of the row and its fault."""
    messages = checked_messages(row.get("messages"), "messages")
    if messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not an assistant's answer")
    if len(messages) < 2:
        raise ValueError("there is an answer, but no message before it")
    tools = checked_tools(row.get("tools"), "tools")
    return Chat(messages=messages, tools=tools, only_last=row.get("learn") == "last")


def pair_of(row: Mapping[str, Any]) -> Pair:
    """The pair of one row. Raises ValueError like `chat_of`."""
    prompt = checked_messages(row.get("prompt"), "prompt")
    chosen, rejected = (checked_answer(row.get(key), key) for key in ("chosen", "rejected"))
    if prompt[-1]["role"] == "assistant":
        raise ValueError("the prompt ends with an assistant's answer")
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same")
    return Pair(
        prompt=prompt, chosen=chosen, rejected=rejected, tools=checked_tools(row.get("tools"), "tools")
    )


def checked_answer(value: Any, where: str) -> tuple[Message, ...]:
    """The messages of an answer. Raises ValueError, which names the message by `where` and its fault."""
    answer = checked_messages(value, where)
    if answer[0]["role"] != "assistant" or answer[-1]["role"] != "assistant":
        raise ValueError(f"{where} does not begin and end with an assistant's message")
    return answer


def checked_messages(value: Any, where: str) -> tuple[Message, ...]:
    """Messages without keys that are null, because a chat template may treat null as a value, and with the arguments
    of calls as objects.

    Raises ValueError, which names the message by `where` and its fault.
    """
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise ValueError(f"{where} is not a list of messages")
    return tuple(_message(one, f"{where}[{number}]") for number, one in enumerate(value))


def checked_tools(value: Any, where: str) -> tuple[Mapping[str, Any], ...] | None:
    """The definitions of tools, from a list or its JSON text. Raises ValueError, which names the tool by `where`."""
    tools = json.loads(value) if isinstance(value, str) else value
    if not tools:
        return None
    if not isinstance(tools, list):
        raise ValueError(f"{where} is not a list of functions")
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise ValueError(f"{where}[{number}] is not an object that describes a function")
    return tuple(tools)


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


def _message(message: Mapping[str, Any], where: str) -> Message:
    role = message.get("role")
    if role not in ROLES:
        raise ValueError(f"{where} has the role {role!r}; the roles are {', '.join(ROLES)}")
    text = _text(message.get("content"), f"{where}.content")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise ValueError(f"{where}.tool_calls is not a list of calls")
    if calls:
        message = {
            **message,
            "tool_calls": [_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)],
        }
    if role == "assistant" and not text.strip() and not calls:
        raise ValueError(f"{where} is an assistant's message that is empty and calls no tool")
    kept = {name: value for name, value in message.items() if value is not None}
    return {**kept, "content": text}


def _call(call: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The call with its arguments as an object. OpenAI's form has them as JSON text, which may be empty."""
    function = call.get("function")
    if not isinstance(function, dict):
        return call
    arguments = function.get("arguments")
    try:
        read = json.loads(arguments or "{}") if isinstance(arguments, str | None) else arguments
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ValueError(f"{where}.function.arguments is neither an object nor its JSON text")
    return {**call, "function": {**function, "arguments": read}}


def _text(content: Any, where: str) -> str:
    """The text of a string, or of a list of texts and text parts (OpenAI's and LangChain's chat formats)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError(f"{where} is neither a text nor a list of text parts")
    return "\n".join(_text_of_part(part, f"{where}[{number}]") for number, part in enumerate(content))


def _text_of_part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    if not isinstance(part, dict) or kind != "text" or not isinstance(part.get("text"), str):
        raise ValueError(f"{where} has type {kind!r}; content is a text or a list of text parts")
    return str(part["text"])
