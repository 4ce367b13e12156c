"""Requests and answers of a served model, for every kind of model."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelops.trainers import tiny_model


@dataclass(frozen=True)
class ChatRequest:
    """The messages of a chat. `limit`: maximum number of tokens of the answer, or None."""

    messages: Sequence[dict[str, Any]]
    limit: int | None
    tools: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True)
class ChatAnswer:
    """The answer and its size in the model's own tokens."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class ModelFailedError(RuntimeError):
    """The model cannot be loaded, or did not answer."""


class ServedModel(Protocol):
    """A model in memory."""

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """Answer a request. Raises ModelFailedError."""
        ...

    async def close(self) -> None:
        """Free the model's resources."""
        ...


class TinyServedModel:
    """The sandbox's tiny model. It counts words as tokens."""

    def __init__(self, model: tiny_model.Model) -> None:
        self._model = model

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """Answer a request in a thread; it takes milliseconds."""
        messages = [{"role": m["role"], "content": m["content"]} for m in request.messages]
        text = await asyncio.to_thread(self._model.generate, messages)
        words = text.split()
        cut = request.limit is not None and len(words) > request.limit
        answer = " ".join(words[: request.limit]) if cut else text
        return ChatAnswer(
            text=answer,
            finish_reason="length" if cut else "stop",
            prompt_tokens=sum(len(m["content"].split()) for m in messages),
            completion_tokens=len(answer.split()),
        )

    async def close(self) -> None:
        """There is nothing to free."""
