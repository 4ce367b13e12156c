"""Plans that end or undo something, and the approval of what waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.infra_agent import wording
from modelops.infra_agent.hands import Hands, Running
from modelops.infra_agent.heard import Heard
from modelops.infra_agent.state import (
    Abort,
    Action,
    Approve,
    CancelTraining,
    GoBack,
    Plan,
    SetPaused,
    plan_of,
)
from modelops.tools.errors import ToolRefused


async def roll_back(hands: Hands, heard: Heard) -> Plan:
    """End the canary, or else serve the version before, or the one that was named."""
    agent = heard.agents[0]
    named = heard.version if isinstance(heard.version, str) else None
    to = None if named in ("previous", "current", "candidate") else named
    way = await hands.way_back(agent, to=to)
    only_if = wording.unchecked(heard.condition)
    if way.abort is not None:
        end = f"Rollout {way.abort} of {agent} is aborted"
        text = f"{end}, and all traffic goes back to {way.current}.{only_if} Proceed?"
        return plan_of(agent, Abort(rollout=way.abort), text, f"roll back {agent}", max_usd=0.0)
    if way.to is None:
        raise ToolRefused(f"{agent} stays as it is: {way.why_not}")
    text = f"{agent} goes back from {way.current} to {way.to}, at once, for at most $1.00.{only_if} Proceed?"
    action = GoBack(agent_model=way.agent_model, to=way.to)
    return plan_of(agent, action, text, f"roll back {agent} to {way.to}", max_usd=1.0)


async def cancel(hands: Hands, heard: Heard) -> Plan:
    """Stop the training, evaluation or deployment that is named, or the only one that runs."""
    found = await _what_runs(hands, heard, "cancelled", kinds=("training", "evaluation", "deployment"))
    if found.kind == "training":
        text = f"Training {found.name} of {found.agent} is stopped for good; what it has cost stays billed. Cancel it?"
        action: Action = CancelTraining(run=found.name)
    else:
        text = f"The {found.kind} {found.name} of {found.agent} is aborted, and no canary keeps traffic. Cancel it?"
        action = Abort(rollout=found.name, what=found.kind)
    return plan_of(found.agent, action, text, f"cancel what runs for {found.agent}", max_usd=0.0)


async def set_paused(hands: Hands, heard: Heard) -> Plan:
    """Pause what runs for the agent, or the run that is named; or let it go on."""
    paused = heard.intent == "pause"
    found = await _what_runs(hands, heard, "paused", kinds=("training", "deployment"))
    if found.kind == "training":
        how = "stops its job, and keeps its last checkpoint" if paused else "goes on from its last checkpoint"
    else:
        how = (
            "begins no further step, and keeps the share that it has" if paused else "goes on with its steps"
        )
    text = f"The {found.kind} {found.name} of {found.agent} {how}. Proceed?"
    action = SetPaused(what=found.kind, name=found.name, paused=paused)
    return plan_of(found.agent, action, text, f"{heard.intent} {found.kind} of {found.agent}", max_usd=0.0)


async def _what_runs(hands: Hands, heard: Heard, done: str, *, kinds: Sequence[str]) -> Running:
    """The run that is named, or the only one of `kinds` that runs. Raises ToolRefused; `done`: what is asked for."""
    if heard.run:
        found = await hands.find_running(heard.run)
    else:
        active = [one for one in await hands.running(heard.agent) if not one.finished and one.kind in kinds]
        if len(active) != 1:
            names = ", ".join(f"{one.name} of {one.agent}" for one in active)
            raise ToolRefused(f"Which one: {names}?" if active else f"Nothing runs that could be {done}")
        found = active[0]
    if found.finished:
        raise ToolRefused(f"{found.name} has ended already")
    return found


async def approve(hands: Hands, heard: Heard) -> Plan:
    """Approve the offer of the training, evaluation or deployment that is named."""
    offer = await hands.offer((await hands.find_running(heard.run or "")).name)
    lines = "\n".join(f"{name}: {wording.shown(value)}" for name, value in offer.lines)
    action = Approve(what=offer.kind, run=offer.run, uid=offer.uid, digest=offer.digest)
    gist = f"approve the {offer.kind} of {offer.agent}"
    return plan_of(offer.agent, action, f"{lines}\nApprove it?", gist, max_usd=offer.high_usd)
