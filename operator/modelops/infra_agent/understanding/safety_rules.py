"""Rules that come first: what is never a request, whatever words it has."""

from __future__ import annotations

from modelops.infra_agent.understanding import moods, questions, sentences, things
from modelops.infra_agent.understanding.complaint_rules import complains
from modelops.infra_agent.understanding.forms import Form, is_of_others
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.objects import About
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.refusals import denied_nouns
from modelops.infra_agent.understanding.replies import agents_meant, informs, nothing, with_agent
from modelops.infra_agent.understanding.requests import request_in
from modelops.infra_agent.understanding.spoken import QUOTED
from modelops.infra_agent.understanding.topic_rules import asks, is_general, topic_of
from modelops.infra_agent.understanding.words import words_of


def nothing_said(message: Message) -> Understanding | None:
    if any(word and word != QUOTED.strip() for word in message.words):
        return None
    return nothing(
        "The message has no words of its own." if message.spoken.pasted else "The message is empty."
    )


def for_somebody_else(message: Message) -> Understanding | None:
    if message.spoken.to_somebody_else:
        return nothing("The message is addressed to somebody else.")
    return None


def pasted(message: Message) -> Understanding | None:
    """Beside pasted text only a request that is whole in the person's own words counts."""
    if not message.spoken.pasted:
        return None
    request = request_in(message.reading, message.acts, message.situation)
    if (
        request is not None
        and message.reading.named
        and request.act.form is Form.REQUEST
        and request.act.about is About.FIELD
    ):
        return None
    topic = topic_of(message.reading, message.acts, message.situation) if message.reading.named else None
    if topic in (Intent.MONITOR, Intent.HISTORY, Intent.COST):
        return None
    complaint = complains(message) if moods.REMEDY.within(message.words) else None
    if complaint is not None and complaint.intent is Intent.AMBIGUOUS:
        return complaint
    return nothing("The message quotes or pastes text, and asks for nothing in the person's own words.")


_DROPS = words_of("ignore disregard skip")
_ASKS_NICELY = words_of("please pls plz bitte can could would")


def withdraws(message: Message) -> Understanding | None:
    """`don't do the training that I asked for`, `ignore what I asked`"""
    words = message.words
    denied = any(act.form is Form.DENIED for act in message.acts) or not _DROPS.isdisjoint(words)
    if (denied and things.REQUEST.within(words)) or sentences.WITHDRAWN.within(words):
        agents = agents_meant(message, None)
        return with_agent(message, Intent.CANCEL, agents, Slots(), "An earlier request is withdrawn.")
    return None


def other_work(message: Message) -> Understanding | None:
    """`write release notes`: work for others, unless the message also asks for something of this field."""
    words = message.words
    places = [found.start for found in things.OTHER_WORK.all(words)]
    opening = [
        at
        for at in places
        if at == 0
        or words[at - 1] in ("", "please", "pls", "you", "u", "just", "and", "lets", "bitte", "chef")
        or words[at - 2 : at] == ("you", "to")
    ]
    if not opening or message.situation.plan is not None:
        return None
    whole = [
        act
        for act in message.acts
        if act.form is Form.REQUEST and act.about is About.FIELD and act.at < opening[0]
    ]
    return None if whole else nothing("It asks for work that is not about an agent's model.")


def taken_back(message: Message) -> Understanding | None:
    """`deploy docs v9. no wait, don't`"""
    if _ends_with_no(message):
        return nothing("The request was denied in the same message.")
    found = sentences.TAKEN_BACK.all(message.words)
    last = found[-1] if found else None
    earlier = [act for act in message.acts if act.form is Form.REQUEST and not act.stops]
    if last is None or not earlier or earlier[0].at >= last.start:
        return None
    later = [
        act
        for act in message.acts
        if act.at >= last.start
        and act.form in (Form.REQUEST, Form.DENIED)
        and not (act.stops and act.at < last.end)
    ]
    if later or _names_after(message, last.end):
        return None
    if message.words[last.start - 1 : last.start] != ("",) and message.words[last.start] not in (
        "nvm",
        "nevermind",
    ):
        return None
    return nothing("The request was taken back in the same message.")


def _ends_with_no(message: Message) -> bool:
    """`train docs? no`"""
    words = list(message.words)
    while words and not words[-1]:
        words.pop()
    return len(words) > 1 and words[-1] in ("no", "nope", "nein", "nao", "non") and not words[-2]


def _names_after(message: Message, at: int) -> bool:
    return bool(message.reading.agents_in(at, len(message.words)))


def greets(message: Message) -> Understanding | None:
    """`good morning, how's it going?`, before anything was said of an agent."""
    words = tuple(word for word in message.words if word and word != "chef")
    hello = sentences.HELLO.at(words, 0) if words else None
    if hello is None or message.situation.agents:
        return None
    talk = sentences.SMALL_TALK.at(words, hello.end) if hello.end < len(words) else None
    return nothing("It is a greeting.") if talk is not None and talk.end == len(words) else None


def asks_general(message: Message) -> Understanding | None:
    if is_general(message.reading):
        return nothing("It asks about the field in general.")
    return None


def asks_with_hands_off(message: Message) -> Understanding | None:
    """`just a number, don't start anything`"""
    if not sentences.HANDS_OFF.within(message.words):
        return None
    requests = [act for act in message.acts if act.form is Form.REQUEST and act.intent is Intent.EVALUATE]
    if requests and not questions.COST.within(message.words):
        return None
    topic = topic_of(message.reading, message.acts, message.situation)
    if topic in (Intent.COST, Intent.HISTORY, Intent.MONITOR):
        return informs(message, topic)
    return None


def imagines(message: Message) -> Understanding | None:
    """`imagine docs v9 at 100 %`, `note to self: ...`"""
    if sentences.IMAGINED.within(message.words):
        return nothing("It is not meant as a request.")
    told = message.words and sentences.ANNOUNCES.at(message.words, 0) is not None
    requests = any(act.form is Form.REQUEST for act in message.acts)
    of_others = any(is_of_others(message.words, act.part, act.at) for act in message.acts)
    news = of_others or sentences.NEWS.within(message.words)
    told = told or (news and not requests and not asks(message.reading))
    if told and _ASKS_NICELY.isdisjoint(message.words):
        return nothing("It tells of something.", certain=False)
    return None


def wants_none(message: Message) -> Understanding | None:
    """`no new training for docs please`, with no other request in it."""
    if not denied_nouns(message.words) or asks(message.reading) or message.situation.plan is not None:
        return None
    if any(act.form is Form.REQUEST for act in message.acts if act.part.role is Role.MAIN):
        return None
    return nothing("It asks for something not to be done.")


def holds(message: Message) -> Understanding | None:
    """`hold the canary at 20 %`: nothing changes, so nothing is done."""
    if sentences.HOLDS.within(message.words) and not any(act.form is Form.REQUEST for act in message.acts):
        return nothing("It asks to leave something as it is.", certain=False)
    return None
