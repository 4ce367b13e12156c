"""The tool for the emergency stop. Setting and lifting it are confirmed by a person."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.domain.stop import StopScope
from modelops.mcp_server.answers import ChangeAnswer
from modelops.mcp_server.arguments import QuoteId
from modelops.mcp_server.callers import current_caller
from modelops.mcp_server.confirming import (
    Confirm,
    Offer,
    confirmation_of,
    is_confirmed,
    quoted,
    still_offered,
    unconfirmed,
)
from modelops.mcp_server.object_changes import changed
from modelops.mcp_server.services import Ctx
from modelops.tools.agents import find_agent
from modelops.tools.stopping import set_stop

StoppedAgent = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=253,
        description="The agent to stop, such as feature_dev. Without it every agent of the namespace is stopped.",
    ),
]
Reason = Annotated[
    str, Field(max_length=500, description="Why, in the person's own words. Needed unless lift is true.")
]
Lift = Annotated[bool, Field(description="true lifts the stop, so that new things may start again.")]


async def _offer_stop(agent_name: str | None, reason: str, lift: bool) -> Offer:
    client = current_caller().client
    agents = (
        [await find_agent(client, agent_name)] if agent_name else (await client.agent_models.list()).items
    )
    place = f"namespace {quoted(await client.namespace())}"
    what = f"agent {quoted(agents[0].spec.agent)}" if agent_name else f"all agents of {place}"
    active = sorted(a.status.active_rollout.name for a in agents if a.status.active_rollout is not None)
    effect = (
        "new rollouts and trainings may start; a rollout that the stop aborted does not begin again"
        if lift
        else "nothing new is started, and the canaries that run go back to stable and do not begin again"
    )
    return Offer(
        what=f"{'Lift the emergency stop of' if lift else 'Stop'} {what}?",
        facts=(
            ("effect", effect),
            ("rollouts that are active", ", ".join(map(quoted, active)) or "none"),
            ("trainings that run", "they go on; cancel_training ends one"),
            ("reason", quoted(reason) if reason else "none is given"),
        ),
        subject={
            "tool": "emergency_stop",
            "agents": sorted(a.metadata.uid for a in agents) if agent_name else [place],
            "lift": lift,
            "reason": reason,
        },
    )


_confirm_stop = confirmation_of(_offer_stop)


async def emergency_stop(
    ctx: Ctx,
    offer: Annotated[Offer, Resolve(_offer_stop)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_stop)],
    agent_name: StoppedAgent = None,
    reason: Reason = "",
    lift: Lift = False,
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Emergency stop of one agent or of all agents of the namespace: no rollout, evaluation or training is started, and
    canaries go back to stable. Use it when a person wants everything stopped. A person must confirm it, and also that
    it is lifted (lift=true). A running training is ended by cancel_training."""
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return ChangeAnswer(
            kind="AgentModel" if agent_name else "ConfigMap",
            name=agent_name or "modelops-stop",
            agent_name=agent_name or "",
            done=False,
            status=status,
            message=message,
            **quote.model_dump(),
        )
    await still_offered(ctx, offer, lambda: _offer_stop(agent_name, reason, lift))
    change = await set_stop(
        current_caller().client,
        scope=StopScope.AGENT if agent_name else StopScope.NAMESPACE,
        agent=agent_name or "",
        reason=reason,
        lift=lift,
    )
    return changed(change)
