"""The tools that stop, hold and resume what runs."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import has_finished
from modelops.mcp_server.answers import ChangeAnswer
from modelops.mcp_server.arguments import JobId, QuoteId, RolloutId
from modelops.mcp_server.callers import current_caller
from modelops.mcp_server.confirming import (
    Confirm,
    Offer,
    confirmation_of,
    is_confirmed,
    quoted,
    still_offered,
)
from modelops.mcp_server.object_changes import changed, nothing_to_do, subject, unconfirmed_change
from modelops.mcp_server.progress import line
from modelops.mcp_server.services import Ctx
from modelops.tools import control
from modelops.tools.explaining import find_object
from modelops.tools.training_progress import find_run

Paused = Annotated[
    bool, Field(description="true keeps the rollout from its next step; false lets it go on with its steps.")
]


async def _offer_abort(rollout_id: str) -> Offer:
    rollout = await _rollout(rollout_id)
    return Offer(
        what=f"Abort rollout {quoted(rollout.metadata.name)}?",
        facts=(
            ("agent", quoted(rollout.spec.agent_model_ref.name)),
            ("now", line(rollout)),
            ("traffic", "every session goes back to the stable model within seconds"),
            ("cost", "none; its endpoint is stopped"),
            ("undo", "none: a new rollout starts from its evaluation"),
        ),
        subject=subject("abort_rollout", rollout),
        needs_nobody=has_finished(rollout) or rollout.spec.abort,
        request=rollout,
    )


_confirm_abort = confirmation_of(_offer_abort)


async def abort_rollout(
    ctx: Ctx,
    rollout_id: RolloutId,
    offer: Annotated[Offer, Resolve(_offer_abort)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_abort)],
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Abort a deployment or evaluation that runs: every session goes back to the stable model within seconds. Use it
    when a canary does harm. A person must confirm it, and it cannot be taken back. A deployment that has ended is
    undone with rollback_agent."""
    if not is_confirmed(answer):
        return unconfirmed_change(ctx, offer, offer.request)
    offer = await still_offered(ctx, offer, lambda: _offer_abort(rollout_id))
    if offer.needs_nobody:
        return _nothing_to_do(offer)
    return changed(await control.abort_rollout(current_caller().client, rollout_id))


async def _offer_pause(rollout_id: str, paused: bool) -> Offer:
    rollout = await _rollout(rollout_id)
    return Offer(
        what=f"Let rollout {quoted(rollout.metadata.name)} go on with its steps?",
        facts=(
            ("agent", quoted(rollout.spec.agent_model_ref.name)),
            ("now", line(rollout)),
            ("traffic", "its next steps move more sessions to the new model"),
        ),
        subject=subject("pause_rollout", rollout),
        needs_nobody=paused or has_finished(rollout) or not rollout.spec.paused,
        request=rollout,
    )


_confirm_resume = confirmation_of(_offer_pause)


async def pause_rollout(
    ctx: Ctx,
    rollout_id: RolloutId,
    offer: Annotated[Offer, Resolve(_offer_pause)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_resume)],
    paused: Paused = True,
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Keep a deployment at its present share of the sessions until it is resumed, to look at it in peace. With
    paused=false it goes on, which moves traffic and needs a person's confirmation. It is still aborted by itself if
    the new model is worse."""
    if not is_confirmed(answer):
        return unconfirmed_change(ctx, offer, offer.request)
    offer = await still_offered(ctx, offer, lambda: _offer_pause(rollout_id, paused))
    if offer.needs_nobody and not paused:
        return _nothing_to_do(offer)
    return changed(await control.pause_rollout(current_caller().client, rollout_id, paused=paused))


async def _offer_cancel(job_id: str) -> Offer:
    run = await find_run(current_caller().client, job_id)
    return Offer(
        what=f"Cancel training {quoted(run.metadata.name)}?",
        facts=(
            ("agent", quoted(run.spec.agent_model_ref.name)),
            ("now", line(run)),
            ("cost", "what it has cost until now stays billed"),
            ("undo", "none: its job is stopped for good, and no version comes of it"),
        ),
        subject=subject("cancel_training", run),
        needs_nobody=has_finished(run) or run.spec.cancel,
        request=run,
    )


_confirm_cancel = confirmation_of(_offer_cancel)


async def cancel_training(
    ctx: Ctx,
    job_id: JobId,
    offer: Annotated[Offer, Resolve(_offer_cancel)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_cancel)],
    quote_id: QuoteId = None,
) -> ChangeAnswer:
    """Stop a training for good, with its job. What it has cost stays billed. A person must confirm it, and it cannot
    be taken back."""
    if not is_confirmed(answer):
        return unconfirmed_change(ctx, offer, offer.request)
    offer = await still_offered(ctx, offer, lambda: _offer_cancel(job_id))
    if offer.needs_nobody:
        return _nothing_to_do(offer)
    return changed(await control.cancel_training(current_caller().client, offer.request.metadata.name))


async def _rollout(name: str) -> Rollout:
    found = await find_object(current_caller().client, name, kind="Rollout")
    assert isinstance(found, Rollout)
    return found


def _nothing_to_do(offer: Offer) -> ChangeAnswer:
    value: Rollout | TrainingRun = offer.request
    return nothing_to_do(
        value, f"{value.kind} {value.metadata.name} is {value.status.phase.value}: there is nothing to do"
    )
