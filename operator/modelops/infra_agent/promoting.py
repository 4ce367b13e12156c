"""The plan to go on with a canary that waits for a person, or to promote it at once."""

from __future__ import annotations

from modelops.infra_agent import wording
from modelops.infra_agent.hands import GoingOn, Hands, Running
from modelops.infra_agent.heard import Heard
from modelops.infra_agent.state import GoOn, Plan, plan_of
from modelops.tools.errors import ToolRefused


async def promote(hands: Hands, heard: Heard) -> Plan | None:
    """Open the step that waits, or with all traffic all steps. None where no canary of the agent runs.

    Raises:
        ToolRefused: no step waits for a person, or another share is asked for than that of the steps.
    """
    canary = await _running_canary(hands, heard)
    if canary is None:
        return None
    full = heard.percent == 100 or heard.strategy == "immediate"
    if heard.percent is not None and not full:
        raise ToolRefused(
            f"The shares of {canary.name} are those of its steps, so I cannot choose {heard.percent:g} %. 'Go on with "
            f"{canary.name}' opens the step that waits, 'take it to 100%' promotes it, and 'roll it back' ends it"
        )
    try:
        found = await hands.going_on(canary.name, full=full)
    except ToolRefused as error:
        raise ToolRefused(
            f"{error}. Here, 'take it to 100%' promotes it, and 'roll it back' ends it"
        ) from error
    return _plan(found, heard)


async def resume(hands: Hands, heard: Heard) -> Plan | None:
    """`go on with the canary`, where it waits for a person and is not paused; None for every other pause."""
    if heard.intent != "resume":
        return None
    canary = await _running_canary(hands, heard)
    if canary is None:
        return None
    try:
        found = await hands.going_on(canary.name, full=False)
    except ToolRefused:
        return None
    return None if found.paused or found.nothing else _plan(found, heard)


def _plan(found: GoingOn, heard: Heard) -> Plan:
    """Raises ToolRefused where it is open already."""
    if found.nothing:
        raise ToolRefused(found.words)
    only_if = wording.unchecked(heard.condition)
    text = f"{found.words}. It cannot be taken back, and 'roll it back' still ends it.{only_if}"
    gist = f"promote the canary of {found.agent}" if found.full else f"go on with the canary of {found.agent}"
    action = GoOn(rollout=found.rollout, through_step=found.through_step, full=found.full)
    return plan_of(found.agent, action, f"{text} Proceed?", gist, max_usd=0.0)


async def _running_canary(hands: Hands, heard: Heard) -> Running | None:
    """The deployment that is named, or the only one that runs; None where there is none, or several do."""
    if heard.run:
        named = await hands.find_running(heard.run)
        return named if named.kind == "deployment" and not named.finished else None
    active = [
        one for one in await hands.running(heard.agent) if one.kind == "deployment" and not one.finished
    ]
    return active[0] if len(active) == 1 else None
