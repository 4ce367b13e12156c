"""The resources that the engine reads and writes."""

from __future__ import annotations

from typing import Final

from modelops.api.v1alpha1.names import GROUP, MANAGED_LABEL, VERSION
from modelops.ports import Json, Resource

AGENT_MODELS: Final = Resource(group=GROUP, version=VERSION, plural="agentmodels", kind="AgentModel")
TRAINING_RUNS: Final = Resource(group=GROUP, version=VERSION, plural="trainingruns", kind="TrainingRun")
ROLLOUTS: Final = Resource(group=GROUP, version=VERSION, plural="rollouts", kind="Rollout")
SECRETS: Final = Resource(group="", version="v1", plural="secrets", kind="Secret")
CONFIG_MAPS: Final = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
PODS: Final = Resource(group="", version="v1", plural="pods", kind="Pod")


def is_managed(item: Json) -> bool:
    """Whether a ConfigMap or Secret carries the label by which its owner lets the operator use it."""
    labels = item["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_LABEL) == "true")
