"""The tools that train: estimate, start, follow."""

from __future__ import annotations

from typing import Annotated, Any, Final

from mcp.server.mcpserver import ElicitationResult, Resolve

from modelops.client import WaitTimeout
from modelops.mcp_server.answers import ESTIMATING, TrainingAnswer
from modelops.mcp_server.arguments import (
    AgentName,
    BaseModelName,
    EstimateSeconds,
    IdempotencyKey,
    JobId,
    MaxUSD,
    Method,
    QuoteId,
    TrainingData,
    TrainingSettings,
    WaitSeconds,
    own_key,
)
from modelops.mcp_server.callers import CREATED_BY, current_caller
from modelops.mcp_server.confirming import Confirm, Offer, confirmation_of, is_confirmed, quoted, unconfirmed
from modelops.mcp_server.progress import reported
from modelops.mcp_server.quotes import Quote
from modelops.mcp_server.services import Ctx
from modelops.tools import quotes, training, training_progress
from modelops.tools.amounts import usd
from modelops.tools.errors import ToolRefused
from modelops.tools.results import JobProgress, TrainingJob, TrainingQuote
from modelops.tools.training_request import TrainingRequest

_LONGEST_MESSAGE: Final = 1000


async def estimate_training(
    ctx: Ctx,
    agent_name: AgentName,
    dataset_id: TrainingData = None,
    base_model: BaseModelName = None,
    training_method: Method = "sft",
    training_config: TrainingSettings = None,
    max_usd: MaxUSD = None,
    wait_seconds: EstimateSeconds = 45,
) -> TrainingQuote:
    """Say what a training would cost and how long it would take, without starting it. Nothing is spent. Use it when
    somebody asks for the price of a training, before train_subagent_model."""
    request = _request(agent_name, dataset_id, base_model, training_method, training_config, max_usd)
    quote = await _estimate(ctx, request, wait_seconds)
    if quote is None:
        raise ToolRefused(
            f"the estimate takes longer than {wait_seconds} s, since the data are prepared for it. It goes on: call "
            "estimate_training again with the same arguments"
        )
    return quote


async def _offer(
    ctx: Ctx,
    agent_name: str,
    dataset_id: str | None,
    base_model: str | None,
    training_method: str,
    training_config: dict[str, Any] | None,
    max_usd: float | None,
    quote_id: str | None,
    wait_seconds: int,
    idempotency_key: str | None,
) -> Offer:
    client = current_caller().client
    request = _request(agent_name, dataset_id, base_model, training_method, training_config, max_usd)
    if key := own_key(idempotency_key):
        started = await training.find_started(client, request, key=key)
        if started is not None:
            return Offer(what="it was started before", needs_nobody=True, request=started)
    if quote_id is not None:
        run = await quotes.read_quote(client, quote_id)
        await quotes.ensure_quote_is_for(client, run, request)
        quote: TrainingQuote | None = quotes.quote_of(run, agent_name=agent_name, max_usd=request.max_usd)
    else:
        quote = await _estimate(ctx, request, wait_seconds)
    if quote is None:
        return Offer(what="the estimate is not ready", needs_nobody=True)
    return Offer(
        what=f"Train a model for agent {quoted(quote.agent_name)}?",
        facts=(
            ("base model", quoted(quote.base_model)),
            ("method", quote.training_method),
            (
                "dataset",
                f"{quoted(quote.dataset_id or 'the default')}, {quote.examples} examples to train on",
            ),
            (
                "cost",
                f"${quote.low_usd:g} to ${quote.high_usd:g}, and never more than ${quote.max_usd:g}, further attempts "
                "included",
            ),
            ("time", f"{quote.low_minutes} to {quote.high_minutes} minutes on {quote.flavor}"),
            ("estimate", quoted(quote.message, longest=_LONGEST_MESSAGE)),
        ),
        cost_usd=quote.max_usd,
        quote=Quote(quote.quote_id, quote.valid_until),
        request=request,
    )


_confirmation = confirmation_of(_offer)


async def train_subagent_model(
    ctx: Ctx,
    agent_name: AgentName,
    offer: Annotated[Offer, Resolve(_offer)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirmation)],
    dataset_id: TrainingData = None,
    base_model: BaseModelName = None,
    training_method: Method = "sft",
    training_config: TrainingSettings = None,
    max_usd: MaxUSD = None,
    quote_id: QuoteId = None,
    wait_seconds: EstimateSeconds = 45,
    idempotency_key: IdempotencyKey = None,
) -> TrainingAnswer:
    """Fine-tune a better model for an agent on Hugging Face, from a LangSmith dataset. It costs money: the price is
    estimated first, and a person must confirm it. It returns at once; follow it with monitor_training_job. It does not
    change what serves the agent: evaluate_model_vs_baseline and deploy_model_to_agent do that afterwards."""
    if isinstance(offer.request, TrainingJob):
        return _started(offer.request)
    if offer.quote is None:
        return _nothing_started(
            ESTIMATING,
            "The data are being prepared for the estimate. Nothing has started. Call again with the same arguments in "
            "a minute.",
        )
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return _nothing_started(status, message, **quote.model_dump())
    job = await training.start_training(
        current_caller().client,
        offer.quote.quote_id,
        expected=offer.request,
        max_usd=offer.request.max_usd,
        key=own_key(idempotency_key),
        created_by=CREATED_BY,
    )
    return _started(job)


async def monitor_training_job(ctx: Ctx, job_id: JobId, wait_seconds: WaitSeconds = 0) -> JobProgress:
    """Say how a training goes: phase, percent, loss, minutes left, cost, and in the end the new version. Use it for
    every question about a training that was started. With wait_seconds it waits for the end."""
    client = current_caller().client
    async with reported(ctx, wait_seconds) as seen:
        return await training_progress.monitor_training(client, job_id, wait_seconds=wait_seconds, seen=seen)


async def _estimate(ctx: Ctx, request: TrainingRequest, wait_seconds: int) -> TrainingQuote | None:
    """The quote; None where it takes longer. It only creates an estimate, once for equal requests."""
    try:
        async with reported(ctx, wait_seconds) as seen:
            return await quotes.estimate_training(
                current_caller().client,
                request,
                wait_seconds=wait_seconds,
                seen=seen,
                created_by=CREATED_BY,
            )
    except WaitTimeout:
        return None


def _request(
    agent_name: str,
    dataset_id: str | None,
    base_model: str | None,
    training_method: str,
    training_config: dict[str, Any] | None,
    max_usd: float | None,
) -> TrainingRequest:
    return TrainingRequest(
        agent_name=agent_name,
        dataset_id=dataset_id,
        base_model=base_model,
        training_method=training_method,
        training_config=training_config or {},
        max_usd=usd(max_usd) if max_usd is not None else None,
    )


def _started(job: TrainingJob) -> TrainingAnswer:
    return TrainingAnswer(status=job.phase, **job.model_dump())


def _nothing_started(status: str, message: str, **quote: Any) -> TrainingAnswer:
    return TrainingAnswer(
        job_id="",
        hub_repo=None,
        estimated_cost=quote.get("cost_usd"),
        status_url=None,
        phase="",
        created=False,
        status=status,
        message=message,
        **quote,
    )
