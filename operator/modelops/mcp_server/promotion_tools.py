"""The tools with which a person goes on with a canary, and tries a rollout again."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.api.v1alpha1.rollout import Rollout
from modelops.mcp_server.answers import ChangeAnswer, RetryAnswer
from modelops.mcp_server.arguments import QuoteId, RolloutId
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
from modelops.mcp_server.object_changes import changed, nothing_to_do, subject, unconfirmed_change
from modelops.mcp_server.progress import line
from modelops.mcp_server.services import Ctx
from modelops.tools import promoting, retrying

Opens = Annotated[
    Literal["waiting_step", "current_step", "all"],
    Field(
        description="waiting_step: the pause that waits for a person. current_step: the step that runs, also a watch "
        "with a fixed time. all: leave out all steps that are left, and promote at once."
    ),
]


async def _offer_promotion(rollout_id: str, opens: str) -> Offer:
    found = await _opening(rollout_id, opens)
    rollout = found.rollout
    return Offer(
        what=f"Promote rollout {quoted(rollout.metadata.name)}?",
        facts=(
            ("agent", quoted(rollout.spec.agent_model_ref.name)),
            ("now", line(rollout)),
            ("does", quoted(found.words)),
            ("traffic", "more sessions go to the new model, unless it does harm or an approval is missing"),
            ("undo", "it cannot be taken back; abort_rollout and rollback_agent still end it"),
        ),
        subject={**subject("promote_rollout", rollout), "promote": found.promote},
        needs_nobody=found.promote is None,
        request=found,
    )


_confirm_promotion = confirmation_of(_offer_promotion)


async def promote_rollout(
    ctx: Ctx,
    rollout_id: RolloutId,
    offer: Annotated[Offer, Resolve(_offer_promotion)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_promotion)],
    opens: Opens = "waiting_step",
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Go on with a canary that waits for a person, end the step that runs early, or promote the new model at once. A
    person must confirm it, and it cannot be taken back. It does not replace an approval, and a breach still aborts."""
    found: promoting.Opening = offer.request
    if not is_confirmed(answer):
        return unconfirmed_change(ctx, offer, found.rollout)
    offer = await still_offered(ctx, offer, lambda: _offer_promotion(rollout_id, opens))
    found = offer.request
    if offer.needs_nobody:
        return nothing_to_do(found.rollout, found.words)
    return changed(await promoting.open_steps(current_caller().client, found))


async def _offer_retry(rollout_id: str) -> Offer:
    old, spec = await retrying.retry_spec(current_caller().client, rollout_id)
    return Offer(
        what=f"Try rollout {quoted(old.metadata.name)} again?",
        facts=(
            ("agent", quoted(old.spec.agent_model_ref.name)),
            ("ended", line(old)),
            ("cost", f"at most ${spec['maxUSD']}, for its evaluation and its canary"),
            ("traffic", "as its steps say, after an evaluation"),
        ),
        subject=subject("retry_rollout", old),
        cost_usd=float(spec["maxUSD"]),
        request=old,
    )


_confirm_retry = confirmation_of(_offer_retry)


async def retry_rollout(
    ctx: Ctx,
    rollout_id: RolloutId,
    offer: Annotated[Offer, Resolve(_offer_retry)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_retry)],
    quote_id: QuoteId = None,
) -> RetryAnswer:
    """Try a deployment or an evaluation that ended without success again: a new rollout with the same settings and a
    new name. Says what is different since. It is evaluated and paid anew. A person must confirm it."""
    old: Rollout = offer.request
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return RetryAnswer(
            rollout_id="",
            agent_name=old.spec.agent_model_ref.name,
            retries=old.metadata.name,
            created=False,
            ended=old.status.phase.value,
            status=status,
            message=message,
            **quote.model_dump(),
        )
    await still_offered(ctx, offer, lambda: _offer_retry(rollout_id))
    found = await retrying.retry_rollout(current_caller().client, rollout_id, created_by="modelops-mcp")
    return RetryAnswer(status="started" if found.created else "runs_already", **found.model_dump())


async def _opening(rollout_id: str, opens: str) -> promoting.Opening:
    return await promoting.promotion_of(
        current_caller().client, rollout_id, full=opens == "all", skip_step=opens == "current_step"
    )
