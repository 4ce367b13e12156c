"""The five tools of the mission as LangChain tools, for an agent of `langchain.agents.create_agent`.

What spends or moves traffic shows its plan at an interrupt, as the graph does, and is carried out after the approval of
exactly that plan. The person answers the interrupt: a model cannot approve for him.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from typing import Annotated, Any, Final, Literal

from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field

from modelops.client import AsyncClient
from modelops.infra_agent import wording
from modelops.infra_agent.acting import carry_out
from modelops.infra_agent.cluster_hands import ClusterHands
from modelops.infra_agent.confirming import Decision, question_of, read_decision
from modelops.infra_agent.hands import Hands, TeamSettings
from modelops.infra_agent.planning import plan_deployment, plan_evaluation, plan_training
from modelops.infra_agent.state import Plan
from modelops.infra_agent.steps import REFUSALS
from modelops.tools.candidates import NEWEST
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest
from modelops.tools.training_request import TrainingRequest

Answer = dict[str, Any]
CallId = Annotated[str, InjectedToolCallId]


class TrainingOverrides(BaseModel):
    """Values of the training. Strict tools lose a free dictionary, so each value has its name."""

    model_config = ConfigDict(extra="forbid")

    learning_rate: float | None = None
    num_epochs: int | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    warmup_ratio: float | None = None
    lora_rank: int | None = None
    lora_alpha: int | None = None
    max_seq_length: int | None = None


Agent = Annotated[str, Field(description="Agent as agents.yaml names it, such as docs or feature_dev.")]
Limit = Annotated[float | None, Field(description="Most that it may cost, in US dollars.")]

ScorerName = Annotated[
    str | None,
    Field(
        description="exact, json, regex, tokenF1, chrF, tests, judge or custom:<name>; empty: the agent's."
    ),
]
Threshold = Annotated[str | None, Field(description="Score from which an answer is a success, such as 0.5.")]


def modelops_tools(client: AsyncClient, *, team: TeamSettings | None = None) -> list[BaseTool]:
    """The five tools, in the rights of the client's caller. The agent needs a checkpointer, for the interrupts."""
    return tools_on(ClusterHands(client), team or TeamSettings())


def _evaluation(team: TeamSettings, scorer: str | None, threshold: str | None) -> dict[str, Any]:
    """The team's settings of an evaluation, with another scorer where one is asked for."""
    settings = team.evaluation()
    if scorer:
        return settings | {"scorer": scorer, "threshold": threshold}
    return settings | {"threshold": threshold or settings["threshold"]}


def tools_on(hands: Hands, team: TeamSettings) -> list[BaseTool]:
    """As `modelops_tools`, on anything that can do what `Hands` says."""

    @tool
    async def train_subagent_model(
        agent_name: Agent,
        call: CallId,
        dataset_id: Annotated[
            str | None, Field(description="ls://<id or exact name>; empty: the agent's.")
        ] = None,
        base_model: Annotated[str | None, Field(description="organisation/name on the Hub.")] = None,
        training_method: Literal["sft", "dpo", "orpo"] = "sft",
        training_config: TrainingOverrides | None = None,
        max_usd: Limit = None,
    ) -> Answer:
        """Fine-tune a model for an agent. The person sees cost and time first and decides; then it runs for hours."""
        request = TrainingRequest(
            agent_name=agent_name,
            dataset_id=dataset_id,
            base_model=base_model,
            training_method=training_method,
            training_config=training_config.model_dump(exclude_none=True) if training_config else {},
            max_usd=f"{max_usd:f}" if max_usd is not None else None,
        )
        return await _confirmed(hands, plan_training(hands, request), call, team)

    @tool
    async def monitor_training_job(
        job_id: Annotated[str, Field(description="Name of the training.")],
    ) -> Answer:
        """Tell how a training goes: phase, percent, loss, minutes left. It changes nothing."""
        return await _read(hands.progress(job_id))

    @tool
    async def evaluate_model_vs_baseline(
        agent_name: Agent,
        call: CallId,
        candidate_model: Annotated[str, Field(description="Version, repository, or candidate.")] = NEWEST,
        eval_dataset_id: Annotated[
            str | None, Field(description="ls://<id or exact name>, held out.")
        ] = None,
        metrics: list[Literal["accuracy", "latency", "cost_per_1k_tokens"]] | None = None,
        scorer: ScorerName = None,
        threshold: Threshold = None,
        max_usd: Limit = None,
    ) -> Answer:
        """Compare a model with the one that serves the agent. The person sees the highest cost first and decides."""
        request = EvaluationRequest(
            agent_name=agent_name,
            candidate_model=candidate_model,
            eval_dataset_id=eval_dataset_id,
            metrics=tuple(metrics or ()),
            max_usd=f"{max_usd:f}" if max_usd is not None else None,
            **_evaluation(team, scorer, threshold),
        )
        return await _confirmed(hands, plan_evaluation(hands, request), call, team)

    @tool
    async def deploy_model_to_agent(
        agent_name: Agent,
        call: CallId,
        model_repo: Annotated[str, Field(description="Version, repository, or candidate.")] = NEWEST,
        deployment_target: Literal["huggingface", "openrouter"] = "huggingface",
        rollout_strategy: Annotated[str, Field(description="immediate, or canary_<n>pct.")] = "canary_20pct",
        scorer: ScorerName = None,
        threshold: Threshold = None,
        max_usd: Limit = None,
    ) -> Answer:
        """Move an agent's traffic to a model. The person sees share and cost first and decides."""
        request = DeploymentRequest(
            agent_name=agent_name,
            candidate_model=model_repo,
            deployment_target=deployment_target,
            rollout_strategy=rollout_strategy,
            pause_seconds=team.pause_seconds,
            max_usd=f"{max_usd:f}" if max_usd is not None else None,
            **_evaluation(team, scorer, threshold),
        )
        return await _confirmed(hands, plan_deployment(hands, request), call, team)

    @tool
    async def list_agent_models(agent_name: Agent) -> Answer:
        """List an agent's versions with base model, date, scores and state. It changes nothing."""
        return await _read(hands.models(agent_name))

    return [
        train_subagent_model,
        monitor_training_job,
        evaluate_model_vs_baseline,
        deploy_model_to_agent,
        list_agent_models,
    ]


async def _read(asked: Awaitable[BaseModel]) -> Answer:
    try:
        return (await asked).model_dump(mode="json")
    except REFUSALS as error:
        return {"error": wording.shown(error)}


async def _confirmed(hands: Hands, planned: Awaitable[Plan], call: str, team: TeamSettings) -> Answer:
    """Show the plan, and carry it out if a person approves it.

    LangGraph runs the tool again from its top when it resumes. The plan is made again then, and its id follows from the
    call and from what is to be done: an approval of what has changed since, or of another call, approves nothing.
    """
    try:
        plan = named_by_content(await planned, call)
    except REFUSALS as error:
        return {"error": wording.shown(error)}
    decision: Decision | None = read_decision(interrupt(question_of(plan)))
    if decision is None or decision.plan != plan.id:
        return {"done": False, "message": "The answer is not for this plan. Nothing was done: ask again."}
    if not decision.approved:
        return {"done": False, "message": "The person declined. Nothing was done."}
    try:
        done = await carry_out(hands, plan, team)
    except REFUSALS as error:
        return {"error": wording.shown(error)}
    return done.result.model_dump(mode="json") if done.result else {"message": done.said}


def named_by_content(plan: Plan, call: str) -> Plan:
    """The plan with an id that follows from the call and the action."""
    content = f"{call}\n{plan.agent}\n{plan.action.model_dump_json()}"
    return plan.model_copy(update={"id": hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]})


_DIGITS: Final = 16
