"""`modelops.code-chef.dev/v1alpha1`: AgentModel, TrainingRun and Rollout."""

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import API_VERSION, GROUP, VERSION
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun

__all__ = ["API_VERSION", "GROUP", "VERSION", "AgentModel", "Rollout", "TrainingRun"]
