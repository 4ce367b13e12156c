"""What a judge's answer says. Every form of answer ends in a choice or in a named reason why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelops.evaluation.judge.prompt import CHOICES
from modelops.evaluation.reply import text_of

_FENCE = re.compile(r"\A```[a-zA-Z]*\n(.*)\n?```\Z", re.DOTALL)
_MOST_TEXT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`choice` is one of CHOICES, or None; then `missing` says why."""

    choice: str | None = None
    missing: str = ""


def read_judgement(completion: Any) -> Reading:
    """The choice in a completion, of which the SDK has checked no type."""
    choices = _member(completion, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if (
        _member(completion, "error")
        or _member(choice, "error")
        or _member(choice, "finish_reason") == "error"
    ):
        return Reading(missing="an answer with an error")
    message = _member(choice, "message")
    if message is None:
        return Reading(missing="an answer without a message")
    if _member(message, "refusal"):
        return Reading(missing="a refusal to judge")
    text = (text_of(_member(message, "content")) or "").strip()
    if not text:
        called = _member(message, "tool_calls") or _member(message, "function_call")
        return Reading(missing="a call of a tool" if called else "an empty answer")
    return _choice_in(text, cut=_member(choice, "finish_reason") == "length")


def _choice_in(text: str, *, cut: bool) -> Reading:
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text) if len(text) <= _MOST_TEXT else None
    except (ValueError, RecursionError):
        return Reading(missing="an answer that was cut" if cut else "an answer that is not JSON")
    if not isinstance(found, dict) or found.keys() != {"reason", "preferred"}:
        return Reading(missing="an answer out of the schema")
    if not isinstance(found["reason"], str) or not isinstance(found["preferred"], str):
        return Reading(missing="an answer out of the schema")
    if found["preferred"] not in CHOICES:
        return Reading(missing="a choice out of range")
    return Reading(choice=found["preferred"])


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
