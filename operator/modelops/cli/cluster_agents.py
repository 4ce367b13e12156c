"""Reads agents from the API server, and writes their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, record_name
from modelops.cli.agent_snapshot import AgentSnapshot, Json, UnusableFile, find_owner, parse_snapshot
from modelops.cli.errors import CommandError, RecordChangedError
from modelops.client import AlreadyExists, AsyncClient, Conflict, NotFound, NotServed
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.nearest import did_you_mean
from modelops.domain.record import Record
from modelops.domain.record_bound import bounded_data
from modelops.domain.rollout.state import File

MAX_CONFLICTS = 20
"""How often a command reads a record again after RecordChangedError."""


class ClusterAgents:
    """The agents in the cluster. All methods raise ClientError if the API server refuses a request."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list_all(self, namespace: str | None) -> list[AgentSnapshot]:
        """Read every agent of a namespace, or of the whole cluster: AgentModels, and records without an AgentModel.

        The order of the reads matters. Records are read first, because a later write is conditional on them. The
        agents' files come before the statuses, because a status names a model before a file does.
        """
        client, everywhere = self._client, namespace is None
        found = await client.config_maps(
            namespace=namespace, label_selector=RECORD_LABEL, every_namespace=everywhere
        )
        records = {(m["metadata"]["namespace"], m["metadata"]["labels"][RECORD_LABEL]): m for m in found}
        listed = await client.agent_models.list(namespace=namespace, every_namespace=everywhere)
        files = {_key_of(item): await self._read_file(item) for item in listed.stored}
        listed = await client.agent_models.list(namespace=namespace, every_namespace=everywhere)
        agents = {_key_of(item): item for item in listed.stored}
        run_list = await client.training_runs.list(namespace=namespace, every_namespace=everywhere)
        rollout_list = await client.rollouts.list(namespace=namespace, every_namespace=everywhere)
        runs, rollouts = _by_agent(run_list.stored), _by_agent(rollout_list.stored)
        snapshots = [
            parse_snapshot(key, agents.get(key), records.get(key), files.get(key), runs[key], rollouts[key])
            for key in sorted(agents.keys() | records.keys())
        ]
        return [replace(one, owner=find_owner(one, snapshots)) for one in snapshots]

    async def list_named(self, namespace: str, names: Sequence[str]) -> list[AgentSnapshot]:
        """Read the agents with these names in a namespace; without names, all of the namespace.

        Raises:
            CommandError: there is no agent of that name, or it cannot be read.
        """
        found = await self.list_all(namespace)
        known = {one.name for one in found}
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known, none="there is none")
                raise CommandError(
                    f"namespace {namespace} has no AgentModel and no record named {name}: {hint}; or name another "
                    "namespace with -n"
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

    async def write_record(self, snapshot: AgentSnapshot, record: Record) -> None:
        """Write the record. Raises RecordChangedError if it is no longer the one of `snapshot`."""
        name, data, namespace = record_name(snapshot.name), bounded_data(record), snapshot.namespace
        try:
            if snapshot.resource_version:
                await self._client.patch_config_map(
                    name, {"data": data}, namespace=namespace, resource_version=snapshot.resource_version
                )
            else:
                labels = {RECORD_LABEL: snapshot.name, MANAGED_LABEL: "true"}
                await self._client.create_config_map(name, data, labels=labels, namespace=namespace)
        except (AlreadyExists, Conflict, NotFound, NotServed) as error:
            raise RecordChangedError from error

    async def _read_file(self, item: Json) -> File | UnusableFile:
        """Read the agents' file of an AgentModel."""
        reference, agent = item["spec"]["config"]["configMapRef"], item["spec"]["agent"]
        name, key = reference["name"], reference.get("key", "agents.yaml")
        place = f"ConfigMap {name}, key {key}"
        found = await self._client.config_map(name, namespace=item["metadata"]["namespace"])
        if found is None:
            return UnusableFile(f"{place}: it does not exist")
        data = found.get("data") or {}
        if key not in data:
            return UnusableFile(missing_key_problem(name, key, data=data, binary=found.get("binaryData")))
        try:
            return File(
                resource_version=found["metadata"]["resourceVersion"],
                text=data[key],
                entry=agentsfile.parse(data[key], agent),
                live=True,
            )
        except agentsfile.AgentsFileError as error:
            return UnusableFile(f"{place}: {error}", data[key])


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
