"""Names that the cluster, the operator and people agree on."""

from dataclasses import dataclass
from typing import Final

GROUP: Final = "modelops.code-chef.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "modelops.code-chef.dev/v1alpha1"
CATEGORY: Final = "modelops"

FINALIZER = f"{GROUP}/cleanup"
MANAGED_LABEL = f"{GROUP}/managed"
"""Opt-in: a ConfigMap or Secret is read or written only where this label is "true"."""
RECORD_LABEL = f"{GROUP}/record"
"""Carried by the record of an AgentModel; its value is the AgentModel's name."""

FIELD_MANAGER = "modelops-operator"
INSTALLATION_CONFIG_MAP = "modelops-installation"


@dataclass(frozen=True, slots=True)
class Resource:
    """What a kind is called in URLs, and by people at a command line."""

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
    """The ConfigMap that holds what must never be forgotten about an agent."""
    return f"{agent_model}-modelops-record"
