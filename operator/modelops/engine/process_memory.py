"""What a process remembers of objects beyond their status: bounded by the objects that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Memory = TypeVar("Memory")


class Memories(Generic[Memory]):
    """One memory for each object; one of the same name with another uid begins with a new one."""

    def __init__(self, new: Callable[[], Memory]) -> None:
        self._new = new
        self._known: dict[tuple[str, str], tuple[str, Memory]] = {}

    def of(self, namespace: str, name: str, uid: str) -> Memory:
        """The object's memory."""
        known = self._known.get((namespace, name))
        if known is None or known[0] != uid:
            known = self._known[namespace, name] = uid, self._new()
        return known[1]

    def uid(self, namespace: str, name: str) -> str:
        """Whom the memory of that name is of; empty where there is none."""
        known = self._known.get((namespace, name))
        return known[0] if known else ""

    def forget(self, namespace: str, name: str) -> None:
        """The object is gone."""
        self._known.pop((namespace, name), None)

    def __len__(self) -> int:
        return len(self._known)
