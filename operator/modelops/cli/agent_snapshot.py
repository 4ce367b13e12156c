"""A snapshot of one agent in the cluster: its AgentModel, record, agents' file, TrainingRuns and Rollouts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import record_name
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.state import State
from modelops.domain.digest import identity_digest
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.repositories_in_use import AgentInventory
from modelops.domain.rollout.state import File

KindT = TypeVar("KindT", TrainingRun, Rollout)
Json = dict[str, Any]


@dataclass(frozen=True)
class UnusableFile:
    """An agents' file that cannot be used. `problem`: why. `text`: its content, empty if it does not exist."""

    problem: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class AgentSnapshot:
    """One agent, with everything that could be read of it.

    `resource_version`: of the record's ConfigMap, empty if there is no record. `problem`: why the record or the
    AgentModel cannot be read. `unreadable_texts`: the content of every object that cannot be read.
    """

    namespace: str
    name: str
    agent_model: AgentModel | None = None
    record: Record | None = None
    resource_version: str = ""
    file: File | None = None
    file_problem: str = ""
    owner: str = ""
    """Name of an older AgentModel for the same agent in the same ConfigMap, which owns it; empty if there is none."""
    runs: dict[str, TrainingRun] = field(default_factory=dict)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    unreadable_runs: tuple[str, ...] = ()
    """The uids of TrainingRuns that cannot be read."""
    problem: str = ""
    unreadable_texts: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Namespace and name, as `modelops.json` names the AgentModel."""
        return f"{self.namespace}/{self.name}"

    def state(self, now: datetime) -> State:
        """Return the state as the operator reads it, to rebuild a record in the operator's own way."""
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

    def inventory(self) -> AgentInventory:
        """Return what decides which of the agent's repositories are in use."""
        return AgentInventory(
            name=self.name,
            agent_model=self.agent_model,
            record=self.record,
            file=self.file.entry if self.file else None,
            runs=tuple(self.runs.values()),
            rollouts=tuple(self.rollouts.values()),
            unreadable_run_uids=self.unreadable_runs,
            unreadable_texts=self.unreadable_texts,
        )


def parse_snapshot(
    key: tuple[str, str],
    agent: Json | None,
    record: Json | None,
    file: File | UnusableFile | None,
    runs: list[Json],
    rollouts: list[Json],
) -> AgentSnapshot:
    """Parse the objects of one agent. `key`: namespace and name. Objects that cannot be read are kept as text."""
    namespace, name = key
    stored, model, problem, unreadable = None, None, "", list[str]()
    if record is not None:
        try:
            stored = Record.from_data(record.get("data") or {})
        except MalformedRecord as error:
            unreadable += (record.get("data") or {}).values()
            problem = f"ConfigMap {record_name(name)} in namespace {namespace}: {error}; restore it from a backup, or "
            problem += "delete it so that it is rebuilt"
    if agent is not None:
        found = read(AgentModel, agent)
        model = found.value
        if model is None:
            unreadable.append(json.dumps(agent))
            problem = (
                f"AgentModel {name} in namespace {namespace} cannot be read: {'; '.join(found.problems)}"
            )
    if isinstance(file, UnusableFile):
        unreadable.append(file.text)
    parsed_runs, unreadable_runs = parse_objects(TrainingRun, runs)
    parsed_rollouts, unreadable_rollouts = parse_objects(Rollout, rollouts)
    return AgentSnapshot(
        namespace=namespace,
        name=name,
        agent_model=model,
        record=stored,
        resource_version=record["metadata"]["resourceVersion"] if record is not None else "",
        file=file if isinstance(file, File) else None,
        file_problem=file.problem if isinstance(file, UnusableFile) else "",
        runs=parsed_runs,
        rollouts=parsed_rollouts,
        unreadable_runs=tuple(item["metadata"]["uid"] for item in unreadable_runs),
        problem=problem,
        unreadable_texts=(
            *unreadable,
            *(json.dumps(item) for item in (*unreadable_runs, *unreadable_rollouts)),
        ),
    )


def parse_objects(kind: type[KindT], items: list[Json]) -> tuple[dict[str, KindT], list[Json]]:
    """Return the parsed objects by identity digest, and the items that cannot be parsed."""
    parsed, unreadable = {}, []
    for item in items:
        value = read(kind, item).value
        if value is None:
            unreadable.append(item)
            continue
        identity = identity_digest(kind=kind.__name__, name=item["metadata"]["name"], spec=item["spec"])
        parsed[identity] = value
    return parsed, unreadable


def find_owner(snapshot: AgentSnapshot, others: Iterable[AgentSnapshot]) -> str:
    """Return the name of the AgentModel that owns the agent instead; empty if it is this one.

    As in the operator, the oldest of the AgentModels for one agent in one ConfigMap owns the agent.
    """
    target = _namespace_and_target(snapshot)
    rivals = [
        other for other in others if other.agent_model is not None and _namespace_and_target(other) == target
    ]
    oldest = min(rivals, key=_creation, default=snapshot)
    return oldest.name if snapshot.agent_model is not None and oldest.name != snapshot.name else ""


def _namespace_and_target(snapshot: AgentSnapshot) -> tuple[str, str, str]:
    """Return the namespace, the agent, and the ConfigMap with its file."""
    spec = snapshot.agent_model.spec if snapshot.agent_model else None
    agent, config_map = (spec.agent, spec.config.config_map_ref.name) if spec else ("", "")
    return snapshot.namespace, agent, config_map


def _creation(snapshot: AgentSnapshot) -> tuple[str, str]:
    assert snapshot.agent_model is not None
    return str(snapshot.agent_model.metadata.creation_timestamp), snapshot.agent_model.metadata.uid
