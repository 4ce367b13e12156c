"""Answers from outside that may be a little old: asked for once, however many want them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from modelops.ports import Clock

Answer = TypeVar("Answer")

MOST_ANSWERS = 1024


class Remembered(Generic[Answer]):
    """Keeps each answer for `seconds`. Errors and None are not kept: what was missing may be there now."""

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._answers: dict[Hashable, tuple[float, Answer]] = {}
        self._asking: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to `key`; `ask` gets it where none is known. Raises what `ask` raises."""
        known = self._answers.get(key)
        if known is not None and self._clock.monotonic() - known[0] < self._seconds:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, ask))
        # Who waits may be cancelled; the others still want the answer.
        return await asyncio.shield(asking)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await ask()
        finally:
            del self._asking[key]
        if answer is not None:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[key] = self._clock.monotonic(), answer
        return answer
