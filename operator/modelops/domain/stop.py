"""The emergency stop of an agent, a namespace, or all agents of an installation: protocol "Emergency stop".

While one is set, nothing new is started: no rollout begins, none gets more sessions, and no training is submitted. An
active rollout goes back to stable. Going back, an undo and the watch after a promotion go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import STOP_ALL_CONFIG_MAP, STOP_CONFIG_MAP


class StopScope(StrEnum):
    """What a stop holds, from the smallest to the largest."""

    AGENT = "agent"
    NAMESPACE = "namespace"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One emergency stop that is set."""

    scope: StopScope
    where: str
    """The object that says so, and what to do with it to lift the stop; for people."""
    reason: str = ""
    by: str = ""

    @property
    def message(self) -> str:
        """What is stopped, why, by whom, and how it is lifted."""
        what = {
            StopScope.AGENT: "this agent is stopped",
            StopScope.NAMESPACE: "all agents of this namespace are stopped",
            StopScope.ALL: "all agents of this installation are stopped",
        }[self.scope]
        who = f" by {self.by}" if self.by else ""
        why = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"{what}{who}{why}. {self.where}"


def stop_of_agent(agent_model: AgentModel | None) -> Stop | None:
    """The stop in the AgentModel's own spec."""
    found = agent_model.spec.stop if agent_model is not None else None
    if agent_model is None or found is None:
        return None
    return Stop(
        scope=StopScope.AGENT,
        where=f"Remove spec.stop of AgentModel {agent_model.metadata.name} to lift it",
        reason=found.reason,
        by=found.by,
    )


def stop_of_config_map(item: Mapping[str, Any] | None) -> Stop | None:
    """The stop that a ConfigMap is. One without data is one as well: on call, nobody should have to know its keys."""
    if item is None:
        return None
    name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
    data = item.get("data") or {}
    return Stop(
        scope=StopScope.ALL if name == STOP_ALL_CONFIG_MAP else StopScope.NAMESPACE,
        where=f"Delete ConfigMap {name} in namespace {namespace} to lift it",
        reason=str(data.get("reason", ""))[:512].strip(),
        by=str(data.get("by", ""))[:253].strip(),
    )


def is_stop(name: str) -> bool:
    """Whether a ConfigMap of this name is an emergency stop."""
    return name in (STOP_CONFIG_MAP, STOP_ALL_CONFIG_MAP)
