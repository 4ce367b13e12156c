"""Touches the agents' Pods after a change of the agents' file: see `domain.pod_touch`. No decision waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import ROUTING_GENERATION
from modelops.domain.pod_touch import MountingPod, annotation_value, is_everywhere, pods_to_touch
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.ports import Conflict, Json, Kube, Missing, NotLeader, Refused, Reports, Unavailable, Uncertain

AT_ONCE = 16
"""Pods that are patched at the same time, of all agents together."""
TRIES = 3
"""Patches of one Pod that changes meanwhile; after that the next reconcile tries again."""
_log = logging.getLogger(__name__)


@dataclass
class _Change:
    """One generation of one agent, and what became of its patches."""

    generation: str
    sent: set[str] = field(default_factory=set)
    """Uids of Pods; one whose patch must be tried again is taken out."""
    patched: int = 0
    refused: bool = False


class PodTouches:
    """Patches one annotation of Pods in the background, at most `AT_ONCE` at a time.

    Nothing depends on it: a Pod that was not touched follows within about a minute. A refusal, as missing rights make
    it, is said once for each agent, in the log and by an Event, and ends the patches of that generation.
    """

    def __init__(self, reader: ClusterReader, kube: Kube, reports: Reports, *, enabled: bool = True) -> None:
        self._reader = reader
        self._kube = kube
        self._reports = reports
        self._enabled = enabled
        self._free = asyncio.Semaphore(AT_ONCE)
        self._changes: dict[tuple[str, str], _Change] = {}
        self._told: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(
        self, namespace: str, agent: AgentModel | None, *, config_map: str, generation: int | None
    ) -> None:
        """Touches the Pods that need it. `generation`: of the file's routing; None where the file has none.

        It returns at once and costs nothing where no Pod needs it, so it may be called at each reconcile.
        """
        now = self._reader.clock.now()
        if not self._enabled or agent is None or is_everywhere(generation, now):
            return  # Before any Pod is looked at: this is so at nearly every reconcile.
        pods = self._reader.mounting_pods(namespace, agent, config_map)
        if not pods:
            return
        unconfirmed = self._reports.unconfirmed(
            namespace, agent.spec.agent, generation=generation or 0, pods=[pod.name for pod in pods]
        )
        wanted = pods_to_touch(pods, generation=generation, unconfirmed=unconfirmed, now=now)
        if not wanted:
            return
        key, value = (namespace, agent.metadata.name), annotation_value(generation)
        change = self._changes.get(key)
        if change is None or change.generation != value:
            change = self._changes[key] = _Change(value)
        for pod in wanted:
            if pod.uid not in change.sent and not change.refused:
                change.sent.add(pod.uid)
                self._begin(self._touch(key, pod, change))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _touch(self, key: tuple[str, str], pod: MountingPod, change: _Change) -> None:
        async with self._free:
            if change.refused or self._changes.get(key) is not change:
                return
            try:
                await self._patch(key[0], pod, change.generation)
            except Missing:
                return
            except Refused as error:
                await self._tell(key, pod, change, error)
            except (Conflict, Unavailable, Uncertain, NotLeader) as error:
                change.sent.discard(pod.uid)
                _log.debug("Pod %s/%s was not touched: %s", key[0], pod.name, error)
            else:
                change.patched += 1
                self._told.discard(key)

    async def _patch(self, namespace: str, pod: MountingPod, value: str) -> None:
        """Raises the error of the last try. A Pod of the same name that is another one is left alone."""
        version = pod.resource_version
        for left in reversed(range(TRIES)):
            metadata = {
                "uid": pod.uid,
                "resourceVersion": version,
                "annotations": {ROUTING_GENERATION: value},
            }
            try:
                await self._kube.patch(PODS, namespace, pod.name, {"metadata": metadata})
                return
            except Conflict:
                live = await self._kube.get(PODS, namespace, pod.name)
                if live is None or live["metadata"]["uid"] != pod.uid:
                    return
                if not left:
                    raise
                version = live["metadata"]["resourceVersion"]

    async def _tell(self, key: tuple[str, str], pod: MountingPod, change: _Change, error: Refused) -> None:
        """Says a refusal once, until a patch succeeds again. Only where none succeeded it ends the rest."""
        change.refused = change.patched == 0
        if key in self._told:
            return
        self._told.add(key)
        namespace, name = key
        message = (
            f"Pod {pod.name} cannot be touched, so its mounted agents' file follows a change in about a minute, not "
            f"in a second: {str(error).rstrip('.')}. Allow the operator to patch pods, or set MODELOPS_TOUCH_PODS=false"
        )
        _log.warning("%s", message, extra={"kind": "AgentModel", "namespace": namespace, "object": name})
        item: Json | None = self._reader.cache.get(AGENT_MODELS, namespace, name)
        if item is not None:
            await self._kube.event(item, reason="PodsNotTouched", message=message, warning=True)

    def close(self) -> None:
        """Ends the patches that are under way; called in the event loop."""
        for task in list(self._tasks):
            task.cancel()
