"""Rules for answers to the turn before: to a plan, to a question, or the same for another agent."""

from __future__ import annotations

import re

from modelops.infra_agent.understanding import sentences
from modelops.infra_agent.understanding.answers import answer_to_plan, is_consent, is_refusal
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.replies import agents_meant, nothing, the_only_one, with_agent
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.topic_rules import asks
from modelops.infra_agent.understanding.words import Kind


def answers_the_plan(message: Message) -> Understanding | None:
    return answer_to_plan(message.reading, message.acts, message.situation)


def bare_answer(message: Message) -> Understanding | None:
    """`yes` and `no` without a plan do nothing."""
    verb = any(act.form is Form.REQUEST and act.intent.spends_or_moves for act in message.acts)
    if is_consent(message.words) and not verb:
        return nothing("No plan waits for a confirmation.")
    if is_refusal(message.words) and not any(act.stops for act in message.acts):
        return nothing("No plan waits for an answer.")
    return None


_EITHER = re.compile(r"training\b.*\bor\b.*\b(version before|go back)\b", re.I)
_FIRST = Phrases("training, train, retraining, the first, first one, former, option one|1|a, teach")
_SECOND = Phrases("""
    version before, previous, go back, back, rollback, roll back, the second, second one, latter,
    option two|2|b, old one, old version
""")


def chooses(message: Message) -> Understanding | None:
    """`the training please`, after a question whether to train or to go back; both and neither choose nothing."""
    asked, words = message.situation.asked, message.words
    if (
        asked is None
        or not _EITHER.search(asked)
        or len(words) > 6
        or message.reading.named
        or asks(message.reading)
    ):
        return None
    if any(word in sentences.DENIAL for word in words):
        return None
    first, second = _FIRST.within(words), _SECOND.within(words)
    if first is second:
        return None
    intent = Intent.TRAIN if first else Intent.ROLLBACK
    slots = slots_of(message.reading, intent)
    return with_agent(message, intent, message.situation.agents, slots, "The question was answered.")


def explicit_approval(message: Message) -> Understanding | None:
    """`approve tr-12`: a run that waits for an approval, named by the person."""
    words, reading = message.words, message.reading
    verb = next(
        (
            at
            for at, word in enumerate(words)
            if word in ("approve", "genehmige", "aprueba", "aprova", "approuve")
        ),
        None,
    )
    runs = [token.text for token in reading.tokens if token.kind is Kind.RUN]
    if verb is None or asks(reading) or message.spoken.pasted or not runs:
        return None
    if any(word in sentences.DENIAL for word in words) or reading.parts_in(Role.CONDITION):
        return None
    agents = agents_meant(message, None)
    return Understanding(
        intent=Intent.APPROVE,
        agent=the_only_one(agents),
        agents=agents,
        slots=Slots(run=runs[-1]),
        why="The run was approved by its name.",
    )
