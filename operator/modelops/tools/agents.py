"""Finds the AgentModel of an agent."""

from __future__ import annotations

from shlex import quote

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.client import AsyncClient
from modelops.domain.nearest import did_you_mean
from modelops.tools.errors import ToolRefused


async def find_agent(client: AsyncClient, agent_name: str) -> AgentModel:
    """The AgentModel of an agent, by the agent's name in agents.yaml or by its own: `feature_dev`, `feature-dev`.

    Raises:
        ToolRefused: there is none, with the names that were probably meant, or several files have such an agent.
    """
    listed = (await client.agent_models.list()).items
    wanted = _folded(agent_name)
    found = [one for one in listed if one.metadata.name == agent_name]
    found = found or [one for one in listed if _folded(one.spec.agent) == wanted]
    found = found or [one for one in listed if _folded(one.metadata.name) == wanted]
    if len(found) > 1:
        names = ", ".join(one.metadata.name for one in found)
        raise ToolRefused(f"several AgentModels are for agent {agent_name}: {names}; name one of them")
    if not found:
        namespace = await client.namespace()
        known = [one.spec.agent for one in listed]
        hint = did_you_mean(agent_name, known, none="it has no AgentModel")
        raise ToolRefused(
            f"namespace {namespace} has no agent {agent_name!r}: {hint}{'' if hint.endswith('?') else '.'} An agent of "
            f"agents.yaml that has no AgentModel gets one by `modelops init {quote(agent_name)}`"
        )
    return found[0]


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
