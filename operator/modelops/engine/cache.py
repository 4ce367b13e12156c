"""A cache of Kubernetes objects, filled by watches, by lists and by the answers to the operator's own writes.

An object that is older than the cached one is dropped, whatever its source. resourceVersions are compared as integers:
Kubernetes 1.35 guarantees that (KEP-5504), and etcd's revisions always were integers.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modelops.ports import Json, Resource

Key = tuple[Resource, str, str]
Listener = Callable[[Resource, Json, Json | None], None]
"""Called with an object that was added, changed or deleted, and with its former version if it was changed.

A deleted object is passed in its last version. The former version is None for an added or deleted object."""

_TOMBSTONES = 4096


def key_of(resource: Resource, item: Json) -> Key:
    """The key of an object: resource, namespace (empty for a cluster-scoped object) and name."""
    metadata = item["metadata"]
    return resource, metadata.get("namespace", ""), metadata["name"]


def version_of(item: Json) -> int:
    """An object's resourceVersion as a number."""
    return int(item["metadata"]["resourceVersion"])


class ObjectCache:
    """Objects by resource, namespace and name. Returned objects are shared: callers must not change them."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kinds: dict[Resource, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._uids: dict[tuple[Resource, str], tuple[str, str]] = {}
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._last_heard: dict[str, float] = {}
        self._synced: set[str] = set()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Calls `listener` after every change of the cache, the operator's own writes included."""
        self._listeners.append(listener)

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The cached object, or None."""
        return self._kinds[resource].get((namespace, name))

    def with_uid(self, resource: Resource, uid: str) -> Json | None:
        """The cached object with this uid, or None."""
        key = self._uids.get((resource, uid))
        item = self._kinds[resource].get(key) if key is not None else None
        return item if item is not None and item["metadata"].get("uid") == uid else None

    def list(
        self, resource: Resource, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Iterator[Json]:
        """Cached objects in a namespace (None: in all) that have all of `labels`."""
        wanted = (labels or {}).items()
        for (cached_namespace, _), item in list(self._kinds[resource].items()):
            if namespace is not None and cached_namespace != namespace:
                continue
            if not wanted or wanted <= (item["metadata"].get("labels") or {}).items():
                yield item

    def put(self, resource: Resource, item: Json) -> bool:
        """Stores the object unless the cached or deleted one is at least as new; returns whether it was stored."""
        key = key_of(resource, item)
        version = version_of(item)
        cached = self._kinds[resource].get(key[1:])
        if cached is not None and version_of(cached) >= version:
            return False
        if self._tombstones.get(key, -1) >= version:
            return False
        self._tombstones.pop(key, None)
        self._kinds[resource][key[1:]] = stripped = _without_managed_fields(item)
        self._index(resource, stripped, cached)
        self._notify(resource, stripped, cached)
        return True

    def remove(self, resource: Resource, namespace: str, name: str, *, version: int | None = None) -> bool:
        """Removes the object; returns whether it was cached.

        `version` is the resourceVersion of the deletion: a newer object of that name stays. None removes any object.
        """
        key: Key = (resource, namespace, name)
        cached = self._kinds[resource].get((namespace, name))
        cached_version = -1 if cached is None else version_of(cached)
        if version is not None and cached_version > version:
            return False
        self._add_tombstone(key, max(cached_version, -1 if version is None else version))
        if cached is None:
            return False
        del self._kinds[resource][(namespace, name)]
        self._uids.pop((resource, cached["metadata"].get("uid", "")), None)
        self._notify(resource, cached, None)
        return True

    def confirm_absent(self, resource: Resource, namespace: str, name: str, *, before: Json | None) -> None:
        """Removes an object that a live read did not find.

        `before` is the cached object from before that read. An object that was stored since then stays.
        """
        version = -1 if before is None else version_of(before)
        self.remove(resource, namespace, name, version=version)

    def replace_all(
        self,
        resource: Resource,
        items: Iterable[Json],
        *,
        resource_version: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> set[tuple[str, str]]:
        """Stores a full list made at `resource_version`; returns namespace and name of changed or removed objects.

        A cached object that is not in the list and not newer than the list was deleted, and is removed. `namespace` and
        `labels` are the limits of the list: cached objects outside these limits stay.
        """
        listed_at = int(resource_version)
        listed = {key_of(resource, item)[1:]: item for item in items}
        changed = {key for key, item in listed.items() if self.put(resource, item)}
        for cached in list(self.list(resource, namespace=namespace, labels=labels)):
            key = key_of(resource, cached)[1:]
            if key in listed or version_of(cached) > listed_at:
                continue
            self.remove(resource, *key, version=listed_at)
            changed.add(key)
        return changed

    def heard(self, watch: str) -> None:
        """Notes that a watch has just delivered something; a bookmark counts."""
        self._last_heard[watch] = self._monotonic()

    def age(self, watch: str) -> float:
        """Seconds since a watch last delivered something; infinite where it never did."""
        return self._monotonic() - self._last_heard[watch] if watch in self._last_heard else float("inf")

    def mark_synced(self, watch: str) -> None:
        """Notes that a watch has delivered its first full list."""
        self._synced.add(watch)

    def synced(self, watches: Iterable[str]) -> bool:
        """Whether all of these watches have delivered their first full list."""
        return self._synced.issuperset(watches)

    def forget_watch(self, watch: str) -> None:
        """Forgets a watch that has ended."""
        self._last_heard.pop(watch, None)
        self._synced.discard(watch)

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def _index(self, resource: Resource, item: Json, before: Json | None) -> None:
        uid = item["metadata"].get("uid", "")
        if before is not None and before["metadata"].get("uid", "") != uid:
            self._uids.pop((resource, before["metadata"].get("uid", "")), None)
        self._uids[resource, uid] = key_of(resource, item)[1:]

    def _notify(self, resource: Resource, item: Json, before: Json | None) -> None:
        for listener in self._listeners:
            listener(resource, item, before)

    def _add_tombstone(self, key: Key, version: int) -> None:
        self._tombstones[key] = max(version, self._tombstones.pop(key, -1))
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)


def _without_managed_fields(item: Json) -> Json:
    """The object without managedFields, which are as large as the rest and not needed."""
    metadata: dict[str, Any] = item["metadata"]
    if "managedFields" not in metadata:
        return item
    return {**item, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
