"""Watches and lists that fill the cache: labelled ConfigMaps, the agents' Pods, and full lists of the three kinds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelops.adapters.kube import KubeClient, Watch
from modelops.api.v1alpha1.names import MANAGED_LABEL, STOP_ALL_CONFIG_MAP, STOP_CONFIG_MAP
from modelops.engine.cache import ObjectCache, version_of
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.ports import Json, Refused, Resource, Unavailable
from modelops.runtime.kopf_app import KINDS
from modelops.runtime.metrics import Metrics
from modelops.runtime.namespaces import WorkNamespaces
from modelops.runtime.stop_watch import StopUpdater

PUT_AT_ONCE = 100
_log = logging.getLogger(__name__)


def watch_name(resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> str:
    """The name of a watch in the cache (`ObjectCache.age`, `.synced`) and in metrics."""
    selector = format_selector(labels)
    return f"{resource.plural}/{namespace or '*'}" + (f"?{selector}" if selector else "")


def format_selector(labels: Mapping[str, str]) -> str:
    """A label selector in the form of the Kubernetes API."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


@dataclass(frozen=True)
class CacheUpdater:
    """A `WatchHandler` that writes the objects of a watch into the cache."""

    cache: ObjectCache
    resource: Resource
    namespace: str | None
    labels: Mapping[str, str]
    field_selector: str = ""

    @property
    def name(self) -> str:
        """The watch's name."""
        return watch_name(self.resource, self.namespace, self.labels)

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        """Replaces the objects in the cache by those of a list, with pauses in which other work gets its turn."""
        for number, item in enumerate(items, start=1):
            self.cache.put(self.resource, item)
            if number % PUT_AT_ONCE == 0:
                await asyncio.sleep(0)
        self.cache.replace_all(
            self.resource,
            items,
            resource_version=resource_version,
            namespace=self.namespace,
            labels=self.labels,
        )
        self.cache.mark_synced(self.name)

    def changed(self, item: Json) -> None:
        """Stores an added or modified object."""
        self.cache.put(self.resource, item)

    def deleted(self, item: Json) -> None:
        """Removes an object that was deleted or is no longer selected."""
        apply_deletion(self.cache, self.resource, item)

    def alive(self) -> None:
        """Notes that the server sent something."""
        self.cache.heard(self.name)


def apply_deletion(cache: ObjectCache, resource: Resource, item: Json) -> None:
    """Removes the object from the cache, unless the cache has a newer version of it."""
    metadata = item["metadata"]
    cache.remove(resource, metadata.get("namespace", ""), metadata["name"], version=version_of(item))


def reduce_pod(pod: Json) -> Json:
    """The parts of a Pod that are kept: its identity, labels and readiness, and the ConfigMaps that it mounts."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp")
    ready = [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "fixedConfigMaps": fixed_config_maps(pod.get("spec") or {}),
        "environmentConfigMaps": environment_config_maps(pod.get("spec") or {}),
        "mountedConfigMaps": mounted_config_maps(pod.get("spec") or {}),
        "status": {"conditions": ready, **({"phase": status["phase"]} if "phase" in status else {})},
    }


@dataclass(frozen=True)
class _RunningWatch:
    watch: Watch
    task: asyncio.Task[None]
    updater: CacheUpdater | StopUpdater


def fixed_config_maps(spec: Json) -> list[str]:
    """The ConfigMaps that a container mounts with subPath, without the router's watch of the same ConfigMap.

    Kubernetes never updates a file that is mounted with subPath (https://kubernetes.io/docs/concepts/storage/volumes).
    An init container counts that runs on beside the others (`restartPolicy: Always`); any other has ended before.
    """
    sources = _config_maps_of_volumes(spec)
    return sorted(
        {
            name
            for container in _running_containers(spec)
            if not _watch_is_unknown(container)
            for mount in container.get("volumeMounts") or ()
            if _is_fixed(mount)
            for name in sources.get(mount["name"], set()) - _watched_by(container)
        }
    )


def _running_containers(spec: Json) -> list[Json]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def environment_config_maps(spec: Json) -> list[str]:
    """What containers have of ConfigMaps in variables alone, `name/key` or `name/*`; they never see a change of it.

    A container that also mounts the ConfigMap, or whose router watches it or may watch it, is left out.
    """
    sources = _config_maps_of_volumes(spec)
    found = set()
    for container in _running_containers(spec):
        mounts = container.get("volumeMounts") or ()
        seen = {n for m in mounts if not _is_fixed(m) for n in sources.get(m["name"], set())}
        seen |= _watched_by(container)
        named = [(v.get("valueFrom") or {}).get("configMapKeyRef") or {} for v in container.get("env") or ()]
        whole = [source.get("configMapRef") or {} for source in container.get("envFrom") or ()]
        if any("valueFrom" in e for e in _watch_variables(container)):
            continue
        others = {part.get("name", "") for part in whole}
        for part in (*named, *({**part, "key": "*"} for part in whole)):
            name = part.get("name", "")
            if name and name not in seen and others <= {name}:
                found.add(f"{name}/{part.get('key', '')}")
    return sorted(found)


def mounted_config_maps(spec: Json) -> list[str]:
    """The ConfigMaps that a container mounts so that they change there, and whose router is not known to watch them."""
    sources = _config_maps_of_volumes(spec)
    return sorted(
        {
            name
            for container in _running_containers(spec)
            for mount in container.get("volumeMounts") or ()
            if not _is_fixed(mount)
            for name in sources.get(mount["name"], set()) - _watched_by(container)
        }
    )


def _config_maps_of_volumes(spec: Json) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for volume in spec.get("volumes") or ():
        parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        found[volume["name"]] = {p["configMap"].get("name", "") for p in parts if p.get("configMap")}
    return found


def _is_fixed(mount: Json) -> bool:
    return bool(mount.get("subPath") or mount.get("subPathExpr"))


def _watch_variables(container: Json) -> list[Json]:
    return [e for e in container.get("env") or () if e["name"] == "MODELOPS_CONFIGMAP"]


def _watched_by(container: Json) -> set[str]:
    """The ConfigMap that the container's router watches, as far as its variables say it."""
    return {e.get("value", "") for e in _watch_variables(container)}


def _watch_is_unknown(container: Json) -> bool:
    """Whether the router may watch a ConfigMap whose name is not in the Pod's spec."""
    return bool(container.get("envFrom")) or any("valueFrom" in e for e in _watch_variables(container))


class ClusterWatches:
    """The watches of ConfigMaps and Pods, and the full lists of the three kinds, which kopf watches."""

    def __init__(
        self,
        kube: KubeClient,
        cache: ObjectCache,
        metrics: Metrics,
        *,
        namespaces: WorkNamespaces,
        home: str = "",
    ) -> None:
        """`home`: the operator's namespace, in which the stop of all agents is."""
        self._home = home
        self._kube = kube
        self._cache = cache
        self._metrics = metrics
        self._namespaces = namespaces
        self._watches: dict[str, _RunningWatch] = {}
        cache.listen(self._update_pod_watches)

    def start(self) -> None:
        """Starts the watch of labelled ConfigMaps. Watches of Pods start when AgentModels select Pods."""
        for namespace in self._namespaces.selectors:
            self._watch(CONFIG_MAPS, namespace, {MANAGED_LABEL: "true"})
            self._follow(StopUpdater(self._cache, namespace, STOP_CONFIG_MAP))
        if self._home:
            self._follow(StopUpdater(self._cache, self._home, STOP_ALL_CONFIG_MAP))

    @property
    def unsynced(self) -> tuple[str, ...]:
        """Names of the watches that have not delivered their first list."""
        return tuple(name for name in self._watches if not self._cache.synced([name]))

    @property
    def problems(self) -> tuple[str, ...]:
        """The watches that deliver nothing at the moment, each with the reason."""
        return tuple(
            f"watch {name}: {running.watch.problem or 'it ended'}"
            for name, running in self._watches.items()
            if running.watch.problem or running.task.done()
        )

    async def relist(self) -> None:
        """Lists the three kinds completely, which finds objects whose deletion was missed.

        A namespace whose list is refused is left out from then on; its objects stay in the cache as they are.

        Raises:
            Unavailable, Refused: the API server did not answer a list, or refused those of all namespaces.
        """
        refusals: dict[str | None, Refused] = {}
        for namespace in self._namespaces.selectors:
            try:
                for resource in KINDS:
                    items, version = await self._kube.list(resource, namespace=namespace)
                    self._cache.replace_all(resource, items, resource_version=version, namespace=namespace)
            except Refused as error:
                refusals[namespace] = error
        for namespace in self._namespaces.leave_out(refusals):
            for name in [n for n, running in self._watches.items() if running.updater.namespace == namespace]:
                self._end_watch(name)

    async def relist_every(self, seconds: float) -> None:
        """Repeats `relist` every `seconds` until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.relist()
            except (Unavailable, Refused) as error:
                _log.warning(
                    "the full list of the three kinds failed and is repeated in %.0f s: %s", seconds, error
                )

    def apply_event(self, resource: Resource, event: str, item: Json) -> None:
        """Applies an event from kopf to the cache."""
        if event == "DELETED":
            apply_deletion(self._cache, resource, item)
        else:
            self._cache.put(resource, item)

    def _update_pod_watches(self, resource: Resource, *_: Json | None) -> None:
        """After a change of an AgentModel, starts and ends watches, so that exactly the selected Pods are watched."""
        if resource != AGENT_MODELS:
            return
        wanted: dict[str, tuple[str, Mapping[str, str]]] = {}
        for agent in self._cache.list(AGENT_MODELS):
            labels = (agent["spec"]["config"].get("workloadSelector") or {}).get("matchLabels") or {}
            namespace = agent["metadata"]["namespace"]
            if labels and self._namespaces.has(namespace):
                wanted[watch_name(PODS, namespace, labels)] = namespace, labels
        for namespace, labels in (wanted[name] for name in wanted.keys() - self._watches.keys()):
            self._watch(PODS, namespace, labels)
        ended = [
            name
            for name, running in self._watches.items()
            if running.updater.resource == PODS and name not in wanted
        ]
        for name in ended:
            self._remove_pods_of(self._end_watch(name))

    def _end_watch(self, name: str) -> CacheUpdater | StopUpdater:
        running = self._watches.pop(name)
        running.task.cancel()
        self._cache.forget_watch(name)
        self._metrics.forget_watch(name)
        return running.updater

    def _watch(self, resource: Resource, namespace: str | None, labels: Mapping[str, str]) -> None:
        self._follow(CacheUpdater(self._cache, resource, namespace, labels))

    def _follow(self, updater: CacheUpdater | StopUpdater) -> None:
        watch = Watch(
            self._kube,
            updater.resource,
            updater,
            namespace=updater.namespace,
            label_selector=format_selector(updater.labels),
            field_selector=updater.field_selector,
            project=reduce_pod if updater.resource == PODS else lambda item: item,
        )
        name = updater.name
        task = asyncio.create_task(watch.run(), name=f"watch {name}")
        self._watches[name] = _RunningWatch(watch, task, updater)
        self._metrics.watch_age(name, lambda: self._cache.age(name))

    def _remove_pods_of(self, updater: CacheUpdater | StopUpdater) -> None:
        for pod in list(self._cache.list(PODS, namespace=updater.namespace, labels=updater.labels)):
            apply_deletion(self._cache, PODS, pod)

    async def close(self) -> None:
        """Ends all watches."""
        tasks = [running.task for running in self._watches.values()]
        self._watches.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
