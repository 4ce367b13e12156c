"""The meaning of a message by ordered rules. The first rule that applies decides; the last one says that none did."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from modelops.infra_agent.understanding.acts import acts_in
from modelops.infra_agent.understanding.agents import AgentIdentity
from modelops.infra_agent.understanding.complaint_rules import (
    complains,
    complains_with_data,
    not_understood,
)
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.left_out import left_alone, without_what_is_left
from modelops.infra_agent.understanding.lexicon import METHODS
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.pauses import pauses
from modelops.infra_agent.understanding.plan_questions import asks_for_the_plan
from modelops.infra_agent.understanding.reading import read
from modelops.infra_agent.understanding.repeat_rules import tries_again
from modelops.infra_agent.understanding.replies import with_agent
from modelops.infra_agent.understanding.request_rules import asked_about, requested
from modelops.infra_agent.understanding.safety_rules import (
    asks_general,
    asks_with_hands_off,
    for_somebody_else,
    greets,
    holds,
    imagines,
    nothing_said,
    other_work,
    pasted,
    taken_back,
    wants_none,
    withdraws,
)
from modelops.infra_agent.understanding.several import second_request_at, text_between
from modelops.infra_agent.understanding.situation import situation_of
from modelops.infra_agent.understanding.spoken import spoken
from modelops.infra_agent.understanding.terse_rules import terse_order
from modelops.infra_agent.understanding.topic_rules import asks
from modelops.infra_agent.understanding.turn_rules import (
    answers_the_plan,
    bare_answer,
    chooses,
    explicit_approval,
)
from modelops.infra_agent.understanding.unclear_rules import (
    asks_about_it,
    chooses_no_version,
    offers_alternatives,
    says_new_and_live,
    says_only_the_bot,
    wishes_for_no_agent,
)
from modelops.infra_agent.understanding.words import Kind


def understand(
    message: str, *, context: Sequence[str] = (), agents: Sequence[AgentIdentity]
) -> Understanding:
    """What `message` asks for, after the turns of `context` (`chef: ...`, `user: ...`; the newest last)."""
    own = spoken(message)
    reading = read(own.text, agents)
    heard = Message(
        own, reading, acts_in(reading), situation_of(context, agents), tuple(context), tuple(agents)
    )
    understood = _leaves_one_out(heard) or _two_requests(heard) or _by_rules(heard)
    acts = [one for one in (understood, understood.then) if one is not None and one.intent.spends_or_moves]
    left = left_alone(heard)
    if any(not left.isdisjoint(one.agents) for one in acts):
        why = f"It asks to leave {', '.join(sorted(left))} as it is."
        return Understanding(intent=Intent.NONE, certain=False, may_act=False, why=why)
    return understood


def _by_rules(heard: Message) -> Understanding:
    for rule in RULES:
        understood = rule(heard)
        if understood is not None:
            return understood
    return not_understood(heard)


def _leaves_one_out(message: Message) -> Understanding | None:
    """`leave docs as it is, train cicd`: what it asks of the agent that it does not leave as it is."""
    rest = without_what_is_left(message)
    if rest is None:
        return None
    understood = understand(rest, context=message.context, agents=message.identities)
    return None if understood.intent is Intent.NONE else understood


def _two_requests(message: Message) -> Understanding | None:
    """`deploy docs v3 and train cicd`: both, if each is whole in its own words and they are not the same."""
    at = second_request_at(message)
    if at is None or not _by_rules(message).intent.changes_something:
        return None
    reading, agents = message.reading, message.identities
    first = understand(text_between(reading, 0, at), context=message.context, agents=agents)
    about = (f"chef: About {', '.join(first.agents)}.",) if first.agents else message.context
    second = understand(text_between(reading, at, len(reading.words)), context=about, agents=agents)
    both = (first, second)
    if not all(one.intent.changes_something and one.agent and one.then is None for one in both):
        return None
    if (first.intent, first.agent) == (second.intent, second.agent):
        return None
    return first.model_copy(update={"then": second})


def _answers_the_question(message: Message) -> Understanding | None:
    """`docs`, after `roll it back` and `Which agent?`: the request before, with the answer."""
    situation = message.situation
    if situation.asked is None or situation.request is None or asks(message.reading):
        return None
    if any(act.form in (Form.REQUEST, Form.DENIED) for act in message.acts) or len(message.words) > 8:
        return None
    values = {Kind.VERSION, Kind.DATASET, Kind.PERCENT, Kind.RUN, Kind.USD, Kind.MODEL}
    described = _described_version(message)
    if described is not None:
        return understand(described, context=message.context, agents=message.identities)
    if not message.reading.named and not any(token.kind in values for token in message.reading.tokens):
        return None
    earlier = message.context[: -2 if len(message.context) > 1 else 0]
    again = understand(
        f"{situation.request} , {message.spoken.text}", context=earlier, agents=message.identities
    )
    if again.agent is None and not again.agents and len(situation.agents) == 1 and again.about is not None:
        return with_agent(message, again.about, situation.agents, again.slots, "The question was answered.")
    return again


def _described_version(message: Message) -> str | None:
    """The version that `the sft one` means in `v15 (sft) or v16 (dpo)?`."""
    if len(message.situation.versions) < 2 or any(
        token.kind is Kind.VERSION for token in message.reading.tokens
    ):
        return None
    chosen = [word for word in message.words if word in METHODS]
    described = re.findall(r"\b(v\d[\w.-]*)\s*\(([^)]*)\)", message.situation.asked or "")
    fitting = [
        version
        for version, words in described
        if chosen and chosen[-1] in re.findall(r"\w+", words.casefold())
    ]
    return fitting[0] if len(fitting) == 1 else None


def _same_for_another(message: Message) -> Understanding | None:
    """`same for cicd`: the request before, for another agent; values of the first agent's data are not taken over."""
    words = message.words
    agents = message.reading.agents_in(0, len(words))
    if (
        message.situation.request is None
        or not agents
        or len(words) > 9
        or message.situation.plan is not None
    ):
        return None
    follows = any(
        word in ("same", "likewise", "too", "auch", "tambien", "tambem", "aussi", "ditto") for word in words
    ) or words[0] in ("and", "und", "y", "e", "et")
    if not follows or any(act.form is Form.REQUEST for act in message.acts):
        return None
    before = understand(message.situation.request, context=(), agents=message.identities)
    intent = before.about if before.intent is Intent.AMBIGUOUS else before.intent
    if intent in (None, Intent.NONE, Intent.APPROVE):
        return None
    kept = Slots(method=before.slots.method, percent=before.slots.percent, strategy=before.slots.strategy)
    return with_agent(message, intent, tuple(agents), kept, "The request before, for another agent.")


RULES: tuple[Callable[[Message], Understanding | None], ...] = (
    nothing_said,
    for_somebody_else,
    pasted,
    answers_the_plan,
    chooses,
    _answers_the_question,
    _same_for_another,
    bare_answer,
    explicit_approval,
    greets,
    withdraws,
    taken_back,
    pauses,
    other_work,
    asks_for_the_plan,
    asks_general,
    asks_with_hands_off,
    imagines,
    holds,
    wants_none,
    offers_alternatives,
    requested,
    terse_order,
    tries_again,
    complains_with_data,
    asked_about,
    complains,
    says_only_the_bot,
    says_new_and_live,
    wishes_for_no_agent,
    chooses_no_version,
    asks_about_it,
)
"""The order is the design: what must never act comes first, then answers, then requests, then questions."""
