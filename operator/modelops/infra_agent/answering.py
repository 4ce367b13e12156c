"""Answers what only reads: how it goes, what there was, what it cost, and what is not understood."""

from __future__ import annotations

from typing import Final

from modelops.infra_agent import wording
from modelops.infra_agent.following import followed, news_of
from modelops.infra_agent.hands import Hands, Running, TeamSettings
from modelops.infra_agent.heard import Heard
from modelops.infra_agent.state import Followed

NOTHING: Final = (
    "I did nothing. I can train, evaluate and deploy the model of an agent, roll it back, and say what runs, what was "
    "before and what it cost."
)
_SHOWN: Final = 5


async def answer(hands: Hands, heard: Heard, team: TeamSettings) -> tuple[str, tuple[Followed, ...]]:
    """The answer, and what is followed from now on.

    Raises:
        ToolRefused, ClientError: it cannot be read; the message is for the person.
    """
    match heard.intent:
        case "monitor":
            return await _how_it_goes(hands, heard, team)
        case "history":
            agents = heard.agents or await hands.agents()
            found = [wording.model_history(await hands.models(agent)) for agent in agents[:_SHOWN]]
            return "\n\n".join(found) or "There are no agents yet.", ()
        case "cost" if heard.about == "evaluate" and heard.agent:
            return wording.planned(await hands.chances(heard.agent, examples=heard.examples, team=team)), ()
        case "cost":
            spent = [one for agent in heard.agents or (None,) for one in await hands.spending(agent)]
            return wording.spent(spent), ()
        case "ambiguous":
            return heard.question or "What shall I do?", ()
        case "approve":
            return "There is no plan that waits for a confirmation. Nothing was done.", ()
        case _:
            agents = await hands.agents()
            known = (
                f" The agents that I know: {', '.join(agents)}." if agents else " There are no agents yet."
            )
            return NOTHING + known, ()


async def _how_it_goes(hands: Hands, heard: Heard, team: TeamSettings) -> tuple[str, tuple[Followed, ...]]:
    if heard.run:
        found: tuple[Running, ...] = (await hands.find_running(heard.run),)
    else:
        lists = [await hands.running(agent) for agent in heard.agents or (None,)]
        found = tuple(one for listed in lists for one in listed)
    if not found:
        return "Nothing runs, and nothing has run yet.", ()
    news = [await news_of(hands, followed(one), team) for one in found[:_SHOWN]]
    more = f"\nAnd {len(found) - _SHOWN} more." if len(found) > _SHOWN else ""
    still = tuple(one.still for one in news if one.still is not None)
    return "\n".join(one.text for one in news) + more, still
