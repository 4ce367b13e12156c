"""The tools that compare a model with the one that serves an agent, and that move the agent's traffic to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.mcp_server.answers import ComparisonAnswer, DeploymentAnswer
from modelops.mcp_server.arguments import (
    AgentName,
    CandidateModel,
    EvaluationData,
    EvaluationId,
    IdempotencyKey,
    MaxUSD,
    Metrics,
    QuoteId,
    RolloutId,
    WaitSeconds,
    own_key,
)
from modelops.mcp_server.callers import current_caller
from modelops.mcp_server.confirming import (
    Confirm,
    Offer,
    confirmation_of,
    ensure_unchanged,
    is_confirmed,
    quoted,
    unconfirmed,
)
from modelops.mcp_server.progress import reported
from modelops.mcp_server.services import Ctx
from modelops.tools import rollouts
from modelops.tools.amounts import usd
from modelops.tools.planning import Plan, plan_deployment, plan_evaluation
from modelops.tools.results import Comparison, Deployment
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest

CREATED_BY: Final = "modelops-mcp"
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


async def _offer_evaluation(
    agent_name: str,
    candidate_model: str,
    eval_dataset_id: str | None,
    metrics: list[str] | None,
    max_usd: float | None,
    idempotency_key: str | None,
) -> Offer:
    request = EvaluationRequest(
        agent_name=agent_name,
        candidate_model=candidate_model,
        eval_dataset_id=eval_dataset_id,
        metrics=metrics or (),
        max_usd=usd(max_usd) if max_usd is not None else None,
    )
    plan = await plan_evaluation(current_caller().client, request, key=own_key(idempotency_key))
    agent, dataset = plan.agent, plan.spec["evaluation"].get("dataset")
    own = agent.spec.langsmith.evaluation_dataset if agent.spec.langsmith else None
    return Offer(
        what=f"Compare a model with the one that serves agent {quoted(agent.spec.agent)}?",
        facts=(
            ("model", quoted(_candidate(plan))),
            ("serves now", _stable(plan)),
            ("dataset", quoted(dataset or own or "the agent's own")),
            ("cost", f"at most ${plan.spec['maxUSD']}, for its endpoint and the answers of both models"),
            ("time", "most often less than an hour, with the start of the endpoint"),
            ("traffic", "none moves"),
        ),
        subject={"tool": "evaluate_model_vs_baseline", **plan.basis},
        cost_usd=float(plan.spec["maxUSD"]),
        needs_nobody=plan.same is not None,
        request=request,
    )


_confirm_evaluation = confirmation_of(_offer_evaluation)


async def evaluate_model_vs_baseline(
    ctx: Ctx,
    agent_name: AgentName,
    candidate_model: CandidateModel,
    offer: Annotated[Offer, Resolve(_offer_evaluation)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_evaluation)],
    eval_dataset_id: EvaluationData = None,
    metrics: Metrics = None,
    max_usd: MaxUSD = None,
    quote_id: QuoteId = None,
    wait_seconds: WaitSeconds = 0,
    idempotency_key: IdempotencyKey = None,
) -> ComparisonAnswer:
    """Compare a trained model with the one that serves the agent now, on held-out examples: quality with its
    confidence interval, latency, cost, and a recommendation. It costs money, and a person must confirm it. No traffic
    moves. It returns at once, unless wait_seconds is given; follow it with monitor_evaluation."""
    if not is_confirmed(answer):
        status, message, quote = unconfirmed(ctx, offer)
        return ComparisonAnswer(
            baseline_score=None,
            candidate_score=None,
            improvement_pct=None,
            recommendation=None,
            langsmith_experiment_url=None,
            evaluation_id="",
            agent_name=agent_name,
            status=status,
            finished=False,
            interval_points=None,
            examples=0,
            metrics=(),
            findings=(),
            created=False,
            message=message,
            **quote.model_dump(),
        )

    async def again() -> Offer:
        return await _offer_evaluation(
            agent_name, candidate_model, eval_dataset_id, _names(metrics), max_usd, idempotency_key
        )

    await ensure_unchanged(ctx, offer, again)
    async with reported(ctx, wait_seconds) as seen:
        found = await rollouts.evaluate(
            current_caller().client,
            offer.request,
            wait_seconds=wait_seconds,
            key=own_key(idempotency_key),
            seen=seen,
            created_by=CREATED_BY,
        )
    return ComparisonAnswer.model_validate(found.model_dump())


async def monitor_evaluation(
    ctx: Ctx, evaluation_id: EvaluationId, metrics: Metrics = None, wait_seconds: WaitSeconds = 0
) -> Comparison:
    """Say how an evaluation goes, and what it found in the end. With wait_seconds it waits for the end."""
    async with reported(ctx, wait_seconds) as seen:
        return await rollouts.read_evaluation(
            current_caller().client,
            evaluation_id,
            wait_seconds=wait_seconds,
            metrics=_names(metrics) or (),
            seen=seen,
        )


async def _offer_deployment(
    agent_name: str,
    model_repo: str,
    deployment_target: str,
    rollout_strategy: str,
    max_usd: float | None,
    idempotency_key: str | None,
) -> Offer:
    request = DeploymentRequest(
        agent_name=agent_name,
        candidate_model=model_repo,
        deployment_target=deployment_target,
        rollout_strategy=rollout_strategy,
        max_usd=usd(max_usd) if max_usd is not None else None,
    )
    plan = await plan_deployment(current_caller().client, request, key=own_key(idempotency_key))
    return Offer(
        what=f"Move the sessions of agent {quoted(plan.agent.spec.agent)} to another model?",
        facts=(
            ("model", quoted(_candidate(plan))),
            ("serves now", _stable(plan)),
            ("served by", _served_by(plan, deployment_target)),
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
        request=request,
    )


_confirm_deployment = confirmation_of(_offer_deployment)


async def deploy_model_to_agent(
    ctx: Ctx,
    agent_name: AgentName,
    model_repo: CandidateModel,
    offer: Annotated[Offer, Resolve(_offer_deployment)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirm_deployment)],
    deployment_target: Target = "huggingface",
    rollout_strategy: Strategy = "canary_20pct",
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
        return await _offer_deployment(
            agent_name, model_repo, deployment_target, rollout_strategy, max_usd, idempotency_key
        )

    await ensure_unchanged(ctx, offer, again)
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


def _names(metrics: Sequence[str] | None) -> list[str] | None:
    return list(metrics) if metrics is not None else None


def _candidate(plan: Plan) -> str:
    candidate = plan.spec["candidate"]
    if "version" in candidate:
        return str(candidate["version"])
    return f"{candidate['model']['repo']}@{candidate['model']['revision']}"


def _stable(plan: Plan) -> str:
    stable = plan.record.stable
    return f"{quoted(stable.version)}, {quoted(stable.model)}"


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
    return f"first {first} % of the sessions, then all, after the evaluation has passed"


def _duration(plan: Plan) -> str:
    if "canary" not in plan.spec["strategy"]:
        return "most often less than an hour, with the start of the endpoint and the evaluation"
    pause = plan.spec["strategy"]["canary"]["steps"][1]["pause"]["durationSeconds"]
    return f"{pause / 3600:g} hours of canary, after the evaluation"
