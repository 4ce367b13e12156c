"""`modelops drill rollback`: asks for a rehearsal of a rollback, and waits for its result."""

from __future__ import annotations

from datetime import UTC, datetime

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.client import AsyncClient
from modelops.tools.agents import find_agent
from modelops.tools.errors import ToolRefused
from modelops.tools.results import DrillReport

WAIT_SECONDS = 90.0
"""The operator waits for confirmations for 60 s, and a status may be a second late."""


async def drill_rollback(
    client: AsyncClient, agent_name: str, *, drill_id: str | None = None, timeout: float = WAIT_SECONDS
) -> DrillReport:
    """Rehearse a rollback of the agent, and return the seconds. No session moves. `drill_id`: its name; else the time.

    Raises:
        ToolRefused: an unknown agent, or a rehearsal of that name was made already.
        WaitTimeout: there is no result in time, as without an operator.
    """
    agent = await find_agent(client, agent_name)
    name = drill_id or f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    before = agent.status.last_drill
    if before is not None and before.id == name:
        raise ToolRefused(f"drill {name} of {agent.metadata.name} was made at {before.at}: use another --id")
    await client.agent_models.patch(
        agent.metadata.name, {"spec": {"drill": {"id": name}}}, uid=agent.metadata.uid
    )
    found = await client.agent_models.wait(
        agent.metadata.name,
        lambda value: _has_ended(value, name),
        what=f"the result of drill {name}",
        timeout=timeout,
    )
    done = found.status.last_drill
    assert done is not None  # `_has_ended` was true of it.
    return DrillReport(
        agent_name=agent.spec.agent,
        agent_model=agent.metadata.name,
        drill_id=name,
        outcome=done.outcome,
        message=done.message,
        at=done.at,
        write_seconds=_seconds(done.write_milliseconds),
        effect_seconds=_seconds(done.effect_milliseconds),
        agents=done.agents,
        unconfirmed=done.unconfirmed,
    )


def _has_ended(agent: AgentModel, drill_id: str) -> bool:
    done = agent.status.last_drill
    return done is not None and done.id == drill_id


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
