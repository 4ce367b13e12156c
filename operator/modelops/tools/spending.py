"""What agents have spent."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.client import AsyncClient
from modelops.tools.agents import find_agent
from modelops.tools.results import Spending


async def spending(client: AsyncClient, agent_name: str | None = None) -> tuple[Spending, ...]:
    """The current month of one agent, or of every agent of the namespace. Raises ToolRefused for an unknown agent."""
    if agent_name is not None:
        return (spending_of(await find_agent(client, agent_name)),)
    return tuple(spending_of(agent) for agent in (await client.agent_models.list()).items)


def spending_of(agent: AgentModel) -> Spending:
    """The spending in the AgentModel's status; nothing yet where it has none."""
    spend = agent.status.spend
    budget = float(spend.budget_usd if spend and spend.month else agent.spec.budget.monthly_usd)
    settled, reserved, standing = (
        (float(spend.settled_usd), float(spend.reserved_usd), float(spend.standing_usd))
        if spend
        else (0.0, 0.0, 0.0)
    )
    return Spending(
        agent_name=agent.spec.agent,
        month=spend.month if spend else "",
        budget_usd=budget,
        settled_usd=settled,
        reserved_usd=reserved,
        standing_usd=standing,
        left_usd=max(0.0, round(budget - settled - reserved - standing, 6)),
        endpoints_usd_per_hour=sum(float(one.usd_per_hour) for one in agent.status.endpoints),
    )
