"""Data about objects that this process keeps in memory only, in addition to their status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Memory = TypeVar("Memory")


class ProcessMemory(Generic[Memory]):
    """One memory for each object. A re-created object with the same name has another uid and gets a new memory."""

    def __init__(self, new: Callable[[], Memory]) -> None:
        self._new = new
        self._known: dict[tuple[str, str], tuple[str, Memory]] = {}

    def of(self, namespace: str, name: str, uid: str) -> Memory:
        """The memory of this object, created if there is none."""
        known = self._known.get((namespace, name))
        if known is None or known[0] != uid:
            known = self._known[namespace, name] = uid, self._new()
        return known[1]

    def uid(self, namespace: str, name: str) -> str:
        """The uid of the object that the memory of this name belongs to; empty where there is none."""
        known = self._known.get((namespace, name))
        return known[0] if known else ""

    def forget(self, namespace: str, name: str) -> None:
        """Drops the memory of an object that was deleted."""
        self._known.pop((namespace, name), None)

    def __len__(self) -> int:
        return len(self._known)
