"""The tools that move an agent's traffic to a model."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.mcp_server.answers import DeploymentAnswer
from modelops.mcp_server.arguments import (
    AgentName,
    CandidateModel,
    IdempotencyKey,
    MaxUSD,
    QuoteId,
    RolloutId,
    ScorerName,
    Threshold,
    WaitSeconds,
    own_key,
)
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
from modelops.mcp_server.plan_facts import candidate, scorer_words, stable
from modelops.mcp_server.progress import reported
from modelops.mcp_server.services import Ctx
from modelops.tools import rollouts
from modelops.tools.amounts import usd
from modelops.tools.planning import Plan, plan_deployment
from modelops.tools.results import Deployment
from modelops.tools.rollouts import DeploymentRequest

Target = Annotated[
    Literal["huggingface", "openrouter"],
    Field(
        description="Where the model is to be served. What OpenRouter did not serve before is served by a Hugging "
        "Face endpoint."
    ),
]
Strategy = Annotated[
    str,
    Field(
        max_length=20,
        description="canary_<n>pct, such as canary_20pct: first n percent of the sessions for a day, then all; or "
        "immediate. Prefer a canary.",
    ),
]
UntilPromoted = Annotated[
    bool,
    Field(
        description="true keeps the canary at its first share until a person promotes it (promote_rollout), instead of "
        "for a day."
    ),
]


async def _offer(
    agent_name: str,
    model_repo: str,
    deployment_target: str,
    rollout_strategy: str,
    until_promoted: bool,
    scorer: str | None,
    threshold: str | None,
    max_usd: float | None,
    idempotency_key: str | None,
) -> Offer:
    request = DeploymentRequest(
        agent_name=agent_name,
        candidate_model=model_repo,
        deployment_target=deployment_target,
        rollout_strategy=rollout_strategy,
        until_promoted=until_promoted,
        scorer=scorer,
        threshold=threshold,
        max_usd=usd(max_usd) if max_usd is not None else None,
    )
    plan = await plan_deployment(current_caller().client, request, key=own_key(idempotency_key))
    return Offer(
        what=f"Move the sessions of agent {quoted(plan.agent.spec.agent)} to another model?",
        facts=(
            ("model", quoted(candidate(plan))),
            ("serves now", stable(plan)),
            ("served by", _served_by(plan, deployment_target)),
            ("scorer", quoted(scorer_words(plan))),
            ("how", _steps(plan)),
            ("cost", f"at most ${plan.spec['maxUSD']} until it serves all; its endpoint bills by the hour"),
            ("time", _duration(plan)),
            (
                "safety",
                "it is evaluated first and refused if it is worse; abort_rollout moves every session back",
            ),
        ),
        subject={"tool": "deploy_model_to_agent", **plan.basis},
        cost_usd=float(plan.spec["maxUSD"]),
        needs_nobody=plan.same is not None,
        request=plan.same.metadata.name if plan.same is not None else request,
    )


_confirmation = confirmation_of(_offer)


async def deploy_model_to_agent(
    ctx: Ctx,
    agent_name: AgentName,
    model_repo: CandidateModel,
    offer: Annotated[Offer, Resolve(_offer)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirmation)],
    deployment_target: Target = "huggingface",
    rollout_strategy: Strategy = "canary_20pct",
    until_promoted: UntilPromoted = False,
    scorer: ScorerName = None,
    threshold: Threshold = None,
    max_usd: MaxUSD = None,
    quote_id: QuoteId = None,
    wait_seconds: WaitSeconds = 0,
    idempotency_key: IdempotencyKey = None,
) -> DeploymentAnswer:
    """Make a trained model serve an agent: it is evaluated, gets a share of the sessions, is watched, and then serves
    all; if it is worse, every session goes back. It costs money and moves traffic, and a person must confirm it. It
    returns at once, unless wait_seconds is given; follow it with monitor_deployment."""
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return DeploymentAnswer(
            deployed=False,
            endpoint_url=None,
            version=None,
            rollout_pct=0,
            rollout_id="",
            agent_name=agent_name,
            status=status,
            finished=False,
            created=False,
            message=message,
            **quote.model_dump(),
        )

    async def again() -> Offer:
        return await _offer(
            agent_name,
            model_repo,
            deployment_target,
            rollout_strategy,
            until_promoted,
            scorer,
            threshold,
            max_usd,
            idempotency_key,
        )

    offer = await still_offered(ctx, offer, again)
    if isinstance(offer.request, str):  # It runs already, or this idempotency key has started it.
        known = await monitor_deployment(ctx, offer.request, wait_seconds)
        return DeploymentAnswer.model_validate(known.model_dump())
    async with reported(ctx, wait_seconds) as seen:
        found = await rollouts.deploy(
            current_caller().client,
            offer.request,
            wait_seconds=wait_seconds,
            key=own_key(idempotency_key),
            seen=seen,
            created_by=CREATED_BY,
        )
    return DeploymentAnswer.model_validate(found.model_dump())


async def monitor_deployment(ctx: Ctx, rollout_id: RolloutId, wait_seconds: WaitSeconds = 0) -> Deployment:
    """Say how a deployment goes: its phase, the share of the sessions that the new model has, and why it ended. With
    wait_seconds it waits for the end."""
    async with reported(ctx, wait_seconds) as seen:
        return await rollouts.read_deployment(
            current_caller().client, rollout_id, wait_seconds=wait_seconds, seen=seen
        )


def _served_by(plan: Plan, wanted: str) -> str:
    """OpenRouter serves only what it has served before: it takes no models of other people."""
    served = plan.record.served.get(plan.spec["candidate"].get("version", ""))
    name = {"openrouter": "OpenRouter", "huggingface": "a Hugging Face endpoint"}
    found = name[served.endpoint if served else "huggingface"]
    return found if found == name[wanted] else f"{found}, since {name[wanted]} does not serve this model"


def _steps(plan: Plan) -> str:
    if "canary" not in plan.spec["strategy"]:
        return "all sessions at once, after the evaluation has passed"
    first = plan.spec["strategy"]["canary"]["steps"][0]["setWeight"]
    pause = plan.spec["strategy"]["canary"]["steps"][1]["pause"]
    when = "then all" if pause else "then all once a person promotes it"
    return f"first {first} % of the sessions, {when}, after the evaluation has passed"


def _duration(plan: Plan) -> str:
    if "canary" not in plan.spec["strategy"]:
        return "most often less than an hour, with the start of the endpoint and the evaluation"
    pause = plan.spec["strategy"]["canary"]["steps"][1]["pause"].get("durationSeconds")
    if pause is None:
        return "until a person promotes, after the evaluation"
    return f"{pause / 3600:g} hours of canary, after the evaluation"
