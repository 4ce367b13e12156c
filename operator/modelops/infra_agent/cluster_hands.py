"""`Hands` on a cluster, in the rights of the client's caller."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import AsyncClient, has_finished
from modelops.domain.nearest import did_you_mean
from modelops.infra_agent.hands import AgentFacts, GoingOn, Offer, Prepared, Running, TeamSettings, WayBack
from modelops.infra_agent.ways_back import way_back
from modelops.tools import (
    approval,
    collecting,
    control,
    history,
    planning,
    promoting,
    quotes,
    rollback,
    rollouts,
    spending,
    training,
    training_progress,
)
from modelops.tools.agents import find_agent
from modelops.tools.conditions import what_happens
from modelops.tools.errors import QuoteRefused, ToolRefused
from modelops.tools.evaluation_plan import PlanRequest, plan_of_evaluation
from modelops.tools.names import find_by_key
from modelops.tools.results import (
    AgentModels,
    Change,
    Comparison,
    Deployment,
    EvaluationChances,
    JobProgress,
    Spending,
    TrainingJob,
    TrainingQuote,
)
from modelops.tools.situation import active_rollouts, read_situation
from modelops.tools.training_request import TrainingRequest

if TYPE_CHECKING:
    from langsmith import Client

CREATED_BY: Final = "modelops-conversation"
ESTIMATE_SECONDS: Final = 120.0
"""The longest that one turn waits for an estimate. The estimate goes on, and the next request finds it."""


class ClusterHands:
    """See `Hands`."""

    def __init__(self, client: AsyncClient, langsmith: Client | None = None) -> None:
        """`langsmith`: reads traces and makes datasets; None where nobody may ask for that in conversation."""
        self._client = client
        self._langsmith = langsmith

    async def agents(self) -> tuple[str, ...]:
        listed = (await self._client.agent_models.list()).items
        return tuple(dict.fromkeys(one.spec.agent for one in listed))

    async def _agent_names(self) -> dict[str, str]:
        """The agents' names by those of their AgentModels."""
        listed = (await self._client.agent_models.list()).items
        return {one.metadata.name: one.spec.agent for one in listed}

    async def facts(self, agent: str) -> AgentFacts:
        found = await find_agent(self._client, agent)
        langsmith = found.spec.langsmith
        return AgentFacts(
            agent=found.spec.agent,
            agent_model=found.metadata.name,
            training_dataset=(langsmith.training_dataset or None) if langsmith else None,
            evaluation_dataset=(langsmith.evaluation_dataset or None) if langsmith else None,
            approval_above_usd=float(found.spec.budget.approval_above_usd),
        )

    async def last_dataset(self, agent: str) -> str | None:
        found = await find_agent(self._client, agent)
        runs = [
            run
            for run in (await self._client.training_runs.list()).items
            if run.spec.agent_model_ref.name == found.metadata.name and not run.spec.estimate_only
        ]
        last = max(runs, key=_age, default=None)
        given = last.spec.dataset.langsmith if last and last.spec.dataset else None
        return given or (found.spec.langsmith.training_dataset if found.spec.langsmith else None)

    async def estimate(self, request: TrainingRequest) -> TrainingQuote:
        return await quotes.estimate_training(
            self._client, request, wait_seconds=ESTIMATE_SECONDS, created_by=CREATED_BY
        )

    async def start_training(self, quote_id: str, *, max_usd: str | None, key: str) -> TrainingJob:
        try:
            return await training.start_training(
                self._client, quote_id, max_usd=max_usd, key=key, created_by=CREATED_BY
            )
        except QuoteRefused:  # The quote may have ended since its training was started.
            started = await find_by_key(self._client.training_runs, key)
            if started is None:
                raise
            return training.job_of(started, created=False)

    async def prepare(self, request: rollouts.EvaluationRequest, *, key: str) -> Prepared:
        if isinstance(request, rollouts.DeploymentRequest):
            plan = await planning.plan_deployment(self._client, request, key=key)
            await rollouts.deploy(self._client, request, key=key, dry_run=True)
        else:
            plan = await planning.plan_evaluation(self._client, request, key=key)
            await rollouts.evaluate(self._client, request, key=key, dry_run=True)
        candidate = plan.spec["candidate"]
        model = candidate.get("model") or {}
        text = json.dumps(plan.basis, sort_keys=True, default=str)
        return Prepared(
            candidate=candidate.get("version") or f"{model.get('repo')}@{model.get('revision')}",
            max_usd=plan.spec["maxUSD"],
            basis=hashlib.sha256(text.encode()).hexdigest(),
            made=plan.same is not None,
        )

    async def evaluate(self, request: rollouts.EvaluationRequest, *, key: str) -> Comparison:
        return await rollouts.evaluate(self._client, request, key=key, created_by=CREATED_BY)

    async def deploy(self, request: rollouts.DeploymentRequest, *, key: str) -> Deployment:
        return await rollouts.deploy(self._client, request, key=key, created_by=CREATED_BY)

    async def chances(self, agent: str, *, examples: int | None, team: TeamSettings) -> EvaluationChances:
        asked = PlanRequest(
            agent_name=agent, examples=examples or team.max_examples, margin_points=team.margin_points
        )
        return await plan_of_evaluation(self._client, asked)

    async def progress(self, run: str) -> JobProgress:
        return await training_progress.monitor_training(self._client, run)

    async def comparison(self, evaluation: str) -> Comparison:
        return await rollouts.read_evaluation(self._client, evaluation)

    async def last_comparison(self, agent: str, version: str) -> Comparison | None:
        found = await find_agent(self._client, agent)
        mine = [
            one
            for one in (await self._client.rollouts.list()).items
            if one.spec.agent_model_ref.name == found.metadata.name
            and one.status.evaluated is not None
            and one.status.candidate is not None
            and one.status.candidate.version == version
        ]
        last = max(mine, key=_age, default=None)
        return rollouts.comparison_of(last, found, created=False, metrics=()) if last is not None else None

    async def deployment(self, rollout: str) -> Deployment:
        found = await self._client.rollouts.get(rollout)
        agent = await self._client.agent_models.get(found.spec.agent_model_ref.name)
        # Without the command with which one would follow it: the conversation does.
        told = {"message": what_happens(found)}
        return rollouts.deployment_of(found, agent, created=False).model_copy(update=told)

    async def running(self, agent: str | None) -> tuple[Running, ...]:
        name = (await find_agent(self._client, agent)).metadata.name if agent else None
        runs, moves = await asyncio.gather(self._client.training_runs.list(), self._client.rollouts.list())
        found: list[TrainingRun | Rollout] = [
            *(run for run in runs.items if not run.spec.estimate_only),
            *moves.items,
        ]
        mine = sorted(
            (one for one in found if name in (None, one.spec.agent_model_ref.name)), key=_age, reverse=True
        )
        active = [one for one in mine if not has_finished(one)]
        names = await self._agent_names()
        return tuple(_running(one, names) for one in active or mine[:1])

    async def find_running(self, name: str) -> Running:
        runs, moves = await asyncio.gather(self._client.training_runs.list(), self._client.rollouts.list())
        every: list[TrainingRun | Rollout] = [*runs.items, *moves.items]
        meant = [one for one in every if one.metadata.name == name]
        meant = meant or [one for one in every if one.metadata.name.endswith(f"-{name}")]
        if len(meant) > 1:
            raise ToolRefused(f"several have that name: {', '.join(one.metadata.name for one in meant)}")
        if not meant:
            hint = did_you_mean(name, [one.metadata.name for one in every], none="there is none")
            raise ToolRefused(f"there is no training, evaluation or deployment {name}: {hint}")
        return _running(meant[0], await self._agent_names())

    async def way_back(self, agent: str, *, to: str | None) -> WayBack:
        return await way_back(self._client, agent, to=to)

    async def abort(self, rollout: str) -> Change:
        return await control.abort_rollout(self._client, rollout)

    async def go_back(self, agent_model: str, *, to: str) -> str:
        now = await read_situation(self._client, agent_model)
        others = [
            one["metadata"]["name"]
            for one in now.rollouts
            if one["metadata"]["uid"] in active_rollouts(now)
            and one["spec"]["candidate"].get("version") != to
        ]
        if others:
            raise ToolRefused(f"rollout {others[0]} has begun in the meantime: ask for the way back again")
        return await rollback.go_back(self._client, agent_model, to=to, created_by=CREATED_BY)

    async def set_paused(self, one: Running, *, paused: bool) -> Change:
        if one.kind == "training":
            return await control.suspend_training(self._client, one.name, suspend=paused)
        return await control.pause_rollout(self._client, one.name, paused=paused)

    async def going_on(self, rollout: str, *, full: bool) -> GoingOn:
        found = await promoting.promotion_of(self._client, rollout, full=full)
        opens = found.promote or {}
        return GoingOn(
            rollout=found.rollout.metadata.name,
            agent=_agent_of(found.rollout, await self._agent_names()),
            through_step=opens.get("throughStep"),
            full=bool(opens.get("full")),
            paused=found.rollout.spec.paused,
            nothing=found.promote is None,
            words=found.words,
        )

    async def go_on(self, found: GoingOn) -> Change:
        now = await promoting.promotion_of(self._client, found.rollout, full=found.full)
        asked = {"full": True} if found.full else {"throughStep": found.through_step}
        if now.promote not in (None, asked):
            raise ToolRefused(f"{found.rollout} waits at another step by now: ask again")
        return await promoting.open_steps(self._client, now)

    async def failures(self, agent: str) -> collecting.Failures:
        if self._langsmith is None:
            raise ToolRefused(
                f"I have no access to LangSmith here. Run `modelops dataset collect {agent}` with your LangSmith key, "
                "correct the outputs, and tell me the name: 'train it on ls://<name>'"
            )
        return await collecting.find_failures(self._client, self._langsmith, agent)

    async def store_failures(self, failures: collecting.Failures, *, key: str) -> None:
        if self._langsmith is None:
            raise ToolRefused("I have no access to LangSmith any more")
        await collecting.store_failures(self._langsmith, failures, key=key)

    async def trained_with(self, run: str) -> TrainingRequest:
        found = await self._client.training_runs.get((await self.find_running(run)).name)
        return TrainingRequest(
            agent_name=_agent_of(found, await self._agent_names()),
            dataset_id=(found.spec.dataset.langsmith or None) if found.spec.dataset else None,
            base_model=found.spec.base_model or None,
            training_method=found.spec.method.value,
        )

    async def cancel_training(self, run: str) -> Change:
        return await control.cancel_training(self._client, run)

    async def offer(self, run: str) -> Offer:
        waiting = await approval.read_offer(self._client, run)
        return Offer(
            run=run,
            uid=waiting.object.metadata.uid,
            digest=waiting.digest,
            agent=_agent_of(waiting.object, await self._agent_names()),
            high_usd=waiting.high_usd,
            kind=_kind_of(waiting.object),
            lines=waiting.lines,
        )

    async def approve(self, offer: Offer) -> Change:
        kind = "TrainingRun" if offer.kind == "training" else "Rollout"
        waiting = await approval.read_offer(self._client, offer.run, kind=kind)
        if (waiting.object.metadata.uid, waiting.digest) != (offer.uid, offer.digest):
            raise ToolRefused(f"the offer of {offer.run} is another one by now: ask to approve it again")
        return await approval.approve(self._client, waiting)

    async def models(self, agent: str) -> AgentModels:
        return await history.list_models(self._client, agent)

    async def spending(self, agent: str | None) -> tuple[Spending, ...]:
        return await spending.spending(self._client, agent)


def _running(one: TrainingRun | Rollout, names: Mapping[str, str]) -> Running:
    agent = _agent_of(one, names)
    return Running(kind=_kind_of(one), name=one.metadata.name, agent=agent, finished=has_finished(one))


def _kind_of(one: TrainingRun | Rollout) -> Literal["training", "evaluation", "deployment"]:
    if isinstance(one, TrainingRun):
        return "training"
    return "deployment" if one.spec.strategy.evaluate_only is None else "evaluation"


def _agent_of(one: TrainingRun | Rollout, names: Mapping[str, str]) -> str:
    """The agent by its name in agents.yaml; that of its AgentModel where that was deleted."""
    agent_model = one.spec.agent_model_ref.name
    return names.get(agent_model, agent_model)


def _age(one: TrainingRun | Rollout) -> str:
    return str(one.metadata.creation_timestamp)
