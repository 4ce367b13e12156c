"""Says what has changed of the things that the conversation follows, and what could come next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.client import ClientError, NotFound
from modelops.infra_agent import wording
from modelops.infra_agent.hands import Hands, Running, TeamSettings
from modelops.infra_agent.heard import Heard, request
from modelops.infra_agent.state import Followed
from modelops.tools.errors import ToolRefused

WAITS: Final = TrainingPhase.AWAITING_APPROVAL.value
"""Mark of what waits for an approval."""


@dataclass(frozen=True, kw_only=True)
class News:
    """What there is to say of one object. `still`: what is followed on; None where it has ended."""

    text: str
    still: Followed | None
    next_step: Heard | None = None
    """The request that would follow: a plan is made of it, which a person confirms."""


async def news_of(hands: Hands, one: Followed, team: TeamSettings) -> News:
    """The state of one object, in words.

    Raises:
        ToolRefused, ClientError: it cannot be read.
    """
    match one.kind:
        case "training":
            return await _training(hands, one)
        case "evaluation":
            return await _evaluation(hands, one)
        case "deployment":
            found = await hands.deployment(one.name)
            text = wording.deployment_state(found, pause_seconds=team.pause_seconds)
            waits = found.awaits_approval or found.awaits_promotion
            share = WAITS if waits else str(found.rollout_pct)
            return News(text=text, still=None if found.finished else _told(one, text, mark=share))


async def changes(hands: Hands, following: tuple[Followed, ...], team: TeamSettings) -> list[News]:
    """What is new of everything that is followed. What cannot be read is followed on, and said once."""
    found: list[News] = []
    for one in following:
        try:
            news = await news_of(hands, one, team)
        except NotFound:
            found.append(News(text=f"The {one.kind} {one.name} of {one.agent} was deleted.", still=None))
            continue
        except (ToolRefused, ClientError) as error:
            text = f"I cannot see {one.name} now: {wording.shown(error)}"
            news = News(text=text, still=_told(one, text))
        if news.still is not None and news.still.told == one.told:
            news = News(text="", still=one)
        found.append(news)
    return found


def followed(one: Running) -> Followed:
    """An object that was found, as one that is followed."""
    return Followed(kind=one.kind, name=one.name, agent=one.agent)


async def _training(hands: Hands, one: Followed) -> News:
    job = await hands.progress(one.name)
    text = wording.training_progress(job)
    if not job.finished:
        return News(text=text, still=_told(one, text, mark=WAITS if job.status == WAITS else ""))
    next_step = request("evaluate", one.agent, job.version) if job.succeeded and job.version else None
    return News(text=text, still=None, next_step=next_step)


async def _evaluation(hands: Hands, one: Followed) -> News:
    found = await hands.comparison(one.name)
    text = wording.evaluation_result(found)
    if not found.finished:
        return News(text=text, still=_told(one, text, mark=WAITS if found.status == WAITS else ""))
    if found.recommendation != "deploy":
        return News(text=f"{text} {wording.not_recommended(found)}", still=None)
    version = (await hands.deployment(one.name)).version
    return News(text=text, still=None, next_step=request("deploy", one.agent, version) if version else None)


def _told(one: Followed, text: str, *, mark: str | None = None) -> Followed:
    return one.model_copy(update={"told": text, "mark": one.mark if mark is None else mark})
