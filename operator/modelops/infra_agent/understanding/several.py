"""A message with two requests: where the second one begins."""

from __future__ import annotations

from itertools import pairwise

from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.corrections import correction_at
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.objects import About
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.words import Kind, words_of

_JOINS = words_of("and then also plus und dann auch y luego e depois et puis after afterwards next")


def second_request_at(message: Message) -> int | None:
    """The first word of a second request, after `and`, `then` or the end of a sentence; None: there is one request."""
    if (
        message.spoken.pasted
        or correction_at(message.reading) is not None
        or message.situation.plan is not None
    ):
        return None
    usable = [act for act in message.acts if _counts(act)]
    for first, second in pairwise(usable):
        if (
            second.at > first.end
            and second.intent is not first.intent
            and not _is_its_share(message, first, second)
        ):
            begin = _begin(message.reading, second)
            if begin is not None and begin > first.at:
                return begin
    return None


def _is_its_share(message: Message, first: Act, second: Act) -> bool:
    """`deploy docs v9. Canary at 15% would be good.`: how the version is deployed, and no second request."""
    return first.intent is Intent.DEPLOY and message.words[second.at] in ("canary", "canario")


def alternatives_in(message: Message) -> tuple[Act, Act] | None:
    """`train docs or roll it back`: two requests, of which one is to be chosen."""
    usable = [act for act in message.acts if _counts(act)]
    for first, second in pairwise(usable):
        between = message.words[first.end : second.at]
        if first.intent is not second.intent and not _OR.isdisjoint(between) and _JOINS.isdisjoint(between):
            return first, second
    return None


_OR = words_of("or oder o ou")


def _counts(act: Act) -> bool:
    return (
        act.form is Form.REQUEST and act.part.role is Role.MAIN and act.about in (About.FIELD, About.NOTHING)
    )


def _begin(reading: Reading, act: Act) -> int | None:
    """Where the request of the act begins: after the word or pause that joins it to what is before."""
    for at in range(act.at, max(0, act.at - 5), -1):
        if reading.words[at - 1] == "" or reading.words[at - 1] in _JOINS:
            return at
    return None


def text_between(reading: Reading, start: int, end: int) -> str:
    """The words of a part of a message, with the names of agents and the kinds of numbers as they were."""
    agents = {one.at: one.agent for one in reading.named}
    spoken: list[str] = []
    for at in range(start, end):
        token = reading.tokens[at]
        if reading.words[at] == AGENT:
            spoken.append(agents.get(at, token.text))
        elif token.kind in (Kind.PERCENT, Kind.USD) and token.number is not None:
            spoken.append(f"{token.number:g}%" if token.kind is Kind.PERCENT else f"${token.number:g}")
        else:
            spoken.append(token.text)
    return " ".join(spoken)
