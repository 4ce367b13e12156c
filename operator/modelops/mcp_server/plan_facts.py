"""What a person should know of a planned evaluation or deployment."""

from __future__ import annotations

from modelops.mcp_server.confirming import quoted
from modelops.tools.planning import Plan


def candidate(plan: Plan) -> str:
    """The model that is evaluated or deployed."""
    chosen = plan.spec["candidate"]
    if "version" in chosen:
        return str(chosen["version"])
    return f"{chosen['model']['repo']}@{chosen['model']['revision']}"


def stable(plan: Plan) -> str:
    """The model that serves the agent now."""
    serving = plan.record.stable
    return f"{quoted(serving.version)}, {quoted(serving.model)}"
