"""Rules for complaints about an agent, and the last rule, for what no other rule understands."""

from __future__ import annotations

from modelops.infra_agent.understanding import moods
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Understanding
from modelops.infra_agent.understanding.refusals import denied_nouns, is_about_settings
from modelops.infra_agent.understanding.replies import (
    agents_meant,
    main_words,
    the_only_one,
    with_agent,
)
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.topic_rules import is_about_a_bot
from modelops.infra_agent.understanding.words import Kind, words_of


def complains(message: Message) -> Understanding | None:
    """A complaint about an agent with a wish to mend it: the model before, if it names that; otherwise a training."""
    words = message.words
    said = main_words(message)
    complaint = moods.COMPLAINT.within(said) or moods.WAS_BETTER_BEFORE.within(words)
    denied = any(act.form is Form.DENIED for act in message.acts)
    denied = denied or Intent.TRAIN in denied_nouns(words)
    remedy = moods.REMEDY.within(said) and not denied and not is_about_settings(tuple(said))
    remedy = remedy or (
        not denied and moods.WAS_BETTER_BEFORE.within(words) and moods.WANTS_AGAIN.within(words)
    )
    agents = agents_meant(message, None)
    if (not complaint and not remedy) or (
        not remedy and any(part.question for part in message.reading.parts)
    ):
        return None
    if not agents and not is_about_a_bot(message.reading):
        return None
    intent = Intent.ROLLBACK if moods.WAS_BETTER_BEFORE.within(words) else Intent.TRAIN
    slots = slots_of(message.reading, intent)
    if intent is Intent.ROLLBACK and slots.version is None:
        slots = slots.model_copy(update={"version": "previous"})
    trains = _offers_a_training(said) or ("<DATASET>" in said and "training" not in said)
    if moods.BEFORE_PLEASE.within(words) and complaint and not denied:
        intent, remedy = Intent.ROLLBACK, True
        slots = slots_of(message.reading, intent)
    if remedy or not agents or (complaint and trains and not denied and intent is Intent.TRAIN):
        return with_agent(
            message, intent, agents, slots, "A complaint about an agent, with a wish to mend it."
        )
    return Understanding(
        intent=Intent.AMBIGUOUS,
        agent=the_only_one(agents),
        agents=agents,
        slots=slots,
        about=intent,
        question=f"Shall I prepare a training of {agents[0]}, or go back to its version before?",
        certain=False,
        why="A complaint about an agent, without a wish.",
    )


def _offers_a_training(words: list[str]) -> bool:
    """`worth a training`; `the last docs training failed again` is about one that there was."""
    return any(
        word == "training" and _DEFINITE.isdisjoint(words[max(0, at - 3) : at])
        for at, word in enumerate(words)
    )


_DEFINITE = words_of("the this that last latest previous our my yesterdays")


def complains_with_data(message: Message) -> Understanding | None:
    """A complaint about an agent that offers a training or its data, even as a question: `worth a training?`"""
    words = message.words
    offers = any(token.kind is Kind.DATASET for token in message.reading.tokens) or "training" in words
    if (
        not message.reading.named
        or not offers
        or not moods.COMPLAINT.within(words)
        or not moods.REMEDY.within(words)
    ):
        return None
    return complains(message)


def not_understood(message: Message) -> Understanding:
    """No rule applied. If something of this field is named, a model may know."""
    field = bool(message.reading.named) or is_about_a_bot(message.reading) or bool(message.acts)
    return Understanding(
        intent=Intent.NONE,
        certain=not field,
        may_act=field and not message.spoken.pasted,
        why="No rule understands the message." if field else "It is about nothing of this field.",
    )
