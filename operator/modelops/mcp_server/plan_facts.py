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


def answerer(plan: Plan) -> str:
    """What answers: the model only, or the agent itself."""
    asks_agent = plan.spec["evaluation"].get("target") == "agent"
    runs = (plan.spec["evaluation"].get("productionSample") or {}).get("runs")
    production = f", and {runs} recent inputs of production, reported apart" if runs else ""
    return f"{'the agent itself, with each model' if asks_agent else 'the model only'}{production}"


def scorer_words(plan: Plan) -> str:
    """How answers are scored: as the Rollout says, or else the AgentModel."""
    settings = plan.agent.spec.langsmith
    own = settings.scorer.wire() if settings and settings.scorer else None
    scorer = plan.spec["evaluation"].get("scorer") or own
    if not scorer:
        return "none is named: it will end before anything is paid, and suggest one"
    name = f" {scorer['name']}" if scorer.get("name") else ""
    return f"{scorer['type']}{name}, a success from {scorer.get('threshold', '1')}"
