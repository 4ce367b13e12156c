"""Whether the calls of tools in an answer are those that its example expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelops.domain.answer_json import read_json, same_json

Call = Mapping[str, Any]
"""A call of a tool in OpenAI's form."""


def same_calls(calls: Sequence[Call], expected: Sequence[Call]) -> bool:
    """Whether both have the same calls, in any order: the names of tools and their arguments as JSON, with types.

    The calls of one answer are made at once, so their order says nothing. Ids are not compared. Raises
    UnreadableJsonError for arguments that are not JSON.
    """
    if len(calls) != len(expected):
        return False
    remaining = [_read(call) for call in expected]
    for name, arguments in map(_read, calls):
        found = (n for n, one in enumerate(remaining) if one[0] == name and same_json(one[1], arguments))
        number = next(found, None)
        if number is None:
            return False
        del remaining[number]
    return True


def said(text: str, calls: Sequence[Call]) -> str:
    """A text and the calls of tools beside it, for a person: one line for each call."""
    lines = (f"{call['function']['name']}({call['function'].get('arguments', '')})" for call in calls)
    return "\n".join(filter(None, (text.strip() if calls else text, *lines)))


def _read(call: Call) -> tuple[str, Any]:
    """Name and arguments. No arguments are an empty object, as models write it for tools without parameters."""
    function = call["function"]
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = read_json(arguments) if arguments.strip() else {}
    return str(function["name"]), {} if arguments is None else arguments
