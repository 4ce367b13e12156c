"""Where the agents' file is: in which ConfigMap, under which key, and which agent's entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.record import Record


@dataclass(frozen=True, kw_only=True)
class FileLocation:
    """The ConfigMap with the agents' file, the key there, and the agent."""

    config_map: str
    key: str
    agent: str

    def __str__(self) -> str:
        return f"agents.{self.agent} in ConfigMap {self.config_map}, key {self.key}"


def location_in_spec(agent_model: AgentModel) -> FileLocation:
    """The file that the AgentModel names; `spec.agent` and `spec.config.configMapRef` are immutable."""
    spec, reference = agent_model.spec, agent_model.spec.config.config_map_ref
    return FileLocation(config_map=reference.name, key=reference.key, agent=spec.agent)


def location_on_record(record: Record) -> FileLocation:
    """The file that the record names, which an abort restores without an AgentModel."""
    return FileLocation(config_map=record.config_map, key=record.config_key, agent=record.agent)


def location_of(agent_model: AgentModel, record: Record | None) -> FileLocation:
    """The file that is read and written. A rollout or an undo that is under way ends in the file of the record."""
    if record is not None and (record.active is not None or record.undo is not None):
        return location_on_record(record)
    return location_in_spec(agent_model)


def location_in_use(agent_model: AgentModel | None, record: Record | None) -> FileLocation | None:
    """As `location_of`; without the AgentModel what the record names, and None where there is neither."""
    if agent_model is not None:
        return location_of(agent_model, record)
    return location_on_record(record) if record is not None else None


def other_file_problem(agent_model: AgentModel | None, record: Record | None) -> str:
    """Why no rollout may start: the AgentModel was created again with another file; empty where both are the same."""
    if agent_model is None or record is None:
        return ""
    spec, recorded = location_in_spec(agent_model), location_on_record(record)
    if spec == recorded:
        return ""
    rollout = record.active.name if record.active else ""
    follows = (
        f"Rollout {rollout} has the lock and writes there, and the record follows when it has ended: abort it"
        if rollout
        else "the record follows at once"
    )
    return (
        f"AgentModel {agent_model.metadata.name} was created again and names {spec} (spec.agent, "
        f"spec.config.configMapRef), and its record names {recorded}: {follows}"
    )


def missing_key_problem(
    config_map: str, key: str, *, data: Mapping[str, object] | None, binary: Mapping[str, object] | None
) -> str:
    """Why the ConfigMap has no text under the key, and what to do about it."""
    if key in (binary or {}):
        return (
            f"ConfigMap {config_map} has the key {key} (spec.config.configMapRef.key) in binaryData, as kubectl puts a "
            "file that is not valid UTF-8: save the file as UTF-8, and put it into data with `kubectl create "
            f"configmap {config_map} --from-file={key} --dry-run=client -o yaml`"
        )
    others = f"; it has {', '.join(sorted(data))}" if data else ""
    return f"ConfigMap {config_map} has no key {key} (spec.config.configMapRef.key){others}: add it"
