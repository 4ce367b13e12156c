"""What functions and graphs return, as the JSON of an agent behind HTTP.

A function returns a text, that JSON, or `{"output": ...}` as LangSmith's targets do. A LangGraph graph returns its
state, whose last message is the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelops.evaluation.question import Question
from modelops.evaluation.reply import token_count

_ANSWERS = ("answer", "output", "content")


def document_of(found: Any, question: Question, report: Mapping[str, Any]) -> Any:
    """The answer as JSON. `report` says what served it; the agent's own words count where it asked no Router."""
    document = _document(found, question)
    if not isinstance(document, Mapping):
        return document
    through_router = bool(report["served"]["calls"])
    served = report["served"] if through_router else document.get("served") or report["served"]
    # The agent may know the two kinds of tokens; the router's counters know their sum.
    usage = {**report["usage"], **(document.get("usage") or {})}
    return {**document, "served": served, "usage": usage}


def _document(found: Any, question: Question) -> Any:
    if isinstance(found, str):
        return {"answer": found}
    if _is_message(found):
        return _of_messages([found])
    if not isinstance(found, Mapping):
        return found
    messages = found.get("messages")
    if isinstance(messages, Sequence) and not isinstance(messages, str) and messages and not _answers(found):
        return _of_messages(list(messages)[_asked(messages, question) :])
    answer = next((found[name] for name in _ANSWERS if name in found), None)
    if isinstance(answer, Mapping) or _is_message(answer):
        return _document(answer, question)
    parts: dict[str, Any] = {name: found[name] for name in ("served", "usage") if name in found}
    if "tool_calls" in found:
        parts["tool_calls"] = _tool_calls(found)
    return {**({"answer": answer} if answer is not None else {}), **parts}


def _answers(found: Mapping[str, Any]) -> bool:
    return any(name in found for name in _ANSWERS)


def _asked(messages: Sequence[Any], question: Question) -> int:
    """How many messages of a state were its input."""
    given = question.inputs.get("messages")
    count = (
        len(given) if isinstance(given, Sequence) and not isinstance(given, str) else len(question.messages)
    )
    return min(count, len(messages) - 1)


def _is_message(value: Any) -> bool:
    """Whether it is a message of LangChain."""
    return hasattr(value, "content") and hasattr(value, "type") and hasattr(value, "response_metadata")


def _of_messages(messages: Sequence[Any]) -> dict[str, Any]:
    """The last message as the answer, with what all of them say of models and tokens."""
    last = messages[-1]
    prompt = completion = calls = 0
    models: dict[str, None] = {}
    for one in messages:
        metadata, used = _part(one, "response_metadata"), _part(one, "usage_metadata")
        name = metadata.get("model_name") or metadata.get("model")
        if isinstance(name, str) and name:
            models[name] = None
            calls += 1
        prompt += token_count(used.get("input_tokens")) or 0
        completion += token_count(used.get("output_tokens")) or 0
    content = last.get("content") if isinstance(last, Mapping) else getattr(last, "content", None)
    document: dict[str, Any] = {"answer": content, "tool_calls": _tool_calls(last)}
    if models:
        document["served"] = {"models": list(models), "calls": calls}
    if prompt or completion:
        document["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
    return document


def _part(message: Any, name: str) -> Mapping[str, Any]:
    value = message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)
    return value if isinstance(value, Mapping) else {}


def _tool_calls(message: Any) -> list[Any]:
    """The calls of tools in OpenAI's form. LangChain has `name` and `args`."""
    calls = (
        message.get("tool_calls") if isinstance(message, Mapping) else getattr(message, "tool_calls", None)
    )
    return [_tool_call(call) for call in calls] if isinstance(calls, Sequence) and calls else []


def _tool_call(call: Any) -> Any:
    if not isinstance(call, Mapping) or "args" not in call:
        return call
    function = {"name": call.get("name"), "arguments": json.dumps(call["args"], default=str)}
    return {"type": "function", "function": function}
