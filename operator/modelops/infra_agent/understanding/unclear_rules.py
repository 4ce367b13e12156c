"""Rules for what is of this field and leaves out the agent or the version: they ask."""

from __future__ import annotations

from modelops.infra_agent.understanding import moods, questions, sentences, things
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.lexicon import known_words
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.replies import (
    agents_meant,
    the_only_one,
    which_agent,
    which_version,
    with_agent,
)
from modelops.infra_agent.understanding.several import alternatives_in
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.topic_rules import asks, content_words
from modelops.infra_agent.understanding.words import words_of

_BETTER = words_of("better worse faster slower cheaper help helped work worked")
_POINTING = words_of("it that this thing")
_THE_JOB = Phrases("""
    the|our|my|this|that|last training|run|job|finetune|eval|evaluation|canary|rollout
""")


def offers_alternatives(message: Message) -> Understanding | None:
    """`either train docs or roll it back, you decide`"""
    both = alternatives_in(message)
    agents = agents_meant(message, None)
    if both is None or not agents or message.spoken.pasted or message.situation.plan is not None:
        return None
    return Understanding(
        intent=Intent.AMBIGUOUS,
        agent=the_only_one(agents),
        agents=agents,
        question=f"Which of the two: {both[0].intent.value} or {both[1].intent.value}?",
        why="It names two requests, of which one is to be chosen.",
    )


def says_only_the_bot(message: Message) -> Understanding | None:
    """`the agent is slow`"""
    short = asks(message.reading) or len(message.words) <= 12
    named = message.reading.named or message.situation.agents
    if (
        named
        or not short
        or not things.THE_BOT.within(message.words)
        or questions.GENERAL.within(message.words)
    ):
        return None
    return _which_agent(message, slots_of(message.reading, Intent.AMBIGUOUS))


def says_new_and_live(message: Message) -> Understanding | None:
    """`the new one, live, now`"""
    live = not {"live", "prod", "production"}.isdisjoint(message.words)
    if not live or len(message.words) > 8 or not things.NEW.within(message.words):
        return None
    return with_agent(
        message, Intent.DEPLOY, agents_meant(message, None), Slots(), "It asks for a new model in production."
    )


def wishes_for_no_agent(message: Message) -> Understanding | None:
    """`something is wrong, fix it`, `use the new one`"""
    words = message.words
    wish = moods.REMEDY.within(words) or sentences.VAGUE.within(words) or things.NEW.within(words)
    if not wish or len(words) > 9 or not _is_of_this_field(message) or agents_meant(message, None):
        return None
    return _which_agent(message)


def chooses_no_version(message: Message) -> Understanding | None:
    """`the better of the two please`"""
    situation = message.situation
    if len(situation.versions) < 2 or len(situation.agents) != 1 or not sentences.VAGUE.within(message.words):
        return None
    return Understanding(
        intent=Intent.AMBIGUOUS,
        agent=situation.agents[0],
        agents=situation.agents,
        question=which_version(message),
        about=Intent.DEPLOY,
        why="It does not say which version.",
    )


def asks_about_it(message: Message) -> Understanding | None:
    """`is it better now?`, without a turn before that says what `it` is."""
    words = message.words
    compares = questions.COMPARES.within(words)
    points = not _POINTING.isdisjoint(words) or _THE_JOB.within(words) or (compares and len(words) <= 8)
    of_state = compares or questions.STATUS.within(words) or not _BETTER.isdisjoint(words)
    if not points or not of_state or not asks(message.reading) or not _is_of_this_field(message):
        return None
    return None if agents_meant(message, None) else _which_agent(message)


def _which_agent(message: Message, slots: Slots | None = None) -> Understanding:
    return Understanding(
        intent=Intent.AMBIGUOUS,
        slots=slots or Slots(),
        question=which_agent(message),
        certain=False,
        why="It does not say which agent.",
    )


def _is_of_this_field(message: Message) -> bool:
    content = content_words(message.reading)
    return all(word in known_words() and word not in things.OTHER_SYSTEMS for word in content)
