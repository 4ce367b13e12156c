"""The reply to one call of a model, from the JSON of the service's answer, in which every value is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from modelops.adapters.huggingface.errors import error_text, without_secrets

MOST_TOKENS, MOST_USD, MOST_WORDS = 10**9, 10**6, 300


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """The result of one call that is kept. Where the call failed, `text` is None and `error` says how.

    `started` is in Unix seconds. `latency_ms` is that of the last attempt, without earlier attempts and pauses.
    """

    started: float
    latency_ms: float
    attempts: int = 1
    text: str | None = None
    calls: Sequence[Mapping[str, Any]] = ()
    """The calls of tools in the answer, in OpenAI's form."""
    error: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: str | None = None
    status: int | None = None
    """The HTTP status of a call that the service refused."""
    without_text: bool = False
    """Whether the call failed because the model's answer has neither a text nor a call of a tool. It is complete, and
    may have been billed."""
    final: bool = False
    """Whether the call failed in a way in which it would fail again, although no HTTP status says so."""
    model_calls: int | None = None
    """The calls of a model that an agent made for the answer; None where a model answered, or nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Reply(CallResult):
    """The result of one call, with what decides whether another attempt follows."""

    retry_after: float | None = None
    """The pause in seconds that the service asks for."""
    is_about_the_question: bool = False
    """Whether the service refused this question, and not the key or the model."""
    ends_with: str = ""
    """The reason with which the evaluation ends if every call of this model fails so; empty where none would."""


def reply_from(completion: Any, reply: Any, *, key: str) -> Reply:
    """A completion as a reply. A completion without text, or with an error, is a failed call.

    A service that fails while the model answers says so in the body of an answer 200 (OpenRouter, "Errors").
    """
    choices = _member(completion, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    usage, finish, model = (
        _member(completion, "usage"),
        _member(choice, "finish_reason"),
        _member(completion, "model"),
    )
    fields = {
        "model": model if isinstance(model, str) else None,
        "prompt_tokens": token_count(_member(usage, "prompt_tokens")),
        "completion_tokens": token_count(_member(usage, "completion_tokens")),
        "cost_usd": amount(_member(usage, "cost")),
    }
    message = _member(choice, "message")
    text, calls = text_of(_member(message, "content")), calls_of(message)
    if calls and text is None:
        text = ""  # A call of a tool is an answer, with or without words beside it.
    finish = finish if isinstance(finish, str) else None
    error = _member(completion, "error") or _member(choice, "error")
    failed: Reply
    if finish == "error" or (text is None and (error or choice is None)):
        status, body = _status_in(error), json.dumps({"error": error}, default=str)
        failed = reply(
            error=failure_of(
                f"an answer with error {status}" if status else "an answer without content", body, key=key
            ),
            status=status,
            is_about_the_question=flags_the_question(status, body),
            **fields,
        )
        return failed
    if text is None:
        why = f" (finish_reason {finish})" if finish else ""
        failed = reply(error=f"an answer without a text{why}", finish=finish, without_text=True, **fields)
        return failed
    finished: Reply = reply(text=text, calls=calls, finish=finish, **fields)
    return finished


def _status_in(error: Any) -> int | None:
    """The HTTP status that an error in the body of an answer 200 stands for; None where it names none."""
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else None


def failure_of(what: str, body: str, *, key: str) -> str:
    """What failed, with what the service says in the body of an error: at most `MOST_WORDS` characters."""
    words = without_secrets(" ".join(error_text(body).split()), key)[:MOST_WORDS]
    return f"{what}: {words}" if words else what


def flags_the_question(status: int | None, body: str) -> bool:
    """Whether a 403 is about the question: OpenRouter's moderation flagged it, and says which part."""
    return status == 403 and '"flagged_input"' in body


def text_of(content: Any) -> str | None:
    """The text of a message's content, which is a text or a list of parts; None where there is no text.

    Half of a surrogate pair, which JSON allows and UTF-8 does not, becomes a question mark.
    """
    if isinstance(content, str):
        return content.encode(errors="replace").decode()
    if not isinstance(content, list):
        return None
    parts = [part if isinstance(part, str) else _part_text(part) for part in content]
    texts = [text for text in parts if isinstance(text, str)]
    return "".join(texts).encode(errors="replace").decode() if texts else None


def calls_of(message: Any) -> tuple[Mapping[str, Any], ...]:
    """The calls of tools in a message, in OpenAI's form, also the older `function_call`.

    A part that has another type than OpenAI documents becomes a text, which is equal to no expected call.
    """
    found = _member(message, "tool_calls")
    functions = [_member(call, "function") for call in found] if isinstance(found, list | tuple) else []
    older = _member(message, "function_call")
    functions += [older] if older and not functions else []
    return tuple(_call(function) for function in functions)


def _call(function: Any) -> Mapping[str, Any]:
    name, arguments = _member(function, "name"), _member(function, "arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    parts = {
        "name": name if isinstance(name, str) else "",
        "arguments": written,
    }
    known = {key: part.encode(errors="replace").decode() for key, part in parts.items()}
    return {"type": "function", "function": known}


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _part_text(part: Any) -> Any:
    return _member(part, "text")


def token_count(value: Any) -> int | None:
    """A number of tokens; None where it is none."""
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return count if 0 <= count <= MOST_TOKENS else None


def amount(value: Any) -> str | None:
    """An amount of money as a decimal number; None where it is none."""
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return None
    return str(found) if found.is_finite() and 0 <= found <= MOST_USD else None


def text_of_body(response: Any) -> str:
    """The body of an error; empty where it cannot be read: it only explains a failure that is known already."""
    try:
        return str(response.text)
    except Exception:  # noqa: BLE001
        return ""
