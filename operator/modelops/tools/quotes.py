"""Quotes: what a training would cost, by a TrainingRun that only estimates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import Estimate, TrainingRun
from modelops.client import AsyncClient, NotFound, has_finished
from modelops.tools.amounts import usd
from modelops.tools.conditions import has_succeeded, what_happens
from modelops.tools.errors import QuoteRefused, ToolRefused
from modelops.tools.names import create_once, differences
from modelops.tools.results import TrainingQuote
from modelops.tools.training_request import TrainingRequest, training_spec

QUOTE_VALID: Final = timedelta(hours=1)
"""Time after which a quote is made again: prices and data may have changed."""
ALLOWANCE: Final = Decimal("1.05")
"""Factor of a quoted high end that a training may cost: it splits the data anew, so its own estimate differs a bit."""
WAITS_FOR_SETTINGS: Final = frozenset({"NoBaseModel", "NoPromptContract", "JobsDisabled"})
"""Reasons of a run that goes on only when somebody changes a setting: to wait for its end is in vain."""


async def estimate_training(
    client: AsyncClient,
    request: TrainingRequest,
    *,
    wait_seconds: float = 300,
    seen: Callable[[TrainingRun], None] | None = None,
    created_by: str = "modelops",
) -> TrainingQuote:
    """What the training would cost, by a TrainingRun that only estimates. It spends nothing.

    Raises:
        ToolRefused: the estimate failed, would not be paid for, or waits for a setting that somebody must change.
        WaitTimeout: it takes longer than `wait_seconds`; call it again, it goes on meanwhile.
    """
    agent, spec = await _estimate_spec(client, request)
    user = (await client.whoami()).name
    asked = {**spec, "requestedBy": user}
    run, _ = await create_once(
        client,
        client.training_runs,
        agent.metadata.name,
        "estimate",
        asked,
        by=user,
        created_by=created_by,
        reusable=_is_usable_quote,
    )
    run = await client.training_runs.wait(
        run.metadata.name, _has_an_answer, what="its end", timeout=wait_seconds, seen=seen
    )
    if run.status.reason == "NoBaseModel":
        raise ToolRefused(
            "no estimate: the installation has no default base model: name one as organisation/name, or set "
            "MODELOPS_DEFAULT_BASE_MODEL in the operator's environment"
        )
    if not has_succeeded(run):
        raise ToolRefused(f"no estimate: {what_happens(run)}")
    langsmith = agent.spec.langsmith
    default = langsmith.training_dataset if langsmith else None
    return quote_of(
        run, agent_name=agent.spec.agent, max_usd=request.max_usd, dataset=request.dataset_id or default
    )


async def read_quote(client: AsyncClient, quote_id: str) -> TrainingRun:
    """The estimate that a quote names.

    Raises:
        QuoteRefused: there is none of that name, it is no estimate, it is another user's, it failed, or it has expired.
    """
    try:
        run = await client.training_runs.get(quote_id)
    except NotFound:
        raise QuoteRefused(
            f"there is no quote {quote_id}: it has expired, or was never made; ask for another estimate"
        ) from None
    if not run.spec.estimate_only:
        raise QuoteRefused(f"{quote_id} is a training, not a quote")
    if run.spec.requested_by and run.spec.requested_by != (await client.whoami()).name:
        raise QuoteRefused(
            f"quote {quote_id} was made for {run.spec.requested_by}: ask for an estimate of your own"
        )
    if not has_finished(run) or not has_succeeded(run) or run.status.estimate is None:
        raise QuoteRefused(f"quote {quote_id} has no price: {what_happens(run)}")
    if _is_stale(run):
        raise QuoteRefused(f"quote {quote_id} has expired: ask for another estimate")
    return run


async def ensure_quote_is_for(client: AsyncClient, quote: TrainingRun, request: TrainingRequest) -> None:
    """Raise QuoteRefused where a quote is for anything else than exactly this request."""
    _, asked = await _estimate_spec(client, request)
    different = differences(quote, asked)
    if different:
        name = quote.metadata.name
        raise QuoteRefused(
            f"quote {name} is for another request ({', '.join(different)}): ask for another estimate"
        )


def limit_of(estimate: Estimate) -> str:
    """spec.maxUSD of the training of an estimate: its high end and an allowance, rounded up to a cent."""
    limit = Decimal(estimate.high_usd) * ALLOWANCE
    return usd(str(limit.quantize(Decimal("0.01"), rounding=ROUND_CEILING)))


def quote_of(
    run: TrainingRun, *, agent_name: str, max_usd: str | None = None, dataset: str | None = None
) -> TrainingQuote:
    """The quote of an estimate that has succeeded. `max_usd`: the limit that the caller sets.

    `dataset`: its name; without it, it is named by what the run says.
    """
    estimate, data = run.status.estimate, run.status.dataset
    assert estimate is not None
    made = run.status.finished_at or datetime.now(UTC)
    return TrainingQuote(
        quote_id=run.metadata.name,
        agent_name=agent_name,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        dataset_id=dataset or run.spec.dataset.langsmith or (f"ls://{data.langsmith_id}" if data else ""),
        examples=data.train if data else 0,
        low_usd=float(estimate.low_usd),
        high_usd=float(estimate.high_usd),
        max_usd=float(usd(max_usd) if max_usd else limit_of(estimate)),
        low_minutes=estimate.low_minutes,
        high_minutes=estimate.high_minutes,
        flavor=estimate.flavor,
        valid_until=made + QUOTE_VALID,
        message=what_happens(run),
    )


async def _estimate_spec(client: AsyncClient, request: TrainingRequest) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of the TrainingRun that estimates the request. Raises ToolRefused."""
    agent, spec = await training_spec(client, request)
    limit = usd(request.max_usd or agent.spec.budget.monthly_usd)
    return agent, {**spec, "estimateOnly": True, "maxUSD": limit}


def _has_an_answer(run: TrainingRun) -> bool:
    return has_finished(run) or run.status.reason in WAITS_FOR_SETTINGS


def _is_usable_quote(run: TrainingRun) -> bool:
    return not has_finished(run) or (bool(has_succeeded(run)) and not _is_stale(run))


def _is_stale(run: TrainingRun) -> bool:
    ended = run.status.finished_at
    return ended is not None and datetime.now(UTC) - ended > QUOTE_VALID
