"""The part of a Kubernetes API server that the write protocol rests on: versions, conditional writes, finalizers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from modelops.ports import Conflict, Missing, Resource

Json = dict[str, Any]
Name = tuple[str, str]
"""Plural and name; there is one namespace."""
Watcher = Callable[[Name, Json | None, Json | None, bool], None]
"""Called after each write: name, before, after, and whether the operator made it."""

_VERSIONS = itertools.count(1000)


class ApiServer:
    """Objects by plural and name. No resourceVersion is used twice in a process, because parsed objects are cached by it."""

    def __init__(self, watcher: Watcher) -> None:
        self.objects: dict[Name, Json] = {}
        self._watcher = watcher
        self.writes: list[str] = []

    def read(self, resource: Resource, name: str) -> Json | None:
        return self.objects.get((resource.plural, name))

    def list(self, resource: Resource) -> tuple[list[Json], str]:
        """All objects of a kind, and the resourceVersion of the list."""
        found = [item for name, item in self.objects.items() if name[0] == resource.plural]
        return found, str(next(_VERSIONS))

    def create(self, resource: Resource, body: Json, *, ours: bool = True) -> Json:
        name = (resource.plural, body["metadata"]["name"])
        if name in self.objects:
            raise Conflict(f"{name} exists")
        body = deepcopy(body)
        body["metadata"].setdefault("uid", f"uid-{name[1]}")
        return self._store(name, body, "create", ours)

    def replace_status(self, resource: Resource, body: Json) -> Json:
        name = (resource.plural, body["metadata"]["name"])
        current = self._current(name, body["metadata"]["resourceVersion"])
        return self._store(name, {**current, "status": deepcopy(body["status"])}, "status", True)

    def patch(self, resource: Resource, name: str, merge: Json, *, ours: bool = True) -> Json:
        """Metadata.finalizers and data only: all that the operator patches."""
        key = (resource.plural, name)
        version = merge["metadata"].get("resourceVersion")
        current = self._current(key, version)
        new = deepcopy(current)
        if "finalizers" in merge["metadata"]:
            new["metadata"]["finalizers"] = list(merge["metadata"]["finalizers"])
        if "data" in merge:
            new["data"] = {**new.get("data", {}), **merge["data"]}
        return self._store(key, new, "finalizers" if "finalizers" in merge["metadata"] else "data", ours)

    def edit(self, name: Name, change: Callable[[Json], None]) -> None:
        """An unconditional write of a person or another tool."""
        new = deepcopy(self.objects[name])
        change(new)
        if new.get("spec") != self.objects[name].get("spec"):
            new["metadata"]["generation"] += 1
        self._store(name, new, "edit", False)

    def delete(self, name: Name) -> None:
        """A deletion by a person or another tool."""
        current = self.objects[name]
        if current["metadata"].get("finalizers"):
            self.edit(name, lambda item: item["metadata"].update(deletionTimestamp="2025-12-10T10:00:00Z"))
            return
        del self.objects[name]
        self._watcher(name, current, None, False)

    def _current(self, name: Name, version: str | None) -> Json:
        current = self.objects.get(name)
        if current is None:
            raise Missing(f"{name} does not exist")
        if not version or current["metadata"]["resourceVersion"] != version:
            raise Conflict(f"{name}: {version} is not {current['metadata']['resourceVersion']}")
        return current

    def _store(self, name: Name, item: Json, verb: str, ours: bool) -> Json:
        current = self.objects.get(name)
        if current == item:
            return current
        item["metadata"] = {**item["metadata"], "resourceVersion": str(next(_VERSIONS))}
        is_removed = bool(item["metadata"].get("deletionTimestamp")) and not item["metadata"].get(
            "finalizers"
        )
        if is_removed:
            del self.objects[name]
        else:
            self.objects[name] = item
        if ours:
            self.writes.append(f"{verb} {name[0]}/{name[1]}")
        self._watcher(name, current, None if is_removed else item, ours)
        return item
