"""In which form a chat template takes the arguments of tool calls.

Rows have them as objects (`trl_rows.py`). Most templates write them as JSON, so that JSON text would be encoded twice;
some join them with text. The dataset program asks the base model's template in the same way before anything is paid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers.trl_rows import Message
else:
    from trl_rows import Message

_ARGUMENTS = {"modelops": "x"}
_FUNCTION = {"name": "modelops", "description": "x", "parameters": {"type": "object", "properties": {}}}
_TOOLS = [{"type": "function", "function": _FUNCTION}]
_CALL = {
    "id": "call00001",  # Mistral's templates take ids of nine letters and digits only.
    "type": "function",
    "function": {"name": "modelops", "arguments": _ARGUMENTS},
}
_CHAT = ({"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [_CALL]})


def takes_text(render: Callable[[Sequence[Message], Any], str]) -> bool:
    """Whether the template that `render` runs on messages and tools needs JSON text: it fails for an object, or writes
    it as Python does, and does not fail for the text."""
    as_object = _rendered(render, _CHAT)
    if as_object is not None and str(_ARGUMENTS) not in as_object:
        return False
    return _rendered(render, with_text_arguments(_CHAT)) is not None


def with_text_arguments(messages: Sequence[Message]) -> list[Message]:
    """The messages with the arguments of their calls as JSON text."""
    return [
        {**message, "tool_calls": [_with_text(call) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in messages
    ]


def _rendered(render: Callable[[Sequence[Message], Any], str], chat: Sequence[Message]) -> str | None:
    """None where the template fails."""
    try:
        return render(chat, _TOOLS)
    except Exception:  # noqa: BLE001 - the template's own code may raise any error
        return None


def _with_text(call: Mapping[str, Any]) -> Mapping[str, Any]:
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), Mapping):
        return call
    text = json.dumps(function["arguments"], ensure_ascii=False)
    return {**call, "function": {**function, "arguments": text}}
