"""What the cluster has of an agent: its AgentModel, record, file and rollouts, as far as they can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.names import record_name
from modelops.client import AsyncClient, ClientError
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.drift import drift_between
from modelops.domain.record import MalformedRecord, Record
from modelops.router.agents_yaml import ConfigProblem, read_table

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


async def read_situation(client: AsyncClient, agent_model: str) -> Situation:
    """Read everything once. Raises NotFound where there is no such AgentModel."""
    found = await client.agent_models.get_stored(agent_model)
    unreadable: list[str] = []
    record = await _read_record(client, agent_model, unreadable)
    rollouts = list((await client.rollouts.list()).stored)
    place = file_of(await client.namespace(), found)
    text, entry = await _read_entry(client, *place, unreadable)
    return Situation(
        agent_model=found,
        place=place,
        record=record,
        text=text,
        entry=entry,
        rollouts=rollouts,
        unreadable=unreadable,
    )


def file_of(namespace: str, found: Any) -> Place:
    """Where the entry of an AgentModel's agent is."""
    reference = found["spec"]["config"]["configMapRef"]
    return namespace, reference["name"], reference.get("key", "agents.yaml"), found["spec"]["agent"]


async def _read_record(client: AsyncClient, agent_model: str, unreadable: list[str]) -> Record | None:
    """The agent's record; None where there is none, or it cannot be read, which is added to `unreadable`."""
    try:
        found: Record | None = await client.record(agent_model)
        return found
    except (MalformedRecord, ClientError) as error:
        unreadable.append(f"ConfigMap {record_name(agent_model)}: {error}")
    return None


def active_rollouts(now: Situation) -> dict[str, str]:
    """Return the active rollouts in the AgentModel's status and in its record: names by uid."""
    active_status = (now.agent_model.get("status") or {}).get("activeRollout") or {}
    rollouts = {active_status["uid"]: active_status["name"]} if active_status.get("name") else {}
    if now.record is not None and now.record.active is not None:
        rollouts[now.record.active.uid] = now.record.active.name
    return rollouts


async def _read_entry(
    client: AsyncClient, namespace: str, config_map: str, key: str, agent: str, unreadable: list[str]
) -> tuple[str, agentsfile.AgentEntry | None]:
    """The text of the agents' file and the agent's entry in it; problems are added to `unreadable`."""
    try:
        found = await client.config_map(config_map, namespace=namespace)
        if found is None:
            unreadable.append(f"ConfigMap {config_map} does not exist in namespace {namespace}")
            return "", None
        text = (found.get("data") or {}).get(key)
        if text is not None:
            return text, agentsfile.parse(text, agent)
        unreadable.append(
            missing_key_problem(config_map, key, data=found.get("data"), binary=found.get("binaryData"))
        )
    except agentsfile.AgentsFileError as error:
        unreadable.append(f"ConfigMap {config_map}, key {key}: {error}")
    except ClientError as error:
        unreadable.append(f"ConfigMap {config_map}: {error}")
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
