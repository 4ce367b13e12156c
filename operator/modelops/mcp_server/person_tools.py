"""The tools for what a person decides: the approval of a cost, and the way back to a model that served before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.mcp_server.answers import ChangeAnswer
from modelops.mcp_server.arguments import AgentName, JobId, QuoteId, RolloutId
from modelops.mcp_server.callers import CREATED_BY, current_caller
from modelops.mcp_server.confirming import (
    Confirm,
    Offer,
    confirmation_of,
    is_confirmed,
    quoted,
    still_offered,
    unconfirmed,
)
from modelops.mcp_server.object_changes import changed, unconfirmed_change
from modelops.mcp_server.services import Ctx
from modelops.tools.agents import find_agent
from modelops.tools.approval import PendingOffer, approve, read_offer
from modelops.tools.rollback import go_back
from modelops.tools.situation import Situation, active_rollouts, read_situation

_UNDO_USD = "1"
ToVersion = Annotated[
    str | None,
    Field(
        max_length=64, description="A version that served before. Default: the one before the present one."
    ),
]


async def _offer_approval(name: str, *, kind: str, what: str) -> Offer:
    pending = await read_offer(current_caller().client, name, kind=kind)
    return Offer(
        what=f"Approve {what} {quoted(name)}, in the name of {quoted(current_caller().name)}?",
        facts=tuple((field, quoted(value)) for field, value in pending.lines),
        subject={
            "tool": f"approve {kind}",
            "uid": pending.object.metadata.uid,
            "digest": pending.digest,
        },
        cost_usd=pending.high_usd,
        needs_nobody=pending.given is not None,
        request=pending,
    )


async def _offer_training(job_id: str) -> Offer:
    return await _offer_approval(job_id, kind="TrainingRun", what="the cost of training")


async def _offer_rollout(rollout_id: str) -> Offer:
    return await _offer_approval(rollout_id, kind="Rollout", what="what is asked for by rollout")


_confirm_training = confirmation_of(_offer_training)
_confirm_rollout = confirmation_of(_offer_rollout)


async def approve_training(
    ctx: Ctx,
    job_id: JobId,
    offer: Annotated[Offer, Resolve(_offer_training)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_training)],
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Approve the cost of a training that waits in the phase AwaitingApproval, in the caller's own name. Use it only
    when a person with the right to approve asks for it. A person must confirm it; then the training starts."""
    return await _approve(ctx, offer, answer, lambda: _offer_training(job_id))


async def approve_rollout(
    ctx: Ctx,
    rollout_id: RolloutId,
    offer: Annotated[Offer, Resolve(_offer_rollout)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_rollout)],
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Approve what an evaluation or a deployment waits for (status.offer: its cost, or how it goes on), in the caller's
    own name. Use it only when a person with the right to approve asks for it. A person must confirm it."""
    return await _approve(ctx, offer, answer, lambda: _offer_rollout(rollout_id))


async def _approve(
    ctx: Ctx, offer: Offer, answer: ElicitationResult[Confirm], again: Callable[[], Awaitable[Offer]]
) -> ChangeAnswer:
    pending: PendingOffer = offer.request
    if not is_confirmed(answer):
        return unconfirmed_change(ctx, offer, pending.object)
    offer = await still_offered(ctx, offer, again)
    return changed(await approve(current_caller().client, offer.request))


async def _offer_rollback(agent_name: str, to_version: str | None) -> Offer:
    client = current_caller().client
    agent = await find_agent(client, agent_name)
    now = await read_situation(client, agent.metadata.name)
    active = active_rollouts(now)
    stable = now.record.stable.version if now.record else "unknown"
    previous = now.record.previous.version if now.record and now.record.previous else None
    target = to_version or (None if active else previous)
    return Offer(
        what=f"Route agent {quoted(agent.spec.agent)} back?",
        facts=(
            ("serves now", quoted(stable)),
            (
                "rollouts that are aborted",
                ", ".join(quoted(name) for name in sorted(active.values())) or "none runs",
            ),
            ("goes back to", quoted(target) if target else f"{quoted(stable)}, which is stable"),
            ("cost", f"at most ${_UNDO_USD}, only if an endpoint must be started"),
            ("time", "seconds, or minutes if an endpoint must be started"),
        ),
        subject={
            "tool": "rollback_agent",
            "agent": agent.metadata.uid,
            "active": sorted(active),
            "stable": stable,
            "target": target,
        },
        cost_usd=float(_UNDO_USD),
        request=now,
    )


_confirm_rollback = confirmation_of(_offer_rollback)


async def rollback_agent(
    ctx: Ctx,
    agent_name: AgentName,
    offer: Annotated[Offer, Resolve(_offer_rollback)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_rollback)],
    to_version: ToVersion = None,
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Route an agent back: whatever is being rolled out is aborted; if nothing is, the version before the present one
    serves again. Use it when the model that serves an agent does harm. It moves traffic, and a person must confirm
    it."""
    now: Situation = offer.request
    place = {"kind": "AgentModel", "name": now.name, "agent_name": now.place[3]}
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return ChangeAnswer(**place, done=False, status=status, message=message, **quote.model_dump())
    await still_offered(ctx, offer, lambda: _offer_rollback(agent_name, to_version))
    client = current_caller().client
    message = await go_back(client, now.name, to=to_version, max_usd=_UNDO_USD, created_by=CREATED_BY)
    done = _moves(now.rollouts) != _moves((await client.rollouts.list()).stored)
    return ChangeAnswer(**place, done=done, status="done" if done else "nothing_to_do", message=message)


def _moves(rollouts: Any) -> set[tuple[str, bool]]:
    """The Rollouts, and which of them are to be aborted."""
    return {(one["metadata"]["uid"], bool(one["spec"].get("abort"))) for one in rollouts}
