"""From watches and lists into the cache: ConfigMaps that opted in, Pods of the agents, and missed
deletions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelops.adapters.kube import KubeClient, Watch
from modelops.api.v1alpha1.names import MANAGED_LABEL
from modelops.engine.act import CONFIG_MAPS
from modelops.engine.cache import ObjectCache, version_of
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.ports import Json, Refused, Resource, Unavailable
from modelops.runtime.app import KINDS
from modelops.runtime.metrics import Metrics

_log = logging.getLogger(__name__)


def watch_name(resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> str:
    """What a watch is called in the cache (`ObjectCache.age`, `.synced`) and in metrics."""
    selector = selector_of(labels)
    return f"{resource.plural}/{namespace or '*'}" + (f"?{selector}" if selector else "")


def selector_of(labels: Mapping[str, str]) -> str:
    """A label selector in the API's own form."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


@dataclass(frozen=True)
class CacheFeed:
    """A `WatchHandler` that keeps what a watch tells in the cache."""

    cache: ObjectCache
    resource: Resource
    namespace: str | None
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """The watch's name."""
        return watch_name(self.resource, self.namespace, self.labels)

    def listed(self, items: Sequence[Json], resource_version: str) -> None:
        """What is not in the list is gone."""
        self.cache.replace_all(
            self.resource,
            items,
            resource_version=resource_version,
            namespace=self.namespace,
            labels=self.labels,
        )
        self.cache.mark_synced(self.name)

    def changed(self, item: Json) -> None:
        """Added or modified."""
        self.cache.put(self.resource, item)

    def deleted(self, item: Json) -> None:
        """Gone, or no longer labelled."""
        take_deletion(self.cache, self.resource, item)

    def alive(self) -> None:
        """The watch is fresh."""
        self.cache.heard(self.name)


def take_deletion(cache: ObjectCache, resource: Resource, item: Json) -> None:
    """A DELETED event: what is held and not newer than it is gone."""
    metadata = item["metadata"]
    cache.remove(resource, metadata.get("namespace", ""), metadata["name"], version=version_of(item))


def pod_essence(pod: Json) -> Json:
    """What is kept of a Pod: who it is, its labels, whether it is ready."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp")
    ready = [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "status": {"conditions": ready},
    }


class Following:
    """Every watch of our own, and the full listings of the three kinds; kopf's watches are beside it."""

    def __init__(
        self, kube: KubeClient, cache: ObjectCache, metrics: Metrics, *, namespaces: Sequence[str]
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._metrics = metrics
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._watches: dict[str, tuple[asyncio.Task[None], CacheFeed]] = {}
        cache.listen(self._follow_pods)

    def start(self) -> None:
        """Watches the ConfigMaps that opted in; the Pods follow as AgentModels name them."""
        for namespace in self._namespaces:
            self._watch(CONFIG_MAPS, namespace, {MANAGED_LABEL: "true"})

    @property
    def missing(self) -> tuple[str, ...]:
        """Watches that have not delivered their first list."""
        return tuple(name for name in self._watches if not self._cache.synced([name]))

    async def list_kinds(self) -> None:
        """Takes in full lists of the three kinds, which finds what was deleted unseen.

        Raises:
            Unavailable, Refused: of the API server.
        """
        for resource in KINDS:
            for namespace in self._namespaces:
                items, version = await self._kube.list(resource, namespace=namespace)
                self._cache.replace_all(resource, items, resource_version=version, namespace=namespace)

    async def list_kinds_every(self, seconds: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.list_kinds()
            except (Unavailable, Refused) as error:
                _log.warning("the full listing failed, again in %.0f s: %s", seconds, error)

    async def close(self) -> None:
        """Ends all watches."""
        await self._end(list(self._watches))

    def pump(self, resource: Resource, event: str, item: Json) -> None:
        """Takes kopf's events."""
        if event == "DELETED":
            take_deletion(self._cache, resource, item)
        else:
            self._cache.put(resource, item)

    def _follow_pods(self, resource: Resource, *_: Json | None) -> None:
        """After any change of an AgentModel: exactly the Pods that AgentModels select are watched."""
        if resource != AGENT_MODELS:
            return
        wanted: dict[str, tuple[str, Mapping[str, str]]] = {}
        for agent in self._cache.list(AGENT_MODELS):
            labels = (agent["spec"]["config"].get("workloadSelector") or {}).get("matchLabels") or {}
            if labels:
                namespace = agent["metadata"]["namespace"]
                wanted[watch_name(PODS, namespace, labels)] = namespace, labels
        for namespace, labels in (wanted[name] for name in wanted.keys() - self._watches.keys()):
            self._watch(PODS, namespace, labels)
        ended = [
            name
            for name, (_task, feed) in self._watches.items()
            if feed.resource == PODS and name not in wanted
        ]
        for name in ended:
            task, feed = self._watches.pop(name)
            task.cancel()
            self._forget(feed)

    def _watch(self, resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> None:
        feed = CacheFeed(self._cache, resource, namespace, labels)
        watch = Watch(
            self._kube,
            resource,
            feed,
            namespace=namespace,
            label_selector=selector_of(labels),
            project=pod_essence if resource == PODS else lambda item: item,
        )
        name = feed.name
        self._watches[name] = asyncio.create_task(watch.run(), name=f"watch {name}"), feed
        self._metrics.watch_age(name, lambda: self._cache.age(name))

    def _forget(self, feed: CacheFeed) -> None:
        self._cache.forget_watch(feed.name)
        self._metrics.forget_watch(feed.name)
        for pod in list(self._cache.list(PODS, namespace=feed.namespace, labels=feed.labels)):
            take_deletion(self._cache, PODS, pod)

    async def _end(self, names: Iterable[str]) -> None:
        tasks = [self._watches.pop(name)[0] for name in names]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
