"""`train_subagent_model`: starts the training of a confirmed quote, or one up to a limit."""

from __future__ import annotations

from decimal import Decimal

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import AsyncClient
from modelops.tools.amounts import usd
from modelops.tools.conditions import number
from modelops.tools.errors import ToolRefused
from modelops.tools.names import (
    IDEMPOTENCY,
    create_once,
    ensure_same_request,
    find_by_key,
    key_digest,
    work_of,
)
from modelops.tools.quotes import ensure_quote_is_for, limit_of, read_quote
from modelops.tools.results import TrainingJob
from modelops.tools.training_request import TrainingRequest, training_spec
from modelops.tools.waiting import follow


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


def job_of(run: TrainingRun, *, created: bool) -> TrainingJob:
    """A TrainingRun as the answer to the request that created it."""
    status = run.status
    name = run.metadata.name
    return TrainingJob(
        job_id=name,
        hub_repo=status.model.repo if status.model else None,
        estimated_cost=number(status.estimate.high_usd) if status.estimate else None,
        status_url=(status.job.url or None) if status.job else None,
        phase=status.phase.value,
        created=created,
        message=f"training {name} {'has started' if created else 'had been started already'}; follow it with: "
        f"{follow(run)}",
    )


async def _in_whose_name(client: AsyncClient) -> dict[str, str]:
    """`requestedBy`: who asks, as the API server knows the caller."""
    return {"requestedBy": (await client.whoami()).name}
