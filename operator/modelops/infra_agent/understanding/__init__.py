"""What people mean when they write to the Infra agent: rules, and where they are unsure, a model's help."""

from __future__ import annotations

from modelops.infra_agent.understanding.agents import AgentIdentity, identities, identity_of
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.model_help import (
    ModelAnswer,
    prompt_for_a_model,
    settle,
    without_a_model,
)
from modelops.infra_agent.understanding.understand import understand

__all__ = [
    "AgentIdentity",
    "Intent",
    "ModelAnswer",
    "Slots",
    "Understanding",
    "identities",
    "identity_of",
    "prompt_for_a_model",
    "settle",
    "understand",
    "without_a_model",
]
