"""Rules for what is asked for: by a verb, or by the topic of a question."""

from __future__ import annotations

from modelops.infra_agent.understanding import sentences, things
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.lexicon import known_words
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.objects import About
from modelops.infra_agent.understanding.pointing import with_what_chef_named
from modelops.infra_agent.understanding.replies import (
    agents_meant,
    informs,
    nothing,
    the_only_one,
    which_version,
    with_agent,
)
from modelops.infra_agent.understanding.requests import Request, request_in
from modelops.infra_agent.understanding.slots import named_versions, slots_of
from modelops.infra_agent.understanding.topic_rules import content_words, is_about_a_bot, topic_of
from modelops.infra_agent.understanding.words import Kind


def requested(message: Message) -> Understanding | None:
    """The request of the message, with its agent and its values."""
    request = request_in(message.reading, message.acts, message.situation)
    if request is None or request.intent is Intent.NONE:
        return None
    if _only_named(message, request):
        if sentences.ADVICE.within(message.words):
            return None
        topic = topic_of(message.reading, message.acts, message.situation)
        if topic not in (None, Intent.EVALUATE) and not sentences.UNSURE.within(message.words):
            return None
        if request.act.about is About.FOREIGN or not agents_meant(message, request):
            return None
    if _is_about_something_else(message, request):
        certain = not message.reading.named and not message.situation.agents
        return nothing("The verb is about something else than an agent's model.", certain=certain)
    content = content_words(message.reading)
    if request.act.about is About.NOTHING and not message.reading.named and len(content) > 6:
        return None
    slots = with_what_chef_named(message, request.intent, slots_of(message.reading, request.intent))
    runs = message.situation.runs
    follows = request.intent in (Intent.COLLECT, Intent.CANCEL) and not message.reading.named
    if follows and slots.run is None and len(runs) == 1:
        slots = slots.model_copy(update={"run": runs[0]})
    return _resolved(message, request, slots)


def _is_about_something_else(message: Message, request: Request) -> bool:
    about = request.act.about
    if request.intent is Intent.COLLECT and agents_meant(message, request):
        return any(word in things.OTHER_SYSTEMS for word in message.words) and not message.reading.named
    return about in (About.FOREIGN, About.MIXED) or _is_of_another_world(message)


def _only_named(message: Message, request: Request) -> bool:
    return not any(act.at == request.act.at and act.form is Form.REQUEST for act in message.acts)


def _is_of_another_world(message: Message) -> bool:
    """Whether a message without an agent, a version or a dataset has several words that are of no use in this field."""
    kinds = {token.kind for token in message.reading.tokens}
    if message.reading.named or kinds & {Kind.DATASET, Kind.RUN}:
        return False
    if things.THE_BOT.within(message.words):
        return any(word in things.OTHER_SYSTEMS for word in message.words)
    others = [word for word in content_words(message.reading) if word not in known_words()]
    return any(word in things.OTHER_SYSTEMS for word in message.words) or (
        len(others) > 1 and not message.situation.agents and not things.FAILURES.within(message.words)
    )


def _resolved(message: Message, request: Request, slots: Slots) -> Understanding:
    agents = agents_meant(message, request)
    versions = named_versions(message.reading, request.intent)
    single = request.intent in (Intent.DEPLOY, Intent.ROLLBACK, Intent.PROMOTE)
    vague = sentences.VAGUE.within(message.words) and not versions and "old" not in message.words
    doubt = sentences.UNSURE.within(message.words) or (single and _either(message))
    doubt = doubt or sentences.ONE_OF.within(message.words)
    choice = request.intent is Intent.DEPLOY and not versions and len(message.situation.versions) > 1
    if agents and single and (doubt or choice or (vague and len(message.situation.versions) != 1)):
        return Understanding(
            intent=Intent.AMBIGUOUS,
            agent=the_only_one(agents),
            agents=agents,
            slots=slots,
            about=request.intent,
            question=which_version(message),
            why="It does not say which version.",
        )
    if request.intent is Intent.CANCEL and slots.run:
        return Understanding(
            intent=Intent.CANCEL,
            agent=the_only_one(agents),
            agents=agents,
            slots=slots,
            why="The run is named.",
        )
    return with_agent(message, request.intent, agents, slots, f"It asks to {request.intent.value}.")


def _either(message: Message) -> bool:
    """`v3 or v4`"""
    tokens = message.reading.tokens
    places = [at for at, token in enumerate(tokens) if token.kind is Kind.VERSION]
    return any(tokens[at - 1].text in ("or", "oder", "o", "ou", "maybe") for at in places[1:])


def asked_about(message: Message) -> Understanding | None:
    topic = topic_of(message.reading, message.acts, message.situation)
    if topic is None:
        return None
    if topic is Intent.EVALUATE:
        agents = agents_meant(message, None)
        if not agents and not is_about_a_bot(message.reading):
            return None
        return with_agent(
            message,
            topic,
            agents,
            slots_of(message.reading, topic),
            "It asks how one model compares with another.",
        )
    return informs(message, topic)
