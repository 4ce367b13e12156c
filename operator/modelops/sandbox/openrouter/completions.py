"""Chat completions: checks of the request, routing preferences, the answer and its cost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.openrouter.catalogue import MODELS, PROVIDER, PROVIDER_SLUG, Model


class RefusedError(Exception):
    """The request is refused. Status and message become `{"error": {"code", "message"}}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class TextPart(BaseModel):
    """One part of a message; only text is supported."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class Preferences(BaseModel):
    """The `provider` object of a request, with the fields that matter for a single provider."""

    order: list[str] | None = None
    only: list[str] | None = None
    ignore: list[str] | None = None
    allow_fallbacks: bool = True
    require_parameters: bool = False

    def admits_provider(self) -> bool:
        """Whether the only provider may serve the request."""
        names = {PROVIDER.lower(), PROVIDER_SLUG}
        if self.ignore and names & {name.lower() for name in self.ignore}:
            return False
        if self.only is not None and not names & {name.lower() for name in self.only}:
            return False
        return (
            self.allow_fallbacks or self.order is None or bool(names & {name.lower() for name in self.order})
        )


class Request(BaseModel):
    """Body of POST /chat/completions."""

    model_config = ConfigDict(extra="allow")

    messages: list[Message] = Field(min_length=1)
    model: str | None = None
    models: list[str] | None = None
    provider: Preferences = Preferences()
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: Literal[1] = 1
    stream: bool = False
    stream_options: dict[str, bool] | None = None
    response_format: dict[str, object] | None = None
    tools: list[dict[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer. `generation`: the entry for GET /generation. `cost`: in USD."""

    body: dict[str, Any]
    generation: dict[str, Any]
    cost: Decimal


def choose_model(request: Request) -> Model:
    """Return the model that serves the request: the first known one of `model` and the fallbacks in `models`."""
    wanted = [name for name in (request.model, *(request.models or [])) if name]
    if not wanted:
        raise RefusedError(400, "No models provided")
    found = next((MODELS[name] for name in wanted if name in MODELS), None)
    if found is None:
        raise RefusedError(400, f"{wanted[0]} is not a valid model ID")
    taken = ("response_format",) if found.takes_schema else ()
    unsupported = [
        name for name in ("tools", "response_format") if getattr(request, name) and name not in taken
    ]
    if not request.provider.admits_provider() or (request.provider.require_parameters and unsupported):
        raise RefusedError(404, f"No endpoints found that match your provider preferences for {found.id}")
    if request.tools:
        raise RefusedError(404, "No endpoints found that support tool use")
    return found


def complete(request: Request, model: Model) -> Completion:
    """Answer the last user message. Words are counted as tokens."""
    started = time.monotonic()
    prompt_tokens = sum(len(message.text.split()) for message in request.messages)
    if prompt_tokens > model.context_length:
        raise RefusedError(
            400,
            f"This endpoint's maximum context length is {model.context_length} tokens. However, you "
            f"requested about {prompt_tokens} tokens.",
        )
    question = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    text, finish = _truncate(model.answer(question), request.max_completion_tokens or request.max_tokens)
    completion_tokens = len(text.split())
    cost = model.cost(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    now, generation_id = datetime.now(UTC), f"gen-{int(time.time())}-{uuid4().hex[:20]}"
    body = {
        "id": generation_id,
        "object": "chat.completion",
        "created": int(now.timestamp()),
        "model": model.id,
        "provider": PROVIDER,
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": finish,
                "native_finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": None, "reasoning": None},
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "cost": float(cost),
            "is_byok": False,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": float(model.prompt_price * prompt_tokens),
                "upstream_inference_completions_cost": float(model.completion_price * completion_tokens),
            },
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    generation = {
        "id": generation_id,
        "model": model.id,
        "provider_name": PROVIDER,
        "created_at": now.isoformat(),
        "total_cost": float(cost),
        "usage": float(cost),
        "tokens_prompt": prompt_tokens,
        "tokens_completion": completion_tokens,
        "native_tokens_prompt": prompt_tokens,
        "native_tokens_completion": completion_tokens,
        "finish_reason": finish,
        "latency": round((time.monotonic() - started) * 1000),
        "generation_time": round((time.monotonic() - started) * 1000),
        "streamed": request.stream,
        "cancelled": False,
        "is_byok": False,
    }
    return Completion(body=body, generation=generation, cost=cost)


def stream_chunks(body: Mapping[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
    """The same answer as the events of a stream: a word each, the finish reason, and at last the usage if asked for."""
    shared = {key: body[key] for key in ("id", "created", "model", "provider")}
    shared |= {"object": "chat.completion.chunk"}
    (choice,) = body["choices"]
    for word in re.findall(r"\s*\S+", choice["message"]["content"]):
        delta = {"role": "assistant", "content": word}
        yield {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    end = {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "finish_reason": choice["finish_reason"],
    }
    yield {**shared, "choices": [end]}
    if with_usage:
        yield {**shared, "choices": [], "usage": body["usage"]}


def _truncate(text: str, max_tokens: int | None) -> tuple[str, str]:
    words = text.split()
    if max_tokens is None or len(words) <= max_tokens:
        return text, "stop"
    return " ".join(words[:max_tokens]), "length"
