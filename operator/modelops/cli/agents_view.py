"""What the cluster says of agents, for commands: records with their resourceVersion, files, runs and rollouts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from kubernetes import client

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import GROUP, MANAGED_LABEL, RECORD_LABEL, VERSION, record_name
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain import agentsfile
from modelops.domain.agentmodel.state import State
from modelops.domain.digest import identity_digest
from modelops.domain.in_use import AgentInventory
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.record_bound import bounded_data
from modelops.domain.rollout.state import File

KindT = TypeVar("KindT", TrainingRun, Rollout)
Json = dict[str, Any]
FIELD_MANAGER = "modelops-cli"
MOST_CONFLICTS = 20
"""So often a record that was `Changed` is read again."""


class CannotTell(Exception):
    """Something in the cluster cannot be read, so that nothing is written; the message says what to do."""


class Changed(Exception):
    """The record is not the one that was read: read it again."""


@dataclass(frozen=True)
class BadFile:
    """An agents' file that cannot be used: why, and what is in it."""

    problem: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """One agent. `version`: the record's resourceVersion, empty where there is no record.

    `problem`: why record or AgentModel cannot be read. `opaque`: the text of everything that cannot be read.
    """

    namespace: str
    name: str
    agent_model: AgentModel | None = None
    record: Record | None = None
    version: str = ""
    file: File | None = None
    file_problem: str = ""
    older: str = ""
    """Name of an older AgentModel over the same agent in the same ConfigMap: that one owns it."""
    runs: dict[str, TrainingRun] = field(default_factory=dict)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    problem: str = ""
    opaque: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As `modelops.json` names the AgentModel."""
        return f"{self.namespace}/{self.name}"

    def observed(self, now: datetime) -> State:
        """As the operator sees it, for its own way to rebuild a record."""
        assert self.agent_model is not None
        return State(
            now=now,
            agent_model=self.agent_model,
            record=self.record,
            file=self.file,
            rollouts=self.rollouts,
            runs=self.runs,
            live=True,
        )

    def scene(self) -> AgentInventory:
        """For what is in use."""
        return AgentInventory(
            name=self.name,
            agent_model=self.agent_model,
            record=self.record,
            file=self.file.entry if self.file else None,
            runs=tuple(self.runs.values()),
            rollouts=tuple(self.rollouts.values()),
            unreadable=self.unreadable,
            opaque=self.opaque,
        )


class Agents:
    """Reads agents from the API server. Methods raise ApiException, and CannotTell where they say so."""

    def __init__(self) -> None:
        self._core = client.CoreV1Api()
        self._objects = client.CustomObjectsApi()

    def all(self, namespace: str | None) -> list[View]:
        """Of a namespace, or of the whole cluster: AgentModels, and records whose AgentModel is gone.

        Records first: what is written later is conditional on them. Then the agents' files, and only then
        statuses: what a file names was intended in a status before.
        """
        records = {
            (m.metadata.namespace, m.metadata.labels[RECORD_LABEL]): m for m in self._records(namespace)
        }
        files = self._files(self._list("agentmodels", namespace))
        agents = {key_of(item): item for item in self._list("agentmodels", namespace)}
        runs = by_agent(self._list("trainingruns", namespace))
        rollouts = by_agent(self._list("rollouts", namespace))
        views = [
            view(key, agents.get(key), records.get(key), files.get(key), runs[key], rollouts[key])
            for key in sorted(agents.keys() | records.keys())
        ]
        return [replace(one, older=older_than(one, views)) for one in views]

    def named(self, namespace: str, names: Sequence[str]) -> list[View]:
        """Those of a namespace; all without a name.

        Raises:
            CannotTell: there is none of that name, or it cannot be read.
        """
        found = self.all(namespace)
        known = {one.name for one in found}
        for name in names:
            if name not in known:
                there = f"there are {', '.join(sorted(known))}" if known else "there are none"
                raise CannotTell(f"no AgentModel and no record {name} in namespace {namespace}: {there}")
        if not found:
            raise CannotTell(f"no AgentModel and no record in namespace {namespace}: name another with -n")
        chosen = [one for one in found if not names or one.name in names]
        for one in chosen:
            if one.problem:
                raise CannotTell(one.problem)
        return chosen

    def write(self, seen: View, record: Record) -> None:
        """Raises Changed where the record is not the one of `seen` any more."""
        name, data = record_name(seen.name), bounded_data(record)
        metadata: Json = {"name": name}
        try:
            if seen.version:
                metadata["resourceVersion"] = seen.version
                body = {"metadata": metadata, "data": data}
                self._core.patch_namespaced_config_map(
                    name, seen.namespace, body, field_manager=FIELD_MANAGER
                )
            else:
                metadata["labels"] = {RECORD_LABEL: seen.name, MANAGED_LABEL: "true"}
                made = client.V1ConfigMap(metadata=client.V1ObjectMeta(**metadata), data=data)
                self._core.create_namespaced_config_map(seen.namespace, made, field_manager=FIELD_MANAGER)
        except client.ApiException as error:
            if error.status in (404, 409):
                raise Changed from error
            raise

    def _records(self, namespace: str | None) -> Sequence[Any]:
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

    def _files(self, agents: Iterable[Json]) -> dict[tuple[str, str], File | BadFile]:
        """The agents' file of each, or what is wrong with it."""
        return {key_of(item): self._file(item) for item in agents}

    def _file(self, item: Json) -> File | BadFile:
        reference, agent = item["spec"]["config"]["configMapRef"], item["spec"]["agent"]
        name, key = reference["name"], reference.get("key", "agents.yaml")
        where = f"ConfigMap {name}, key {key}"
        try:
            found = self._core.read_namespaced_config_map(name, item["metadata"]["namespace"])
            text = (found.data or {})[key]
            assert found.metadata is not None
            version = found.metadata.resource_version or ""
            return File(resource_version=version, text=text, entry=agentsfile.parse(text, agent), live=True)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return BadFile(f"{where}: it does not exist")
        except KeyError:
            return BadFile(f"{where}: there is no such key")
        except agentsfile.AgentsFileError as error:
            return BadFile(f"{where}: {error}", text)


def view(
    key: tuple[str, str],
    agent: Json | None,
    record: Any,
    file: File | BadFile | None,
    runs: list[Json],
    rollouts: list[Json],
) -> View:
    """What can be read of one agent, and what cannot."""
    namespace, name = key
    stored, model, problem, opaque = None, None, "", list[str]()
    if record is not None:
        try:
            stored = Record.from_data(record.data or {})
        except MalformedRecord as error:
            opaque += (record.data or {}).values()
            problem = f"ConfigMap {record_name(name)} in {namespace}: {error}; restore it from a backup, or delete it "
            problem += "to have it rebuilt"
    if agent is not None:
        found = read(AgentModel, agent)
        model = found.value
        if model is None:
            opaque.append(json.dumps(agent))
            problem = f"AgentModel {name} in {namespace} cannot be read: {'; '.join(found.problems)}"
    if isinstance(file, BadFile):
        opaque.append(file.text)
    own_runs, unread_runs = typed(TrainingRun, runs)
    own_rollouts, unread_rollouts = typed(Rollout, rollouts)
    unread = (*unread_runs, *unread_rollouts)
    return View(
        namespace=namespace,
        name=name,
        agent_model=model,
        record=stored,
        version=record.metadata.resource_version if record is not None else "",
        file=file if isinstance(file, File) else None,
        file_problem=file.problem if isinstance(file, BadFile) else "",
        runs=own_runs,
        rollouts=own_rollouts,
        unreadable=tuple(item["metadata"]["uid"] for item in unread_runs),
        problem=problem,
        opaque=(*opaque, *(json.dumps(item) for item in unread)),
    )


def older_than(one: View, views: Iterable[View]) -> str:
    """As the operator decides it: the oldest of those over one target owns it. Empty where it is this one."""
    rivals = [
        other
        for other in views
        if other.agent_model is not None and (other.namespace, target(other)) == (one.namespace, target(one))
    ]
    oldest = min(rivals, key=age, default=one)
    return oldest.name if one.agent_model is not None and oldest.name != one.name else ""


def target(one: View) -> tuple[str, str]:
    """The agent and the ConfigMap with its file."""
    spec = one.agent_model.spec if one.agent_model else None
    return (spec.agent, spec.config.config_map_ref.name) if spec else ("", "")


def age(one: View) -> tuple[str, str]:
    assert one.agent_model is not None
    return str(one.agent_model.metadata.creation_timestamp), one.agent_model.metadata.uid


def typed(kind: type[KindT], items: list[Json]) -> tuple[dict[str, KindT], list[Json]]:
    """Objects by identity, and those that cannot be read."""
    found, unread = {}, []
    for item in items:
        value = read(kind, item).value
        if value is None:
            unread.append(item)
            continue
        identity = identity_digest(kind=kind.__name__, name=item["metadata"]["name"], spec=item["spec"])
        found[identity] = value
    return found, unread


def by_agent(items: Iterable[Json]) -> defaultdict[tuple[str, str], list[Json]]:
    """By namespace and the AgentModel that they name."""
    found: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for item in items:
        reference = (item.get("spec") or {}).get("agentModelRef") or {}
        found[item["metadata"]["namespace"], str(reference.get("name"))].append(item)
    return found


def key_of(item: Json) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
