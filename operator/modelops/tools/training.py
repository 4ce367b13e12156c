"""`train_subagent_model` and `monitor_training_job`: a quote, the training of a confirmed quote, and its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from pydantic import ValidationError

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import GROUP
from modelops.api.v1alpha1.training_config import TrainingConfig
from modelops.api.v1alpha1.trainingrun import Estimate, Method, TrainingPhase, TrainingRun
from modelops.client import AsyncClient, NotFound, has_finished
from modelops.tools.agents import find_agent
from modelops.tools.amounts import usd
from modelops.tools.conditions import has_succeeded, number, what_happens
from modelops.tools.errors import QuoteRefused, ToolRefused
from modelops.tools.names import (
    IDEMPOTENCY,
    create_once,
    differences,
    ensure_same_request,
    find_by_key,
    key_digest,
    work_of,
)
from modelops.tools.results import JobProgress, TrainingJob, TrainingQuote
from modelops.tools.waiting import ended, ended_or_latest

QUOTE_VALID: Final = timedelta(hours=1)
"""Time after which a quote is made again: prices and data may have changed."""
ALLOWANCE: Final = Decimal("1.05")
"""Factor of a quoted high end that a training may cost: it splits the data anew, so its own estimate differs a bit."""
Seen = Callable[[TrainingRun], None]


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What is to be trained. What is empty comes from the AgentModel, and then from the installation.

    `dataset_id`: `ls://<id or name>`. `training_config`: fields of TrainingConfig, in snake_case or camelCase.
    `max_usd`: the most that the training may cost, further attempts included; None for the quote's high end.
    """

    agent_name: str
    dataset_id: str | None = None
    base_model: str | None = None
    training_method: str = "sft"
    training_config: Mapping[str, Any] = field(default_factory=dict)
    flavor: str | None = None
    max_usd: str | None = None


async def training_spec(client: AsyncClient, request: TrainingRequest) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of the TrainingRun without `maxUSD`.

    Raises:
        ToolRefused: an unknown agent, method or field of training_config.
    """
    agent = await find_agent(client, request.agent_name)
    methods = [method.value for method in Method]
    if request.training_method not in methods:
        raise ToolRefused(
            f"{request.training_method!r} is no training method: use one of {', '.join(methods)}"
        )
    langsmith = agent.spec.langsmith
    if not request.dataset_id and not (langsmith and langsmith.training_dataset):
        raise ToolRefused(
            f"agent {agent.spec.agent} has no training dataset: name one as ls://<id or exact name>, or collect "
            f"examples first"
        )
    spec: dict[str, Any] = {
        "agentModelRef": {"name": agent.metadata.name},
        "method": request.training_method,
        "backend": {"huggingFace": {"flavor": request.flavor} if request.flavor else {}},
    }
    if request.dataset_id:
        spec["dataset"] = {"langsmith": request.dataset_id}
    if request.base_model:
        spec["baseModel"] = request.base_model
    if config := _config(request.training_config):
        spec["config"] = config
    return agent, spec


async def _estimate_spec(client: AsyncClient, request: TrainingRequest) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of the TrainingRun that estimates the request. Raises ToolRefused."""
    agent, spec = await training_spec(client, request)
    limit = usd(request.max_usd or agent.spec.budget.monthly_usd)
    return agent, {**spec, "estimateOnly": True, "maxUSD": limit}


async def estimate_training(
    client: AsyncClient,
    request: TrainingRequest,
    *,
    wait_seconds: float = 300,
    seen: Seen | None = None,
    created_by: str = "modelops",
) -> TrainingQuote:
    """What the training would cost, by a TrainingRun that only estimates. It spends nothing.

    Raises:
        ToolRefused: the estimate failed, or would not be paid for; the message is the operator's.
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
    run = await ended(client.training_runs, run, wait_seconds=wait_seconds, seen=seen)
    if not has_succeeded(run):
        raise ToolRefused(f"no estimate: {what_happens(run)}")
    return quote_of(run, agent_name=agent.spec.agent, max_usd=request.max_usd)


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


async def start_training(
    client: AsyncClient,
    quote_id: str,
    *,
    expected: TrainingRequest | None = None,
    max_usd: str | None = None,
    key: str | None = None,
    created_by: str = "modelops",
    dry_run: bool = False,
) -> TrainingJob:
    """Start the training of a confirmed quote: the same spec and version of the data, at most at the quoted price.

    Confirming a quote twice starts one training. `expected`: the request that the caller repeats with the quote, which
    must be the quoted one. `max_usd` allows for further attempts above the quoted price. `key`: the caller's own
    idempotency key, by which `find_started` finds the training, also after the quote has expired.

    Raises:
        QuoteRefused: it is not there, has expired, or is for another request.
    """
    quote = await read_quote(client, quote_id)
    if expected is not None:
        await ensure_quote_is_for(client, quote, expected)
    estimate, data = quote.status.estimate, quote.status.dataset
    assert estimate is not None
    spec = work_of(quote.spec)
    spec.pop("estimateOnly")
    spec["maxUSD"] = usd(max_usd) if max_usd else limit_of(estimate)
    if Decimal(spec["maxUSD"]) < Decimal(estimate.high_usd):
        raise ToolRefused(f"the training costs up to ${estimate.high_usd}, and max_usd is ${spec['maxUSD']}")
    if data is not None and data.as_of:
        spec["dataset"] = {**spec.get("dataset", {}), "asOf": data.as_of}
    spec.update(await _in_whose_name(client))
    run, created = await create_once(
        client,
        client.training_runs,
        quote.spec.agent_model_ref.name,
        "train",
        spec,
        key=quote.metadata.uid,
        created_by=created_by,
        labels={IDEMPOTENCY: key_digest(key)} if key else None,
        dry_run=dry_run,
    )
    return job_of(run, created=created)


async def find_started(client: AsyncClient, request: TrainingRequest, *, key: str) -> TrainingJob | None:
    """The training that was started with this idempotency key; None where there is none yet.

    Raises:
        Conflict: the key was used for another request.
    """
    run = await find_by_key(client.training_runs, key)
    if run is None:
        return None
    _, spec = await training_spec(client, request)
    spec["maxUSD"] = usd(request.max_usd) if request.max_usd else run.spec.max_usd
    if as_of := run.spec.dataset.as_of:  # From the quote.
        spec["dataset"] = {**spec.get("dataset", {}), "asOf": as_of}
    ensure_same_request(run, spec, key=key)
    return job_of(run, created=False)


async def start_training_up_to(
    client: AsyncClient,
    request: TrainingRequest,
    *,
    key: str | None = None,
    created_by: str = "modelops",
    dry_run: bool = False,
) -> TrainingJob:
    """Start a training without a quote: it is refused before anything is spent if its price is above `max_usd`.

    `key`: an idempotency key; two requests with the same key start one training.

    Raises:
        ToolRefused: `max_usd` is not given.
    """
    if not request.max_usd:
        raise ToolRefused("give the most that the training may cost (max_usd), or ask for an estimate first")
    agent, spec = await training_spec(client, request)
    spec |= {"maxUSD": usd(request.max_usd), **await _in_whose_name(client)}
    run, created = await create_once(
        client,
        client.training_runs,
        agent.metadata.name,
        "train",
        spec,
        key=key,
        created_by=created_by,
        dry_run=dry_run,
    )
    return job_of(run, created=created)


async def monitor_training(
    client: AsyncClient, job_id: str, *, wait_seconds: float = 0, seen: Seen | None = None
) -> JobProgress:
    """How a training goes; with `wait_seconds` once it has ended, or that time has passed.

    `job_id`: the name of the TrainingRun, or the id of its job at Hugging Face.

    Raises:
        NotFound: there is no such training; the message has the nearest names.
    """
    run = await find_run(client, job_id)
    if wait_seconds > 0:
        run = await ended_or_latest(client.training_runs, run, wait_seconds=wait_seconds, seen=seen)
    return progress_of(run)


async def find_run(client: AsyncClient, job_id: str) -> TrainingRun:
    """The TrainingRun of that name, or whose job at the service has that id. Raises NotFound."""
    try:
        return await client.training_runs.get(job_id)
    except NotFound as missing:
        for run in (await client.training_runs.list()).items:
            jobs = [attempt.job for attempt in run.status.attempts]
            if job_id in (*jobs, run.status.job.id if run.status.job else ""):
                return run
        raise missing


def limit_of(estimate: Estimate) -> str:
    """spec.maxUSD of the training of an estimate: its high end and an allowance, rounded up to a cent."""
    limit = Decimal(estimate.high_usd) * ALLOWANCE
    return usd(str(limit.quantize(Decimal("0.01"), rounding=ROUND_CEILING)))


def quote_of(run: TrainingRun, *, agent_name: str, max_usd: str | None = None) -> TrainingQuote:
    """The quote of an estimate that has succeeded. `max_usd`: the limit that the caller sets."""
    estimate, data = run.status.estimate, run.status.dataset
    assert estimate is not None
    made = run.status.finished_at or datetime.now(UTC)
    return TrainingQuote(
        quote_id=run.metadata.name,
        agent_name=agent_name,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        dataset_id=(run.spec.dataset.langsmith or "") if run.spec.dataset else "",
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


def job_of(run: TrainingRun, *, created: bool) -> TrainingJob:
    """A TrainingRun as the answer to the request that created it."""
    status = run.status
    name, place = run.metadata.name, run.metadata.namespace
    follow = f"kubectl -n {place} get trainingruns.{GROUP} {name} --watch"
    return TrainingJob(
        job_id=name,
        hub_repo=status.model.repo if status.model else None,
        estimated_cost=number(status.estimate.high_usd) if status.estimate else None,
        status_url=(status.job.url or None) if status.job else None,
        phase=status.phase.value,
        created=created,
        message=f"training {name} {'has started' if created else 'had been started already'}; follow it with: {follow}",
    )


def progress_of(run: TrainingRun) -> JobProgress:
    """A TrainingRun as the answer to the question how it goes."""
    status, progress = run.status, run.status.progress
    done = status.phase is TrainingPhase.SUCCEEDED
    return JobProgress(
        status=status.phase.value,
        progress_pct=100 if done else progress.percent if progress else 0,
        current_loss=number(progress.loss) if progress else None,
        eta_minutes=None if has_finished(run) or progress is None else progress.eta_minutes,
        hub_repo=status.model.repo if status.model else None,
        job_id=run.metadata.name,
        agent_name=run.spec.agent_model_ref.name,
        finished=has_finished(run),
        succeeded=bool(has_succeeded(run)),
        version=(status.model.version or None) if status.model else None,
        cost_usd=number(status.cost_usd),
        status_url=(status.job.url or None) if status.job else None,
        message=what_happens(run),
    )


async def _in_whose_name(client: AsyncClient) -> dict[str, str]:
    """`requestedBy`: who asks, as the API server knows the caller."""
    return {"requestedBy": (await client.whoami()).name}


def _is_usable_quote(run: TrainingRun) -> bool:
    return not has_finished(run) or (bool(has_succeeded(run)) and not _is_stale(run))


def _is_stale(run: TrainingRun) -> bool:
    ended = run.status.finished_at
    return ended is not None and datetime.now(UTC) - ended > QUOTE_VALID


def _config(given: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides in the wire's form: numbers that the API stores as decimal strings may be given as numbers."""
    texts = {"learning_rate", "learningRate", "warmup_ratio", "warmupRatio", "beta"}
    prepared = {
        name: format(Decimal(str(value)), "f") if name in texts and isinstance(value, int | float) else value
        for name, value in given.items()
    }
    try:
        return TrainingConfig.model_validate(prepared).wire()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = ", ".join(TrainingConfig.model_fields)
        raise ToolRefused(
            f"training_config.{'.'.join(map(str, first['loc']))}: {first['msg']}; its fields are {known}"
        ) from error
