"""`evaluate_model_vs_baseline` and `deploy_model_to_agent`: Rollouts that only evaluate, and that move traffic."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget
from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import ArmResult, Rollout, RolloutPhase
from modelops.api.v1alpha1.top_up import LookResult
from modelops.client import AsyncClient, has_finished
from modelops.domain.reasons import RolloutReason
from modelops.domain.versions import release_version
from modelops.tools.agents import find_agent
from modelops.tools.amounts import usd
from modelops.tools.candidates import candidate_of, read_record
from modelops.tools.conditions import number, what_happens
from modelops.tools.errors import ToolRefused
from modelops.tools.metrics import metric_lines
from modelops.tools.names import create_once
from modelops.tools.results import Comparison, Deployment, LookAtResults, MetricComparison
from modelops.tools.waiting import decided_or_latest, ended_or_latest, follow

METRICS: Final = ("accuracy", "latency", "cost_per_1k_tokens")
TARGETS: Final = ("huggingface", "openrouter")
EVALUATE, DEPLOY = "evaluate", "deploy"
"""Purposes of Rollouts, which are part of their names."""
EVALUATE_ONLY: Final[dict[str, Any]] = {"strategy": {"evaluateOnly": {}}}
PAUSE_SECONDS: Final = 86400
"""Analysed time of a canary, as the default of the API: a day."""
_CANARY = re.compile(r"^canary_([1-9]|[1-9][0-9])pct$")
Seen = Callable[[Rollout], None]


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What is to be compared with the stable model.

    `candidate_model`: see `candidates.candidate_of`. `scorer`: exact, json, …, as the API names it, or `custom:<name>`
    for a team's own; `threshold` and `margin_points` as there. What is None comes from the agent's last Rollout, and
    then from the API's defaults. The scorer has none: it comes from the AgentModel's langsmith.scorer, and without that
    the Rollout ends before anything is paid, with a suggestion from the dataset.
    `top_up_examples`: examples of both looks, where there shall be a second one if the first decides nothing.
    `accept_low_power` never comes from there: it is about one evaluation.
    `max_usd`: the most that it may cost; None for the approval threshold of the agent, of a deployment for the month's
    budget, of which what is above the threshold needs an approval. `target`: model, or agent to ask the agent itself.
    `production_runs`: recent runs of production whose inputs are asked as well; 0 for none.
    """

    agent_name: str
    candidate_model: str
    eval_dataset_id: str | None = None
    metrics: Sequence[str] = ()
    scorer: str | None = None
    threshold: str | None = None
    margin_points: str | None = None
    max_examples: int | None = None
    top_up_examples: int | None = None
    expected_gain_points: str | None = None
    accept_low_power: bool = False
    max_usd: str | None = None
    target: str | None = None
    production_runs: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentRequest(EvaluationRequest):
    """What is to serve the agent. `rollout_strategy`: immediate, or canary_<n>pct with n from 1 to 99.

    `until_promoted`: the canary keeps its share until a person promotes it, instead of for `pause_seconds`.
    """

    deployment_target: str = "huggingface"
    rollout_strategy: str = "canary_20pct"
    pause_seconds: int = PAUSE_SECONDS
    until_promoted: bool = False
    analysis: Mapping[str, Any] = field(default_factory=dict)


async def evaluate(
    client: AsyncClient,
    request: EvaluationRequest,
    *,
    wait_seconds: float = 0,
    key: str | None = None,
    seen: Seen | None = None,
    created_by: str = "modelops",
    dry_run: bool = False,
    wait_for_decision: bool = False,
) -> Comparison:
    """Compare a model with the one that serves the agent, on held-out examples. No traffic moves.

    The same request again returns the same evaluation while it runs. `wait_for_decision`: wait a few seconds until it
    is refused, asks a person, or goes on.

    Raises:
        ToolRefused: an unknown agent, model or metric, or no held-out dataset.
    """
    _known_metrics(request.metrics)
    agent, spec = await evaluation_spec(client, request)
    rollout, created = await create_once(
        client,
        client.rollouts,
        agent.metadata.name,
        EVALUATE,
        spec | EVALUATE_ONLY,
        key=key,
        created_by=created_by,
        dry_run=dry_run,
    )
    if wait_seconds > 0 and not dry_run:
        rollout = await ended_or_latest(client.rollouts, rollout, wait_seconds=wait_seconds, seen=seen)
    elif wait_for_decision and not dry_run:
        rollout = await decided_or_latest(client.rollouts, rollout)
    return comparison_of(rollout, agent, created=created, metrics=request.metrics)


async def read_evaluation(
    client: AsyncClient,
    evaluation_id: str,
    *,
    wait_seconds: float = 0,
    metrics: Sequence[str] = (),
    seen: Seen | None = None,
) -> Comparison:
    """How an evaluation goes, by its name. Raises NotFound."""
    _known_metrics(metrics)
    rollout = await client.rollouts.get(evaluation_id)
    if wait_seconds > 0:
        rollout = await ended_or_latest(client.rollouts, rollout, wait_seconds=wait_seconds, seen=seen)
    agent = await client.agent_models.get(rollout.spec.agent_model_ref.name)
    return comparison_of(rollout, agent, created=False, metrics=metrics)


async def deploy(
    client: AsyncClient,
    request: DeploymentRequest,
    *,
    wait_seconds: float = 0,
    key: str | None = None,
    seen: Seen | None = None,
    created_by: str = "modelops",
    dry_run: bool = False,
    wait_for_decision: bool = False,
) -> Deployment:
    """Move an agent's traffic to a model: it is evaluated first, and then gets the traffic in steps, or at once.

    The same request again returns the same rollout while it runs. `wait_for_decision`: as of `evaluate`.

    Raises:
        ToolRefused: an unknown agent, model, target or strategy.
    """
    agent, spec = await deployment_spec(client, request)
    rollout, created = await create_once(
        client,
        client.rollouts,
        agent.metadata.name,
        DEPLOY,
        spec,
        key=key,
        created_by=created_by,
        dry_run=dry_run,
    )
    if wait_seconds > 0 and not dry_run:
        rollout = await ended_or_latest(client.rollouts, rollout, wait_seconds=wait_seconds, seen=seen)
    elif wait_for_decision and not dry_run:
        rollout = await decided_or_latest(client.rollouts, rollout)
    return deployment_of(rollout, agent, created=created)


async def read_deployment(
    client: AsyncClient, rollout_id: str, *, wait_seconds: float = 0, seen: Seen | None = None
) -> Deployment:
    """How a deployment goes, by its name. Raises NotFound."""
    rollout = await client.rollouts.get(rollout_id)
    if wait_seconds > 0:
        rollout = await ended_or_latest(client.rollouts, rollout, wait_seconds=wait_seconds, seen=seen)
    agent = await client.agent_models.get(rollout.spec.agent_model_ref.name)
    return deployment_of(rollout, agent, created=False)


async def evaluation_spec(
    client: AsyncClient, request: EvaluationRequest
) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of a Rollout without its strategy. Raises ToolRefused."""
    agent, spec, _ = await _spec_and_last_rollout(client, request)
    return agent, spec


async def _spec_and_last_rollout(
    client: AsyncClient, request: EvaluationRequest
) -> tuple[AgentModel, dict[str, Any], Rollout | None]:
    """`evaluation_spec`, and the Rollout that its defaults come from."""
    agent = await find_agent(client, request.agent_name)
    langsmith = agent.spec.langsmith
    if not request.eval_dataset_id and not (langsmith and langsmith.evaluation_dataset):
        raise ToolRefused(
            f"agent {agent.spec.agent} has no held-out dataset: name one as ls://<id or exact name>; its examples must "
            "not be trained on"
        )
    candidate = candidate_of(await read_record(client, agent), request.candidate_model)
    last = await last_rollout(client, agent)
    evaluation: dict[str, Any] = last.spec.evaluation.wire() if last else {}
    evaluation.pop("acceptLowPower", None)
    if request.eval_dataset_id:
        evaluation["dataset"] = request.eval_dataset_id
    evaluation |= _scorer(request, agent, evaluation.get("scorer"))
    if request.margin_points:
        evaluation["marginPoints"] = request.margin_points
    evaluation |= _looks(request, evaluation)
    if request.expected_gain_points:
        evaluation["expectedGainPoints"] = request.expected_gain_points
    if request.target:
        evaluation["target"] = _target(request.target, agent)
    if request.production_runs is not None:
        evaluation |= _production_sample(request.production_runs, evaluation.get("productionSample"))
        if not request.production_runs:
            evaluation.pop("productionSample", None)
    if request.accept_low_power:
        evaluation["acceptLowPower"] = True
    spec = {
        "agentModelRef": {"name": agent.metadata.name},
        "candidate": candidate,
        "evaluation": evaluation,
        "maxUSD": usd(request.max_usd or agent.spec.budget.approval_above_usd),
        "requestedBy": (await client.whoami()).name,
    }
    return agent, spec, last


def _looks(request: EvaluationRequest, evaluation: dict[str, Any]) -> dict[str, Any]:
    """The fields for the number of examples and of looks, as the request changes them.

    What does not fit to them is taken out of `evaluation`, which is that of the agent's last Rollout: a second look of
    another first one, and a question to a person where no canary could be tried.
    """
    changed: dict[str, Any] = {"maxExamples": request.max_examples} if request.max_examples else {}
    if request.top_up_examples:
        changed |= {"topUp": {"maxExamples": request.top_up_examples}, "onInconclusive": "TopUp"}
    elif request.max_examples and evaluation.pop("topUp", None):
        evaluation.pop("onInconclusive", None)
    moves_in_steps = isinstance(request, DeploymentRequest) and request.rollout_strategy != "immediate"
    if evaluation.get("onInconclusive") == "RequireApproval" and not moves_in_steps:
        evaluation.pop("onInconclusive")
    return changed


def _target(target: str, agent: AgentModel) -> str:
    """The field `target`. Raises ToolRefused where nothing says how the agent is asked."""
    if target not in list(EvaluationTarget):
        raise ToolRefused(f"{target!r} is nothing that is evaluated: use model or agent")
    settings = agent.spec.evaluation
    if target == EvaluationTarget.AGENT and (settings is None or settings.agent is None):
        raise ToolRefused(
            f"AgentModel {agent.metadata.name} does not say how the agent is asked: set spec.evaluation.agent to its "
            "url or entryPoint, or evaluate the model only"
        )
    return target


def _production_sample(runs: int, last: dict[str, Any] | None) -> dict[str, Any]:
    """The field `productionSample` with so many runs; its other values are those of the last Rollout."""
    return {"productionSample": {**(last or {}), "runs": runs}} if runs else {}


def _scorer(request: EvaluationRequest, agent: AgentModel, last: dict[str, Any] | None) -> dict[str, Any]:
    """The field `scorer` of an evaluation as the request changes it; empty where it changes nothing.

    `last`: the scorer of the agent's last Rollout, where that named one. Raises ToolRefused.
    """
    if request.scorer:
        kind, _, name = request.scorer.partition(":")
        scorer = {"type": kind, **({"name": name} if name else {})}
    elif not request.threshold:
        return {}
    else:
        own = agent.spec.langsmith.scorer if agent.spec.langsmith else None
        scorer = last or (own.wire() if own else {})
        if not scorer:
            raise ToolRefused(
                f"threshold {request.threshold} is of no use without a scorer, and neither a Rollout nor the "
                f"AgentModel of {agent.spec.agent} names one: name it as well, such as chrF"
            )
    threshold = {"threshold": request.threshold} if request.threshold else {}
    return {"scorer": {**scorer, **threshold}}


async def deployment_spec(
    client: AsyncClient, request: DeploymentRequest
) -> tuple[AgentModel, dict[str, Any]]:
    """The AgentModel, and the spec of a Rollout that moves traffic. Raises ToolRefused."""
    if request.deployment_target not in TARGETS:
        raise ToolRefused(f"{request.deployment_target!r} is no target: use one of {', '.join(TARGETS)}")
    strategy = strategy_of(
        request.rollout_strategy, pause_seconds=None if request.until_promoted else request.pause_seconds
    )
    agent, spec, last = await _spec_and_last_rollout(client, request)
    spec["strategy"] = strategy
    # A canary of a day costs more than what may go unapproved: then the rollout asks a person.
    spec["maxUSD"] = usd(request.max_usd or agent.spec.budget.monthly_usd)
    if last is not None or request.analysis:
        spec["analysis"] = {**(last.spec.analysis.wire() if last else {}), **request.analysis}
    if request.pause_seconds >= 86400 and not request.until_promoted:
        spec["progressDeadlineSeconds"] = 2 * request.pause_seconds
    return agent, spec


def strategy_of(rollout_strategy: str, *, pause_seconds: int | None = PAUSE_SECONDS) -> dict[str, Any]:
    """`spec.strategy` for `immediate` or `canary_<n>pct`. Raises ToolRefused.

    `pause_seconds`: None for a pause until a person promotes.
    """
    if rollout_strategy == "immediate":
        return {"immediate": {}}
    found = _CANARY.match(rollout_strategy)
    if not found:
        raise ToolRefused(
            f"{rollout_strategy!r} is no strategy: use immediate, or canary_<n>pct with n from 1 to 99, such as "
            "canary_20pct"
        )
    steps = [
        {"setWeight": int(found[1])},
        {"pause": {"durationSeconds": pause_seconds} if pause_seconds is not None else {}},
        {"setWeight": 100},
    ]
    return {"canary": {"steps": steps}}


def comparison_of(
    rollout: Rollout, agent: AgentModel, *, created: bool, metrics: Sequence[str]
) -> Comparison:
    """A Rollout as the answer to the question which model is better."""
    status = rollout.status.evaluated
    baseline, candidate = (status.baseline, status.candidate) if status else (None, None)
    interval = [number(one) for one in status.interval_points] if status else []
    low, high = interval if len(interval) == 2 else (None, None)
    return Comparison(
        baseline_score=number(baseline.success) if baseline else None,
        candidate_score=number(candidate.success) if candidate else None,
        improvement_pct=number(status.difference_points) if status else None,
        recommendation=(status.recommendation or None) if status else None,
        langsmith_experiment_url=(status.experiment_url or None) if status else None,
        evaluation_id=rollout.metadata.name,
        target=(rollout.spec.evaluation.target or EvaluationTarget.MODEL).value,
        agent_name=agent.spec.agent,
        status=rollout.status.phase.value,
        finished=has_finished(rollout),
        interval_points=(low, high) if low is not None and high is not None else None,
        examples=status.examples if status else 0,
        metrics=tuple(_metric(name, baseline, candidate) for name in (metrics or METRICS)) if status else (),
        findings=status.findings if status else (),
        created=created,
        message=what_happens(rollout),
        report_url=(status.report_url or None) if status else None,
        looks=tuple(_look(one) for one in status.looks) if status else (),
    )


def _look(one: LookResult) -> LookAtResults:
    low, high = (number(end) for end in one.interval_points)
    return LookAtResults(
        examples=one.examples,
        error_pct=float(one.error_percent),
        improvement_pct=number(one.difference_points),
        interval_points=(low, high) if low is not None and high is not None else None,
        verdict=one.verdict,
    )


def deployment_of(rollout: Rollout, agent: AgentModel, *, created: bool) -> Deployment:
    """A Rollout as the answer to the question whether its model serves the agent."""
    status = rollout.status
    deployed = status.phase is RolloutPhase.SUCCEEDED and rollout.spec.strategy.evaluate_only is None
    candidate = status.candidate
    following = "" if has_finished(rollout) else f"; follow it with: {follow(rollout)}"
    return Deployment(
        deployed=deployed,
        endpoint_url=(candidate.endpoint_url or None) if candidate else None,
        version=_version(candidate.version, deployed=deployed) if candidate else None,
        rollout_pct=100 if deployed else status.weight,
        rollout_id=rollout.metadata.name,
        agent_name=agent.spec.agent,
        status=status.phase.value,
        finished=has_finished(rollout),
        awaits_approval=status.offer is not None and not has_finished(rollout),
        awaits_promotion=status.reason == RolloutReason.WaitingForPromotion.value,
        created=created,
        message=what_happens(rollout) + following,
        forecast=status.forecast.message if status.forecast is not None else "",
        metrics=metric_lines(rollout),
    )


def _version(version: str, *, deployed: bool) -> str | None:
    """The candidate's version; a release candidate that was promoted is a release."""
    return release_version(version) if deployed and version else version or None


def _metric(name: str, baseline: ArmResult | None, candidate: ArmResult | None) -> MetricComparison:
    read: dict[str, tuple[Callable[[ArmResult], float | None], str]] = {
        "accuracy": (lambda arm: number(arm.success), "share of examples, 0 to 1"),
        "latency": (lambda arm: arm.latency_p50_milliseconds, "milliseconds, median"),
        "cost_per_1k_tokens": (lambda arm: number(arm.usd_per_1000_tokens), "US dollars"),
    }
    value, unit = read[name]
    return MetricComparison.model_validate(
        {
            "name": name,
            "baseline": value(baseline) if baseline else None,
            "candidate": value(candidate) if candidate else None,
            "unit": unit,
        }
    )


def _known_metrics(metrics: Sequence[str]) -> None:
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ToolRefused(f"unknown metrics {', '.join(unknown)}: use any of {', '.join(METRICS)}")


async def last_rollout(client: AsyncClient, agent: AgentModel) -> Rollout | None:
    """The agent's newest Rollout with an evaluation: the team's own scorer, margin and limits."""
    mine = [
        one
        for one in (await client.rollouts.list()).items
        if one.spec.agent_model_ref.name == agent.metadata.name and one.status.evaluated is not None
    ]
    return max(mine, key=lambda one: str(one.metadata.creation_timestamp), default=None)
