"""The tools that compare a model with the one that serves an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from mcp.server.mcpserver import ElicitationResult, Resolve
from pydantic import Field

from modelops.mcp_server.answers import ComparisonAnswer
from modelops.mcp_server.arguments import (
    AgentName,
    CandidateModel,
    EvaluationData,
    EvaluationId,
    IdempotencyKey,
    MaxUSD,
    Metrics,
    ProductionRuns,
    QuoteId,
    ScorerName,
    Target,
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
from modelops.mcp_server.plan_facts import answerer, candidate, scorer_words, stable
from modelops.mcp_server.progress import reported
from modelops.mcp_server.services import Ctx
from modelops.tools import rollouts
from modelops.tools.amounts import usd
from modelops.tools.evaluation_plan import PlanRequest, plan_of_evaluation
from modelops.tools.planning import plan_evaluation as plan_rollout
from modelops.tools.results import Comparison, EvaluationChances
from modelops.tools.rollouts import EvaluationRequest


async def _offer(
    agent_name: str,
    candidate_model: str,
    eval_dataset_id: str | None,
    metrics: list[str] | None,
    scorer: str | None,
    threshold: str | None,
    max_usd: float | None,
    idempotency_key: str | None,
    target: Literal["model", "agent"] | None,
    production_runs: int | None,
) -> Offer:
    request = EvaluationRequest(
        agent_name=agent_name,
        candidate_model=candidate_model,
        eval_dataset_id=eval_dataset_id,
        metrics=metrics or (),
        scorer=scorer,
        threshold=threshold,
        max_usd=usd(max_usd) if max_usd is not None else None,
        target=target,
        production_runs=production_runs,
    )
    plan = await plan_rollout(current_caller().client, request, key=own_key(idempotency_key))
    agent, dataset = plan.agent, plan.spec["evaluation"].get("dataset")
    own = agent.spec.langsmith.evaluation_dataset if agent.spec.langsmith else None
    return Offer(
        what=f"Compare a model with the one that serves agent {quoted(agent.spec.agent)}?",
        facts=(
            ("model", quoted(candidate(plan))),
            ("serves now", stable(plan)),
            ("evaluates", answerer(plan)),
            ("scorer", quoted(scorer_words(plan))),
            ("dataset", quoted(dataset or own or "the agent's own")),
            ("cost", f"at most ${plan.spec['maxUSD']}, for its endpoint and the answers of both models"),
            ("time", "most often less than an hour, with the start of the endpoint"),
            ("traffic", "none moves"),
        ),
        subject={"tool": "evaluate_model_vs_baseline", **plan.basis},
        cost_usd=float(plan.spec["maxUSD"]),
        needs_nobody=plan.same is not None,
        request=plan.same.metadata.name if plan.same is not None else request,
    )


_confirmation = confirmation_of(_offer)


async def plan_evaluation(
    agent_name: AgentName,
    examples: Annotated[
        int | None,
        Field(ge=1, le=20000, description="Held-out examples. Default: as in the agent's last evaluation."),
    ] = None,
    top_up_examples: Annotated[
        int | None,
        Field(
            ge=30,
            le=20000,
            description="Examples of both looks, 1.5 to 3 times `examples`, where a second look shall follow a first "
            "one that decides nothing. Default: one look.",
        ),
    ] = None,
    margin_points: Annotated[
        float | None,
        Field(
            ge=0,
            le=100,
            description="Percentage points by which the model may be worse. Default: the agent's.",
        ),
    ] = None,
    expected_gain_points: Annotated[
        float | None,
        Field(
            ge=0, le=100, description="Percentage points by which it is expected to be better. Default: 2."
        ),
    ] = None,
) -> EvaluationChances:
    """Say how probable it is that a model passes an evaluation with so many examples and such a margin: an equal one, a
    better one, a worse one. Nothing is created or spent. Use it before evaluate_model_vs_baseline, and when somebody
    asks how many examples it takes."""
    margin, gain = (None if one is None else str(one) for one in (margin_points, expected_gain_points))
    request = PlanRequest(
        agent_name=agent_name,
        examples=examples,
        top_up_examples=top_up_examples,
        margin_points=margin,
        gain_points=gain,
    )
    return await plan_of_evaluation(current_caller().client, request)


async def evaluate_model_vs_baseline(
    ctx: Ctx,
    agent_name: AgentName,
    candidate_model: CandidateModel,
    offer: Annotated[Offer, Resolve(_offer)],
    answer: Annotated[ElicitationResult[Confirm], Resolve(_confirmation)],
    eval_dataset_id: EvaluationData = None,
    metrics: Metrics = None,
    scorer: ScorerName = None,
    threshold: Threshold = None,
    max_usd: MaxUSD = None,
    quote_id: QuoteId = None,
    wait_seconds: WaitSeconds = 0,
    idempotency_key: IdempotencyKey = None,
    target: Target = None,
    production_runs: ProductionRuns = None,
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
        return await _offer(
            agent_name,
            candidate_model,
            eval_dataset_id,
            _names(metrics),
            scorer,
            threshold,
            max_usd,
            idempotency_key,
            target,
            production_runs,
        )

    offer = await still_offered(ctx, offer, again)
    if isinstance(offer.request, str):  # It runs already, or this idempotency key has started it.
        known = await monitor_evaluation(ctx, offer.request, metrics, wait_seconds)
        return ComparisonAnswer.model_validate(known.model_dump())
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


def _names(metrics: Sequence[str] | None) -> list[str] | None:
    return list(metrics) if metrics is not None else None
