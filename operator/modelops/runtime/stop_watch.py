"""The watch of the ConfigMaps that are emergency stops. They are found by their name and need no label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelops.engine.cache import ObjectCache, version_of
from modelops.engine.resources import CONFIG_MAPS
from modelops.ports import Json, Resource


@dataclass(frozen=True)
class StopUpdater:
    """A `WatchHandler` that keeps the ConfigMaps of one name in the cache. `namespace`: None for every namespace."""

    cache: ObjectCache
    namespace: str | None
    config_map: str
    resource: Resource = CONFIG_MAPS
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def field_selector(self) -> str:
        """The API server also checks a right to this name alone by it."""
        return f"metadata.name={self.config_map}"

    @property
    def name(self) -> str:
        """The watch's name in the cache and in metrics."""
        return f"{self.resource.plural}/{self.namespace or '*'}?{self.field_selector}"

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        """Replaces what the cache has of this name; every other ConfigMap stays."""
        found = {item["metadata"]["namespace"] for item in items}
        for item in items:
            self.cache.put(self.resource, item)
        for item in list(self.cache.list(self.resource, namespace=self.namespace)):
            metadata = item["metadata"]
            gone = metadata["name"] == self.config_map and metadata["namespace"] not in found
            if gone and version_of(item) <= int(resource_version):
                self.cache.remove(
                    self.resource, metadata["namespace"], metadata["name"], version=int(resource_version)
                )
        self.cache.mark_synced(self.name)

    def changed(self, item: Json) -> None:
        """Stores a stop that was set or changed."""
        self.cache.put(self.resource, item)

    def deleted(self, item: Json) -> None:
        """Removes a stop that was lifted."""
        metadata = item["metadata"]
        self.cache.remove(self.resource, metadata["namespace"], metadata["name"], version=version_of(item))

    def alive(self) -> None:
        """Notes that the server sent something."""
        self.cache.heard(self.name)
