"""Objects as we last saw them: from watches, from lists, and from the answers to our own writes.

What is older than what is held is dropped, wherever it comes from. resourceVersions compare as integers
(Kubernetes 1.35 and KEP-5504 promise it; etcd's revisions always were).
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modelops.ports import Json, Resource

Key = tuple[Resource, str, str]
Listener = Callable[[Resource, Json, Json | None], None]
"""Called with an object that is new here, changed, or gone (then as it last was), and with what was held of it
before a change; None where it is new or gone."""

_TOMBSTONES = 4096


def key_of(resource: Resource, item: Json) -> Key:
    """Where an object is kept: resource, namespace (empty where it has none), name."""
    metadata = item["metadata"]
    return resource, metadata.get("namespace", ""), metadata["name"]


def version_of(item: Json) -> int:
    """An object's resourceVersion as a number."""
    return int(item["metadata"]["resourceVersion"])


class ObjectCache:
    """Objects by resource, namespace and name. What it hands out is shared: never change it."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kinds: dict[Resource, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._uids: dict[tuple[Resource, str], tuple[str, str]] = {}
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._heard: dict[str, float] = {}
        self._synced: set[str] = set()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tells `listener` of every change, our own writes included, right after it was taken in."""
        self._listeners.append(listener)

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object as last seen, or None."""
        return self._kinds[resource].get((namespace, name))

    def with_uid(self, resource: Resource, uid: str) -> Json | None:
        """The object of that uid, or None."""
        key = self._uids.get((resource, uid))
        item = self._kinds[resource].get(key) if key is not None else None
        return item if item is not None and item["metadata"].get("uid") == uid else None

    def list(
        self, resource: Resource, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Iterator[Json]:
        """Objects in a namespace (None: all) that carry all of `labels`."""
        wanted = (labels or {}).items()
        for (held_namespace, _), item in list(self._kinds[resource].items()):
            if namespace is not None and held_namespace != namespace:
                continue
            if not wanted or wanted <= (item["metadata"].get("labels") or {}).items():
                yield item

    def put(self, resource: Resource, item: Json) -> bool:
        """Keeps it, unless what is held or was deleted is at least as new; says whether it did."""
        key = key_of(resource, item)
        version = version_of(item)
        held = self._kinds[resource].get(key[1:])
        if held is not None and version_of(held) >= version:
            return False
        if self._tombstones.get(key, -1) >= version:
            return False
        self._tombstones.pop(key, None)
        self._kinds[resource][key[1:]] = slim = _slim(item)
        self._index(resource, slim, held)
        self._tell(resource, slim, held)
        return True

    def remove(self, resource: Resource, namespace: str, name: str, *, version: int | None = None) -> bool:
        """Forgets it; says whether it was held.

        `version`: that of the deletion. A newer object of that name stays. None: whatever is held is gone.
        """
        key: Key = (resource, namespace, name)
        held = self._kinds[resource].get((namespace, name))
        held_version = -1 if held is None else version_of(held)
        if version is not None and held_version > version:
            return False
        self._bury(key, max(held_version, -1 if version is None else version))
        if held is None:
            return False
        del self._kinds[resource][(namespace, name)]
        self._uids.pop((resource, held["metadata"].get("uid", "")), None)
        self._tell(resource, held, None)
        return True

    def absent(self, resource: Resource, namespace: str, name: str, *, before: Json | None) -> None:
        """A live read found nothing. `before`: what `get` gave before that read; what came since stays."""
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
        """Takes in a full list made at `resource_version`; returns (namespace, name) of what changed or went.

        What is held, is not in the list and is not newer than the list is gone: the missed deletions.
        `namespace`, `labels`: what the list was limited to; what is held beyond that stays.
        """
        listed_at = int(resource_version)
        listed = {key_of(resource, item)[1:]: item for item in items}
        changed = {key for key, item in listed.items() if self.put(resource, item)}
        for held in list(self.list(resource, namespace=namespace, labels=labels)):
            key = key_of(resource, held)[1:]
            if key in listed or version_of(held) > listed_at:
                continue
            self.remove(resource, *key, version=listed_at)
            changed.add(key)
        return changed

    def heard(self, watch: str) -> None:
        """A watch said something just now, if only a bookmark."""
        self._heard[watch] = self._monotonic()

    def age(self, watch: str) -> float:
        """Seconds since a watch last said something; infinite where it never did."""
        return self._monotonic() - self._heard[watch] if watch in self._heard else float("inf")

    def mark_synced(self, watch: str) -> None:
        """A watch has delivered its first full list."""
        self._synced.add(watch)

    def synced(self, watches: Iterable[str]) -> bool:
        """Whether all of these have."""
        return self._synced.issuperset(watches)

    def forget_watch(self, watch: str) -> None:
        """A watch has ended: it is neither fresh nor synced."""
        self._heard.pop(watch, None)
        self._synced.discard(watch)

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def _index(self, resource: Resource, item: Json, before: Json | None) -> None:
        uid = item["metadata"].get("uid", "")
        if before is not None and before["metadata"].get("uid", "") != uid:
            self._uids.pop((resource, before["metadata"].get("uid", "")), None)
        self._uids[resource, uid] = key_of(resource, item)[1:]

    def _tell(self, resource: Resource, item: Json, before: Json | None) -> None:
        for listener in self._listeners:
            listener(resource, item, before)

    def _bury(self, key: Key, version: int) -> None:
        self._tombstones[key] = max(version, self._tombstones.pop(key, -1))
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)


def _slim(item: Json) -> Json:
    """Without managedFields: as large as the object, and of no use here."""
    metadata: dict[str, Any] = item["metadata"]
    if "managedFields" not in metadata:
        return item
    return {**item, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
