"""agents.yaml: the model that serves each agent, and the routing block of a rollout. Text in, text out; no I/O."""

from modelops.domain.agentsfile.editing import (
    KEEP,
    STABLE_KEYS,
    Keep,
    agents_in,
    edit,
    parse,
    with_routing,
    with_stable,
)
from modelops.domain.agentsfile.entry import (
    AgentEntry,
    CanaryTarget,
    RolloutMark,
    RolloutState,
    RoutingBlock,
    StableTarget,
)
from modelops.domain.agentsfile.errors import (
    AgentsFileError,
    BadWeight,
    MalformedAgentsFile,
    UneditableAgentsFile,
    UnknownAgent,
)

__all__ = [
    "KEEP",
    "STABLE_KEYS",
    "AgentEntry",
    "AgentsFileError",
    "BadWeight",
    "CanaryTarget",
    "Keep",
    "MalformedAgentsFile",
    "RolloutMark",
    "RolloutState",
    "RoutingBlock",
    "StableTarget",
    "UneditableAgentsFile",
    "UnknownAgent",
    "agents_in",
    "edit",
    "parse",
    "with_routing",
    "with_stable",
]
