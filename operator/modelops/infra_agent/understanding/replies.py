"""What the rules answer: an intent with its agent, one question, or nothing."""

from __future__ import annotations

import re

from modelops.infra_agent.understanding import things
from modelops.infra_agent.understanding.agents import is_weak
from modelops.infra_agent.understanding.corrections import correction_at
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.requests import Request
from modelops.infra_agent.understanding.slots import named_versions, slots_of
from modelops.infra_agent.understanding.topic_rules import is_about_a_bot
from modelops.infra_agent.understanding.words import Kind


def with_agent(
    message: Message, intent: Intent, agents: tuple[str, ...], slots: Slots, why: str
) -> Understanding:
    if message.reading.unknown_agent and not message.reading.named:
        agents = ()
    if not agents:
        return Understanding(
            intent=Intent.AMBIGUOUS,
            slots=slots,
            about=intent,
            question=which_agent(message),
            why="It does not say which agent.",
        )
    if len(agents) > 1 and (not message.reading.named or _one_or_another(message)):
        return Understanding(
            intent=Intent.AMBIGUOUS,
            agents=agents,
            slots=slots,
            about=intent,
            question=which_agent(message),
            why="Several agents can be meant.",
        )
    return Understanding(intent=intent, agent=the_only_one(agents), agents=agents, slots=slots, why=why)


def agents_meant(message: Message, request: Request | None) -> tuple[str, ...]:
    """The agents that are meant: after a change of mind, in the request's part, in any main part, anywhere, before."""
    reading = message.reading
    end = len(reading.words)
    changed = correction_at(reading)
    if changed is not None and (later := reading.agents_in(changed, end)):
        return tuple(later)
    if request is not None and (near := reading.agents_in(request.act.part.start, request.act.part.end)):
        return tuple(near)
    main = [
        agent for part in reading.parts_in(Role.MAIN) for agent in reading.agents_in(part.start, part.end)
    ]
    if main:
        return tuple(dict.fromkeys(main))
    anywhere = reading.agents_in(0, end)
    if anywhere:
        return tuple(anywhere)
    if reading.in_names:
        return reading.in_names
    if reading.unknown_agent:
        return ()
    return message.situation.agents or _agents_of_datasets(message) or _agents_of_work(message, request)


def _agents_of_work(message: Message, request: Request | None) -> tuple[str, ...]:
    """`collect the reviews that ...` is about the agent whose work that is."""
    if request is None or request.intent is not Intent.COLLECT:
        return ()
    return tuple(
        one.name
        for one in message.identities
        if any(is_weak(call) and call[0] in message.words for call in one.calls)
    )


def _agents_of_datasets(message: Message) -> tuple[str, ...]:
    """`ls://cicd/flaky` is about the agent of that name, if the message and the turns before name none."""
    found: list[str] = []
    for token in message.reading.tokens:
        if token.kind is Kind.DATASET:
            first = token.text.casefold().removeprefix("ls://").split("/")[0]
            words = tuple(word for word in re.split(r"[^a-z0-9]+", first) if word)
            found += [
                one.name
                for one in message.identities
                if any(words[: len(call)] == call for call in one.calls)
            ]
    return tuple(dict.fromkeys(found))


def the_only_one(agents: tuple[str, ...]) -> str | None:
    return agents[0] if len(agents) == 1 else None


def which_agent(message: Message) -> str:
    names = (
        message.situation.agents
        if len(message.situation.agents) > 1
        else tuple(one.name for one in message.identities)
    )
    unknown = message.reading.unknown_agent
    prefix = f"I know no agent {unknown!r}. " if unknown else ""
    return f"{prefix}Which agent: {', '.join(names)}?" if names else f"{prefix}Which agent?"


def which_version(message: Message) -> str:
    versions = named_versions(message.reading, Intent.EVALUATE) or list(message.situation.versions)
    return f"Which version: {', '.join(versions)}?" if versions else "Which version?"


def nothing(why: str, *, certain: bool = True) -> Understanding:
    return Understanding(intent=Intent.NONE, certain=certain, may_act=not certain, why=why)


def informs(message: Message, topic: Intent) -> Understanding:
    agents = agents_meant(message, None)
    slots = slots_of(message.reading, topic)
    bot = is_about_a_bot(message.reading) and things.THE_BOT.within(message.words)
    if not agents and bot and len(message.identities) > 1 and not slots.run:
        return Understanding(
            intent=Intent.AMBIGUOUS,
            about=topic,
            question=which_agent(message),
            slots=slots,
            why="It does not say which agent.",
        )
    return Understanding(
        intent=topic,
        agent=the_only_one(agents),
        agents=agents,
        slots=slots,
        why=f"It asks about {_TOPIC[topic]}.",
    )


_TOPIC = {Intent.COST: "money", Intent.HISTORY: "its models, now and before", Intent.MONITOR: "what runs now"}


def main_words(message: Message) -> list[str]:
    """The words outside conditions and asides, with pauses between the parts."""
    words: list[str] = []
    for part in message.reading.parts_in(Role.MAIN):
        words += [*message.words[part.start : part.end], ""]
    return words


def _one_or_another(message: Message) -> bool:
    """`train cicd or docs`"""
    words = message.words
    return any(words[at - 1] in ("or", "oder", "ou") for at, word in enumerate(words) if at and word == AGENT)
