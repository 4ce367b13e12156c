"""A cache of answers from services. Concurrent callers share one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from modelops.ports import Clock

Answer = TypeVar("Answer")

MAX_ANSWERS = 1024
"""The cache is emptied when it has so many answers."""


class TtlCache(Generic[Answer]):
    """Keeps each answer for `seconds`. Errors and None are not kept, because they may change at any time."""

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._answers: dict[Hashable, tuple[float, Answer]] = {}
        self._asking: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer for `key`; `ask` requests it where no fresh answer is kept. Raises the errors of `ask`."""
        known = self._answers.get(key)
        if known is not None and self._clock.monotonic() - known[0] < self._seconds:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, ask))
        # A caller may be cancelled; other callers still wait for the answer.
        return await asyncio.shield(asking)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await ask()
        finally:
            del self._asking[key]
        if answer is not None:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = self._clock.monotonic(), answer
        return answer
