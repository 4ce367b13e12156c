"""What a served model says, whichever kind of model it is."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelops.trainers import tiny_model


@dataclass(frozen=True)
class Question:
    """A chat to be continued. `limit`: most tokens of the answer, or None."""

    messages: Sequence[dict[str, Any]]
    limit: int | None
    tools: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Answer:
    """The answer and its size, in the model's own tokens."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class ModelFailed(RuntimeError):
    """The model cannot be loaded, or did not answer."""


class Served(Protocol):
    """A model in memory."""

    async def answer(self, question: Question) -> Answer:
        """Raises ModelFailed."""
        ...

    async def close(self) -> None:
        """Frees what it holds."""
        ...


class TinyServed:
    """The sandbox's own model. A token is a word here."""

    def __init__(self, model: tiny_model.Model) -> None:
        self._model = model

    async def answer(self, question: Question) -> Answer:
        """Milliseconds, in a thread."""
        messages = [{"role": m["role"], "content": m["content"]} for m in question.messages]
        text = await asyncio.to_thread(self._model.generate, messages)
        words = text.split()
        cut = question.limit is not None and len(words) > question.limit
        said = " ".join(words[: question.limit]) if cut else text
        return Answer(
            text=said,
            finish_reason="length" if cut else "stop",
            prompt_tokens=sum(len(m["content"].split()) for m in messages),
            completion_tokens=len(said.split()),
        )

    async def close(self) -> None:
        """There is nothing to free."""
