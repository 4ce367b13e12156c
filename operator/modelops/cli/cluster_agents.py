"""Reads agents from the API server, and writes their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kubernetes import client

from modelops.api.v1alpha1.names import GROUP, MANAGED_LABEL, RECORD_LABEL, VERSION, record_name
from modelops.cli.agent_snapshot import AgentSnapshot, Json, UnusableFile, find_owner, parse_snapshot
from modelops.cli.errors import CommandError, RecordChangedError
from modelops.cli.kube_access import which_there_are
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.record import Record
from modelops.domain.record_bound import bounded_data
from modelops.domain.rollout.state import File

FIELD_MANAGER = "modelops-cli"
MAX_CONFLICTS = 20
"""How often a command reads a record again after RecordChangedError."""


class ClusterAgents:
    """The agents in the cluster. All methods raise ApiException if the API server refuses a request."""

    def __init__(self) -> None:
        self._core = client.CoreV1Api()
        self._objects = client.CustomObjectsApi()

    def list_all(self, namespace: str | None) -> list[AgentSnapshot]:
        """Read every agent of a namespace, or of the whole cluster: AgentModels, and records without an AgentModel.

        The order of the reads matters. Records are read first, because a later write is conditional on them. The
        agents' files come before the statuses, because a status names a model before a file does.
        """
        records = {
            (m.metadata.namespace, m.metadata.labels[RECORD_LABEL]): m for m in self._list_records(namespace)
        }
        files = self._read_files(self._list("agentmodels", namespace))
        agents = {_key_of(item): item for item in self._list("agentmodels", namespace)}
        runs = _by_agent(self._list("trainingruns", namespace))
        rollouts = _by_agent(self._list("rollouts", namespace))
        snapshots = [
            parse_snapshot(key, agents.get(key), records.get(key), files.get(key), runs[key], rollouts[key])
            for key in sorted(agents.keys() | records.keys())
        ]
        return [replace(one, owner=find_owner(one, snapshots)) for one in snapshots]

    def list_named(self, namespace: str, names: Sequence[str]) -> list[AgentSnapshot]:
        """Read the agents with these names in a namespace; without names, all of the namespace.

        Raises:
            CommandError: there is no agent of that name, or it cannot be read.
        """
        found = self.list_all(namespace)
        known = {one.name for one in found}
        for name in names:
            if name not in known:
                raise CommandError(
                    f"namespace {namespace} has no AgentModel and no record named {name}: "
                    f"{which_there_are(name, known)}"
                )
        if not found:
            raise CommandError(
                f"namespace {namespace} has no AgentModel and no record: name another namespace with -n"
            )
        chosen = [one for one in found if not names or one.name in names]
        for one in chosen:
            if one.problem:
                raise CommandError(one.problem)
        return chosen

    def write_record(self, snapshot: AgentSnapshot, record: Record) -> None:
        """Write the record. Raises RecordChangedError if it is no longer the one of `snapshot`."""
        name, data = record_name(snapshot.name), bounded_data(record)
        metadata: Json = {"name": name}
        try:
            if snapshot.resource_version:
                metadata["resourceVersion"] = snapshot.resource_version
                body = {"metadata": metadata, "data": data}
                self._core.patch_namespaced_config_map(
                    name, snapshot.namespace, body, field_manager=FIELD_MANAGER
                )
            else:
                metadata["labels"] = {RECORD_LABEL: snapshot.name, MANAGED_LABEL: "true"}
                created = client.V1ConfigMap(metadata=client.V1ObjectMeta(**metadata), data=data)
                self._core.create_namespaced_config_map(
                    snapshot.namespace, created, field_manager=FIELD_MANAGER
                )
        except client.ApiException as error:
            if error.status in (404, 409):
                raise RecordChangedError from error
            raise

    def _list_records(self, namespace: str | None) -> Sequence[Any]:
        if namespace is None:
            return self._core.list_config_map_for_all_namespaces(label_selector=RECORD_LABEL).items
        return self._core.list_namespaced_config_map(namespace, label_selector=RECORD_LABEL).items

    def _list(self, plural: str, namespace: str | None) -> list[Json]:
        listed: Any = (
            self._objects.list_cluster_custom_object(GROUP, VERSION, plural)
            if namespace is None
            else self._objects.list_namespaced_custom_object(GROUP, VERSION, namespace, plural)
        )
        return list(listed["items"])

    def _read_files(self, agents: Iterable[Json]) -> dict[tuple[str, str], File | UnusableFile]:
        """Read the agents' file of each AgentModel, by namespace and name."""
        return {_key_of(item): self._read_file(item) for item in agents}

    def _read_file(self, item: Json) -> File | UnusableFile:
        reference, agent = item["spec"]["config"]["configMapRef"], item["spec"]["agent"]
        name, key = reference["name"], reference.get("key", "agents.yaml")
        place = f"ConfigMap {name}, key {key}"
        try:
            found = self._core.read_namespaced_config_map(name, item["metadata"]["namespace"])
            if key not in (found.data or {}):
                return UnusableFile(missing_key_problem(name, key, data=found.data, binary=found.binary_data))
            text = (found.data or {})[key]
            assert found.metadata is not None
            version = found.metadata.resource_version or ""
            return File(resource_version=version, text=text, entry=agentsfile.parse(text, agent), live=True)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return UnusableFile(f"{place}: it does not exist")
        except agentsfile.AgentsFileError as error:
            return UnusableFile(f"{place}: {error}", text)


def _by_agent(items: Iterable[Json]) -> defaultdict[tuple[str, str], list[Json]]:
    """Group objects by their namespace and the AgentModel in spec.agentModelRef."""
    found: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for item in items:
        reference = (item.get("spec") or {}).get("agentModelRef") or {}
        found[item["metadata"]["namespace"], str(reference.get("name"))].append(item)
    return found


def _key_of(item: Json) -> tuple[str, str]:
    """Return namespace and name."""
    return item["metadata"]["namespace"], item["metadata"]["name"]
