"""What was made of the newest version of an object, so that each version is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MOST_KEPT = 4096

Value = TypeVar("Value")


class LatestVersion(Generic[Value]):
    """A value for each key, made anew when the version changes. Keeps the `MOST_KEPT` that were asked for last."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[Hashable, Value]] = OrderedDict()

    def get(self, key: str, version: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this version; whatever `make` raises is raised, and nothing is kept then."""
        known = self._values.get(key)
        value = known[1] if known is not None and known[0] == version else make()
        self._values[key] = version, value
        self._values.move_to_end(key)
        while len(self._values) > MOST_KEPT:
            self._values.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._values)
