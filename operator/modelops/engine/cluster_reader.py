"""Reads the cluster for every reconciler in the same way: our kinds, the record, the agents' file, the agents' Pods."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, ROUTING_GENERATION, record_name
from modelops.api.v1alpha1.reading import KindT, read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.digest import identity_digest
from modelops.domain.pod_touch import MountingPod
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.rollout.state import File
from modelops.engine.cache import ObjectCache, version_of
from modelops.engine.event_mapping import agent_model_of
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.latest_version import LatestVersion
from modelops.engine.resources import AGENT_MODELS, PODS, ROLLOUTS, TRAINING_RUNS, is_managed
from modelops.engine.stops import StopReader
from modelops.ports import Clock, Json, Kube, Resource

SUB_PATH_REMEDY = (
    "mount the whole volume without subPath, or let the router watch the ConfigMap by the variable "
    "MODELOPS_CONFIGMAP"
)
READ_AT_ONCE = 100
"""Objects that are read before other work of the event loop gets its turn; the first reading takes 1.5 ms each."""


def _first_and_more(pods: Sequence[Json]) -> str:
    names = sorted(pod["metadata"]["name"] for pod in pods)
    return f"Pod {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"


@lru_cache(maxsize=256)
def _parse_file(text: str, agent: str) -> agentsfile.AgentEntry | agentsfile.AgentsFileError:
    """The entry, or what is wrong: reading a large file takes seconds where it is wrong, too."""
    try:
        return agentsfile.parse(text, agent)
    except agentsfile.AgentsFileError as error:
        return error


class ClusterReader:
    """Reads from the cache that the watches fill, and from the API server where that is asked. Writes nothing.

    Errors of a live read are those of `ports.Kube`.
    """

    def __init__(
        self, kube: Kube, cache: ObjectCache, clock: Clock, *, stops: StopReader | None = None
    ) -> None:
        self.cache = cache
        self.stops = stops or StopReader(kube, cache)
        self.clock = clock
        self._kube = kube
        self._objects: LatestVersion[object] = LatestVersion()
        self._records: LatestVersion[Record] = LatestVersion()
        self._identities: LatestVersion[str] = LatestVersion()

    def parsed(self, kind: type[KindT], item: Json) -> KindT | None:
        """The typed object; None where it cannot be read (an older schema). It is shared: never change it."""
        metadata = item["metadata"]
        found = self._objects.get(
            metadata["uid"], metadata["resourceVersion"], lambda: read(kind, item).value
        )
        return found if isinstance(found, kind) else None

    def identity(self, item: Json) -> str:
        """The digest that makes a re-created object the same one; it changes with the spec alone."""
        metadata = item["metadata"]
        return self._identities.get(
            metadata["uid"],
            metadata["generation"],
            lambda: identity_digest(kind=item["kind"], name=metadata["name"], spec=item["spec"]),
        )

    async def raw(self, resource: Resource, namespace: str, name: str, *, live: bool = False) -> Json | None:
        """The object from the cache, or read live where it is not there or must be.

        A ConfigMap without the label is not kept: the watch selects by it, so no event would tell that it has changed.
        """
        before = self.cache.get(resource, namespace, name)
        if before is not None and not live:
            return before
        answer = await self._kube.get(resource, namespace, name)
        if answer is None:
            self.cache.confirm_absent(resource, namespace, name, before=before)
            return None
        if resource == CONFIG_MAPS and not is_managed(answer):
            self.cache.remove(resource, namespace, name, version=version_of(answer))
            return answer
        self.cache.put(resource, answer)
        return self.cache.get(resource, namespace, name) or answer

    async def refresh(self, resource: Resource, namespace: str) -> None:
        """Lists the objects of the namespace live, into the cache."""
        items, version = await self._kube.list(resource, namespace=namespace)
        self.cache.replace_all(resource, items, resource_version=version, namespace=namespace)

    def agent_model(self, namespace: str, name: str) -> AgentModel | None:
        """The AgentModel as the watch has it."""
        item = self.cache.get(AGENT_MODELS, namespace, name)
        return self.parsed(AgentModel, item) if item is not None else None

    async def runs_of(self, namespace: str, agent_model: str) -> dict[str, TrainingRun]:
        """The TrainingRuns that name the AgentModel, by identity."""
        return await self._by_identity(TrainingRun, TRAINING_RUNS, namespace, agent_model)

    async def rollouts_of(self, namespace: str, agent_model: str) -> dict[str, Rollout]:
        """The Rollouts that name the AgentModel, by identity."""
        return await self._by_identity(Rollout, ROLLOUTS, namespace, agent_model)

    async def _by_identity(
        self, kind: type[KindT], resource: Resource, namespace: str, agent_model: str
    ) -> dict[str, KindT]:
        """The readable objects that name the AgentModel. Reading thousands for the first time takes seconds."""
        found: dict[str, KindT] = {}
        for number, item in enumerate(self.cache.list(resource, namespace=namespace), start=1):
            if number % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
            value = self.parsed(kind, item) if agent_model_of(item) == agent_model else None
            if value is not None:
                found[self.identity(item)] = value
        return found

    def unreadable_rollouts(self, namespace: str) -> frozenset[str]:
        """Uids of the Rollouts that an older or newer schema let in and that cannot be read."""
        return frozenset(
            item["metadata"]["uid"]
            for item in self.cache.list(ROLLOUTS, namespace=namespace)
            if self.parsed(Rollout, item) is None
        )

    async def record(self, namespace: str, agent_model: str) -> tuple[Json | None, Record | None, str]:
        """The record's ConfigMap, the record, and why it cannot be read where it cannot."""
        item = await self.raw(CONFIG_MAPS, namespace, record_name(agent_model))
        if item is None:
            return None, None, ""
        try:
            return item, self.parsed_record(item), ""
        except MalformedRecord as error:
            return (
                item,
                None,
                (
                    f"ConfigMap {record_name(agent_model)}: {error}. Restore it from a backup, or delete it "
                    "to have it rebuilt"
                ),
            )

    def parsed_record(self, item: Json) -> Record:
        """The record in its ConfigMap. Raises MalformedRecord."""
        uid, version = item["metadata"]["uid"], item["metadata"]["resourceVersion"]
        return self._records.get(uid, version, lambda: Record.from_data(item.get("data") or {}))

    async def file(
        self, namespace: str, config_map: str, key: str, agent: str, *, live: bool = False
    ) -> tuple[Json | None, File | None, str]:
        """The agents' ConfigMap, the file as it reads, and what is wrong with it."""
        item = await self.raw(CONFIG_MAPS, namespace, config_map, live=live)
        if item is None:
            return (
                None,
                None,
                f"ConfigMap {config_map} (spec.config.configMapRef) does not exist in namespace {namespace}: "
                f"create it with the label {MANAGED_LABEL}=true and the agents' file under the key {key}",
            )
        if not is_managed(item):
            return (
                item,
                None,
                (
                    f"ConfigMap {config_map} (spec.config.configMapRef) does not carry the label "
                    f"{MANAGED_LABEL}=true: "
                    f"add it to let the operator write the file"
                ),
            )
        if item.get("immutable"):
            return (
                item,
                None,
                f"ConfigMap {config_map} (spec.config.configMapRef) is immutable, so the operator cannot write the "
                "file: delete it and create it again without `immutable: true`",
            )
        text = (item.get("data") or {}).get(key)
        if text is None:
            binary = item.get("binaryData")
            return item, None, missing_key_problem(config_map, key, data=item.get("data"), binary=binary)
        entry = _parse_file(text, agent)
        if isinstance(entry, agentsfile.AgentsFileError):
            return item, None, f"ConfigMap {config_map}, key {key} (spec.config.configMapRef): {entry}"
        version = item["metadata"]["resourceVersion"]
        return item, File(resource_version=version, text=text, entry=entry, live=live), ""

    def entry(self, item: Json | None, key: str, agent: str) -> agentsfile.AgentEntry | None:
        """What the ConfigMap says of the agent, also where the file may not be written; empty without such an agent.

        None where it cannot be read: the file is malformed, or is not under the key.
        """
        text = ((item or {}).get("data") or {}).get(key)
        entry = _parse_file(text, agent) if text is not None else None
        if isinstance(entry, agentsfile.UnknownAgent):
            return agentsfile.AgentEntry()
        return entry if isinstance(entry, agentsfile.AgentEntry) else None

    def expected_pods(self, namespace: str, agent: AgentModel | None) -> Sequence[str] | None:
        """Names of the ready Pods that run the agent and are not being deleted; None without a selector."""
        selector = agent.spec.config.workload_selector if agent else None
        if selector is None:
            return None
        return tuple(
            pod["metadata"]["name"]
            for pod in self.cache.list(PODS, namespace=namespace, labels=selector.match_labels)
            if not pod["metadata"].get("deletionTimestamp")
            and any(
                condition.get("type") == "Ready" and condition.get("status") == "True"
                for condition in (pod.get("status") or {}).get("conditions") or ()
            )
        )

    def present_pods(self, namespace: str, agent: AgentModel | None) -> Sequence[str] | None:
        """Names of all Pods of the agent, also those that are not ready or are being deleted; None without a selector.

        The API server forgets a Pod when its kubelet has ended all its containers.
        """
        selector = agent.spec.config.workload_selector if agent else None
        if selector is None:
            return None
        found = self.cache.list(PODS, namespace=namespace, labels=selector.match_labels)
        return tuple(pod["metadata"]["name"] for pod in found)

    def mounting_pods(self, namespace: str, agent: AgentModel, config_map: str) -> tuple[MountingPod, ...]:
        """The running Pods of the agent that have the file by a mount alone; none without a selector."""
        selector = agent.spec.config.workload_selector
        if selector is None:
            return ()
        return tuple(
            MountingPod(
                name=pod["metadata"]["name"],
                uid=pod["metadata"]["uid"],
                resource_version=pod["metadata"]["resourceVersion"],
                touched_for=(pod["metadata"].get("annotations") or {}).get(ROUTING_GENERATION, ""),
            )
            for pod in self.cache.list(PODS, namespace=namespace, labels=selector.match_labels)
            if config_map in (pod.get("mountedConfigMaps") or ())
            and pod["status"].get("phase") == "Running"
            and not pod["metadata"].get("deletionTimestamp")
        )

    def mount_problem(self, namespace: str, agent: AgentModel | None, config_map: str) -> str:
        """Why Pods of the agent never see a change of the file; empty where none is known to miss it."""
        selector = agent.spec.config.workload_selector if agent else None
        if selector is None:
            return ""
        key = agent.spec.config.config_map_ref.key if agent else ""
        in_variables = {f"{config_map}/{key}", f"{config_map}/*"}
        pods = list(self.cache.list(PODS, namespace=namespace, labels=selector.match_labels))
        mounting = [pod for pod in pods if config_map in (pod.get("fixedConfigMaps") or ())]
        reading = [pod for pod in pods if in_variables & set(pod.get("environmentConfigMaps") or ())]
        if mounting:
            return (
                f"{_first_and_more(mounting)} (spec.config.workloadSelector) mounts ConfigMap {config_map} with "
                f"subPath, so a change never reaches it: {SUB_PATH_REMEDY}"
            )
        if reading:
            return (
                f"{_first_and_more(reading)} (spec.config.workloadSelector) has key {key} of ConfigMap {config_map} in "
                "an environment variable, so a change never reaches it: mount the ConfigMap as a volume and set "
                "MODELOPS_AGENTS_FILE to the file, or let the router watch the ConfigMap by the variable "
                "MODELOPS_CONFIGMAP"
            )
        return ""

    def older_owner(self, agent: AgentModel | None) -> str:
        """Name of an older AgentModel over the same agent in the same ConfigMap; empty: there is none."""
        if agent is None:
            return ""

        def age(of: AgentModel) -> tuple[str, str]:
            return str(of.metadata.creation_timestamp), of.metadata.uid

        def target(of: AgentModel) -> tuple[str, str]:
            return of.spec.agent, of.spec.config.config_map_ref.name

        for item in self.cache.list(AGENT_MODELS, namespace=agent.metadata.namespace):
            other = self.parsed(AgentModel, item)
            if other is None or other.metadata.uid == agent.metadata.uid or target(other) != target(agent):
                continue
            if age(other) < age(agent):
                return other.metadata.name
        return ""

    def record_reference(self, namespace: str, agent_model: str) -> tuple[str, str, Mapping[str, str]]:
        """Where the record is written."""
        return namespace, record_name(agent_model), {RECORD_LABEL: agent_model}
