"""Carries out a plan that the person has confirmed: exactly that, and only once, however often it is repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from modelops.grammar import counted
from modelops.infra_agent.hands import GoingOn, Hands, Offer, Running, TeamSettings
from modelops.infra_agent.state import (
    Abort,
    Approve,
    CancelTraining,
    Collect,
    Compare,
    Followed,
    GoBack,
    GoOn,
    Plan,
    SetPaused,
    Train,
)
from modelops.tools.collecting import Failures
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Result
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was done, in words; what there is to follow now; and what the tool returned."""

    said: str
    follow: Followed | None = None
    result: Result | None = None


async def carry_out(hands: Hands, plan: Plan, team: TeamSettings) -> Done:
    """Do what the plan says.

    A repetition, because the answer was lost or LangGraph ran the node again, creates nothing a second time: a training
    is that of its quote, and a Rollout has its name from the plan's id.

    Raises:
        ToolRefused: the plan does not hold any more; nothing was done.
        ClientError: the cluster cannot be asked, or refuses.
    """
    action, agent = plan.action, plan.agent
    match action:
        case Train():
            job = await hands.start_training(action.quote_id, max_usd=action.max_usd, key=plan.id)
            page = f" Its page: {job.status_url}." if job.status_url else ""
            begun = "has started" if job.created else "had been started already"
            said = f"Training {job.job_id} of {agent} {begun}, for at most ${plan.max_usd:.2f}.{page}"
            return Done(said=said, follow=_training(job.job_id, agent), result=job)
        case Compare():
            return await _compare(hands, plan, action, team)
        case Abort():
            change = await hands.abort(action.rollout)
            followed = Followed(kind=action.what, name=action.rollout, agent=agent)
            return Done(said=f"{change.message}.", follow=followed, result=change)
        case GoBack():
            return Done(said=f"{await hands.go_back(action.agent_model, to=action.to)}.")
        case SetPaused():
            one = Running(kind=action.what, name=action.name, agent=agent, finished=False)
            change = await hands.set_paused(one, paused=action.paused)
            followed = Followed(kind=action.what, name=action.name, agent=agent)
            return Done(said=f"{change.message}.", follow=followed, result=change)
        case GoOn():
            opens = GoingOn(
                rollout=action.rollout, agent=agent, through_step=action.through_step, full=action.full
            )
            change = await hands.go_on(opens)
            followed = Followed(kind="deployment", name=action.rollout, agent=agent)
            return Done(said=f"{change.message}.", follow=followed, result=change)
        case Collect():
            return await _collect(hands, plan, action)
        case CancelTraining():
            change = await hands.cancel_training(action.run)
            return Done(said=f"{change.message}.", result=change)
        case Approve():
            offer = Offer(
                run=action.run,
                uid=action.uid,
                digest=action.digest,
                agent=agent,
                high_usd=0.0,
                kind=action.what,
            )
            change = await hands.approve(offer)
            said = f"{action.what.capitalize()} {action.run} was {change.message}."
            return Done(
                said=said, follow=Followed(kind=action.what, name=action.run, agent=agent), result=change
            )
    assert_never(action)


def _training(name: str, agent: str) -> Followed:
    return Followed(kind="training", name=name, agent=agent)


async def _collect(hands: Hands, plan: Plan, action: Collect) -> Done:
    failures = Failures(
        agent=plan.agent,
        project=action.project,
        name=action.name,
        since=action.since,
        until=action.until,
        runs=action.runs,
        looked_at=0,
        repeated=0,
        sensitive={},
    )
    await hands.store_failures(failures, key=plan.id)
    return Done(
        said=f"Created ls://{action.name} with {counted(len(action.runs), 'example')}. Correct their outputs in "
        f"LangSmith and set metadata.success to true. Then say 'train {plan.agent} on ls://{action.name}'."
    )


async def _compare(hands: Hands, plan: Plan, action: Compare, team: TeamSettings) -> Done:
    settings: dict[str, Any] = {
        "agent_name": plan.agent,
        "candidate_model": action.candidate,
        "eval_dataset_id": action.eval_dataset_id,
        "max_usd": action.max_usd,
        **team.evaluation(),
        "scorer": action.scorer,
        "threshold": action.threshold,
    }
    if action.strategy is None:
        request = EvaluationRequest(**settings)
        await _require_unchanged(hands, plan, action, request)
        found = await hands.evaluate(request, key=plan.id)
        said = f"Evaluating {action.candidate} of {plan.agent} against baseline, as {found.evaluation_id}."
        followed = Followed(kind="evaluation", name=found.evaluation_id, agent=plan.agent)
        return Done(said=said, follow=followed, result=found)
    move = DeploymentRequest(**settings, rollout_strategy=action.strategy, pause_seconds=team.pause_seconds)
    await _require_unchanged(hands, plan, action, move)
    moved = await hands.deploy(move, key=plan.id)
    said = f"The deployment of {action.candidate} to {plan.agent} has started, as {moved.rollout_id}."
    followed = Followed(kind="deployment", name=moved.rollout_id, agent=plan.agent)
    return Done(said=said, follow=followed, result=moved)


async def _require_unchanged(hands: Hands, plan: Plan, action: Compare, request: EvaluationRequest) -> None:
    """Raise ToolRefused where the request would not create what was shown, or compare with another model.

    A Rollout that this plan has created already is what was shown: the plan is carried out again after a crash.
    """
    now = await hands.prepare(request, key=plan.id)
    if not now.made and now.basis != action.basis:
        raise ToolRefused(
            f"the settings of {plan.agent}, its last rollout or the model that serves it changed since I showed the "
            "plan: ask again"
        )
