"""What the cluster has of an agent: its AgentModel, record, file and rollouts, as far as they can be read."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelops.api.v1alpha1.names import GROUP, VERSION, record_name
from modelops.cli.kube_access import api_problem, read_object
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.drift import drift_between
from modelops.domain.record import MalformedRecord, Record
from modelops.router.agents_yaml import ConfigProblem, read_table

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

Place = tuple[str, str, str, str]
"""Namespace, ConfigMap, key and agent: where an agent's entry is."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the cluster has of an agent. `text` is that of the agents' file; `unreadable` says what cannot be read."""

    agent_model: Any
    place: Place
    record: Record | None
    text: str
    entry: agentsfile.AgentEntry | None
    rollouts: list[Any]
    """All Rollouts of the namespace."""
    unreadable: list[str]

    @property
    def name(self) -> str:
        """The AgentModel's name."""
        return str(self.agent_model["metadata"]["name"])


def read_situation(objects: Any, core: CoreV1Api, namespace: str, agent_model: str) -> Situation:
    """Read everything once. Raises CommandError where there is no such AgentModel."""
    found = read_object(objects, "AgentModel", namespace, agent_model)
    unreadable: list[str] = []
    record = _read_record(core, namespace, agent_model, unreadable)
    rollouts = objects.list_namespaced_custom_object(GROUP, VERSION, namespace, "rollouts")["items"]
    place = _file_of(namespace, found)
    text, entry = _read_entry(core, *place, unreadable)
    return Situation(
        agent_model=found,
        place=place,
        record=record,
        text=text,
        entry=entry,
        rollouts=rollouts,
        unreadable=unreadable,
    )


def find_file(objects: Any, arguments: argparse.Namespace) -> Place:
    """Return namespace, ConfigMap, key and agent, from the AgentModel or from the arguments."""
    if arguments.config_map:
        return (
            arguments.namespace,
            arguments.config_map,
            arguments.key,
            arguments.agent or arguments.agent_model.replace("-", "_"),
        )
    found = read_object(objects, "AgentModel", arguments.namespace, arguments.agent_model)
    return _file_of(arguments.namespace, found)


def _file_of(namespace: str, found: Any) -> Place:
    reference = found["spec"]["config"]["configMapRef"]
    return namespace, reference["name"], reference.get("key", "agents.yaml"), found["spec"]["agent"]


def read_record(core: CoreV1Api, namespace: str, agent_model: str) -> Record | None:
    """Return the agent's record; None where there is none. Raises MalformedRecord, ApiException."""
    from kubernetes.client import ApiException

    try:
        found = core.read_namespaced_config_map(record_name(agent_model), namespace)
    except ApiException as error:
        if error.status != 404:
            raise
        return None
    return Record.from_data(found.data or {})


def _read_record(core: CoreV1Api, namespace: str, agent_model: str, unreadable: list[str]) -> Record | None:
    """`read_record`; None, too, where it cannot be read, which is added to `unreadable`."""
    from kubernetes.client import ApiException

    try:
        return read_record(core, namespace, agent_model)
    except MalformedRecord as error:
        unreadable.append(f"ConfigMap {record_name(agent_model)}: {error}")
    except ApiException as error:
        unreadable.append(f"ConfigMap {record_name(agent_model)}: {api_problem(error)}")
    return None


def active_rollouts(now: Situation) -> dict[str, str]:
    """Return the active rollouts in the AgentModel's status and in its record: names by uid."""
    active_status = (now.agent_model.get("status") or {}).get("activeRollout") or {}
    rollouts = {active_status["uid"]: active_status["name"]} if active_status.get("name") else {}
    if now.record is not None and now.record.active is not None:
        rollouts[now.record.active.uid] = now.record.active.name
    return rollouts


def _read_entry(
    core: CoreV1Api, namespace: str, config_map: str, key: str, agent: str, unreadable: list[str]
) -> tuple[str, agentsfile.AgentEntry | None]:
    """Return the text of the agents' file and the agent's entry in it; problems are added to `unreadable`."""
    from kubernetes.client import ApiException

    try:
        found = core.read_namespaced_config_map(config_map, namespace)
        text = (found.data or {}).get(key)
        if text is not None:
            return text, agentsfile.parse(text, agent)
        unreadable.append(missing_key_problem(config_map, key, data=found.data, binary=found.binary_data))
    except agentsfile.AgentsFileError as error:
        unreadable.append(f"ConfigMap {config_map}, key {key}: {error}")
    except ApiException as error:
        unreadable.append(f"ConfigMap {config_map}: {api_problem(error)}")
    return "", None


def why_not_on_stable(place: Place, text: str, record: Record | None, agent_model: str) -> str | None:
    """Why agents may not use the stable model of the record, although no rollout is active; None where they do.

    The router's own reader says whether agents can read the file: one that they refuse leaves them at what they have.
    """
    _, config_map, key, agent = place
    try:
        read_table(text, agent)
    except ConfigProblem as problem:
        return (
            f"agents refuse the file in ConfigMap {config_map}, key {key}, and keep the routing that they have: "
            f"{problem}. Correct the file"
        )
    if record is None:
        return None
    return drift_between(record, agentsfile.parse(text, agent), agent_model=agent_model)
