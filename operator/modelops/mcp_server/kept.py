"""Answers that are kept for a short time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

_MOST: Final = 4096

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Kept(Generic[KeyT, ValueT]):
    """Keeps each answer for `seconds`, and at most `most`: the oldest goes first. `clock`: monotonic seconds."""

    def __init__(self, seconds: float, *, clock: Callable[[], float], most: int = _MOST) -> None:
        self._seconds, self._clock, self._most = seconds, clock, most
        self._answers: OrderedDict[KeyT, tuple[float, ValueT]] = OrderedDict()

    def get(self, key: KeyT) -> ValueT | None:
        """The answer; None where there is none, or it is too old."""
        found = self._answers.get(key)
        if found is None:
            return None
        since, value = found
        if self._clock() - since >= self._seconds:
            del self._answers[key]
            return None
        return value

    def keep(self, key: KeyT, value: ValueT) -> None:
        """Keep an answer from now on."""
        self._answers.pop(key, None)
        self._answers[key] = (self._clock(), value)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
