"""Carries out a plan that the person has confirmed: exactly that, and only once, however often it is repeated."""

from __future__ import annotations

from typing import Any, assert_never

from modelops.api.v1alpha1.rollout import RolloutSpec
from modelops.infra_agent.hands import Hands, Offer, TeamSettings
from modelops.infra_agent.state import (
    Abort,
    Approve,
    CancelTraining,
    Compare,
    Followed,
    GoBack,
    Plan,
    Train,
)
from modelops.tools.errors import ToolRefused
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest


async def carry_out(hands: Hands, plan: Plan, team: TeamSettings) -> tuple[str, Followed | None]:
    """Do what the plan says. Returns what was done, and what there is to follow now.

    A repetition, because the answer was lost or LangGraph ran the node again, creates nothing a second time: a training
    is that of its quote, and a Rollout has its name from the plan's id.

    Raises:
        ToolRefused: the plan does not hold any more; nothing was done.
        ClientError: the cluster cannot be asked, or refuses.
    """
    action, agent = plan.action, plan.agent
    match action:
        case Train():
            job = await hands.start_training(action.quote_id, max_usd=action.max_usd)
            page = f" Its page: {job.status_url}." if job.status_url else ""
            begun = "has started" if job.created else "had been started already"
            said = f"Training {job.job_id} of {agent} {begun}, for at most ${plan.max_usd:.2f}.{page}"
            return said, Followed(kind="training", name=job.job_id, agent=agent)
        case Compare():
            return await _compare(hands, plan, action, team)
        case Abort():
            change = await hands.abort(action.rollout)
            return f"{change.message}.", Followed(kind=action.what, name=action.rollout, agent=agent)
        case GoBack():
            return f"{(await hands.go_back(action.agent_model, to=action.to))}.", None
        case CancelTraining():
            return f"{(await hands.cancel_training(action.run)).message}.", None
        case Approve():
            offer = Offer(run=action.run, uid=action.uid, digest=action.digest, agent=agent, high_usd=0.0)
            change = await hands.approve(offer)
            followed = Followed(kind="training", name=action.run, agent=agent)
            return f"Training {action.run} was {change.message}.", followed
    assert_never(action)


async def _compare(
    hands: Hands, plan: Plan, action: Compare, team: TeamSettings
) -> tuple[str, Followed | None]:
    settings: dict[str, Any] = {
        "agent_name": plan.agent,
        "candidate_model": action.candidate,
        "eval_dataset_id": action.eval_dataset_id,
        "max_usd": action.max_usd,
        **team.evaluation(),
    }
    if action.strategy is None:
        request = EvaluationRequest(**settings)
        await _require_unchanged(hands, plan, action, request)
        found = await hands.evaluate(request, key=plan.id)
        said = f"Evaluating {action.candidate} of {plan.agent} against baseline, as {found.evaluation_id}."
        return said, Followed(kind="evaluation", name=found.evaluation_id, agent=plan.agent)
    move = DeploymentRequest(**settings, rollout_strategy=action.strategy, pause_seconds=team.pause_seconds)
    await _require_unchanged(hands, plan, action, move)
    moved = await hands.deploy(move, key=plan.id)
    said = f"The deployment of {action.candidate} to {plan.agent} has started, as {moved.rollout_id}."
    return said, Followed(kind="deployment", name=moved.rollout_id, agent=plan.agent)


async def _require_unchanged(hands: Hands, plan: Plan, action: Compare, request: EvaluationRequest) -> None:
    """Raise ToolRefused where the request would not create what was shown: a default comes from the last rollout."""
    now = await hands.prepare(request, key=plan.id)
    if _with_defaults(now, action) != _with_defaults(action.spec, action):
        raise ToolRefused(
            f"what {plan.agent}'s last rollout or settings say has changed since I showed the plan: ask again"
        )


def _with_defaults(spec: dict[str, Any], action: Compare) -> dict[str, Any]:
    strategy: dict[str, Any] = {"strategy": {"evaluateOnly": {}}} if action.strategy is None else {}
    return RolloutSpec.model_validate({**spec, **strategy}).wire()
