"""Names of the API: group, kinds, labels, finalizer."""

from dataclasses import dataclass
from typing import Final

GROUP: Final = "modelops.code-chef.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "modelops.code-chef.dev/v1alpha1"
CATEGORY: Final = "modelops"

FINALIZER = f"{GROUP}/cleanup"
MANAGED_LABEL = f"{GROUP}/managed"
"""Opt-in: the operator reads or writes only ConfigMaps and Secrets whose label has the value "true"."""
RECORD_LABEL = f"{GROUP}/record"
"""Label of an AgentModel's record; its value is the name of the AgentModel."""

ROUTING_GENERATION = f"{GROUP}/routing-generation"
"""Annotation of an agent's Pod: the generation of the routing for which the operator made its kubelet look for a new
file."""

FIELD_MANAGER = "modelops-operator"
INSTALLATION_CONFIG_MAP = "modelops-installation"
STOP_CONFIG_MAP: Final = "modelops-stop"
"""While a ConfigMap of this name exists, all agents of its namespace are stopped. It needs no label."""
STOP_ALL_CONFIG_MAP: Final = "modelops-stop-all"
"""While it exists in the operator's namespace, all agents of the installation are stopped."""
LEASE: Final = "modelops-operator"
"""The lease of the leader, in the operator's namespace."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The names of a kind: in manifests, in URLs, and at a command line."""

    kind: str
    plural: str
    singular: str
    short: str

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition; also the unambiguous name for kubectl."""
        return f"{self.plural}.{GROUP}"


AGENT_MODELS: Final = Resource(kind="AgentModel", plural="agentmodels", singular="agentmodel", short="amod")
TRAINING_RUNS: Final = Resource(
    kind="TrainingRun", plural="trainingruns", singular="trainingrun", short="mtr"
)
ROLLOUTS: Final = Resource(kind="Rollout", plural="rollouts", singular="rollout", short="mro")
RESOURCES: Final = (AGENT_MODELS, TRAINING_RUNS, ROLLOUTS)


def record_name(agent_model: str) -> str:
    """Name of the ConfigMap with the record of an AgentModel."""
    return f"{agent_model}-modelops-record"
