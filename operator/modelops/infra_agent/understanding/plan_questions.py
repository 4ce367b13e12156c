"""Questions about an evaluation that nobody has started: what it would cost, how long it takes, what it would show."""

from __future__ import annotations

import re

from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Understanding
from modelops.infra_agent.understanding.replies import agents_meant, the_only_one
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.topic_rules import asks

_EVALUATION = r"(?:an?|another|one more) (?:new )?(?:eval|evals|evaluation|comparison)\b"
_ASKED = re.compile(
    "|".join(
        (
            rf"\b(?:would|will|does|do|could|can) [^.?!]*?(?:\b{_EVALUATION}|\bevaluating\b)",
            rf"\b(?:costs?|price|much|long|examples|minutes) [^.?!]*?\b(?:to evaluate|evaluating|{_EVALUATION})",
            r"\b(?:chances?|likely|odds|probability|probable) [^.?!]*?\bpass(?:es)?\b",
            r"\bkostet [^.?!]*?\beine evaluation\b",
        )
    )
)
_EXAMPLES = re.compile(r"\b(\d{1,5}) (?:held-out )?examples\b")


def asks_for_the_plan(message: Message) -> Understanding | None:
    """`what would an evaluation of docs cost?`: it is about money and chances, and starts nothing."""
    text = " ".join(message.spoken.text.casefold().split())
    if not asks(message.reading) or not _ASKED.search(text):
        return None
    slots = slots_of(message.reading, Intent.COST)
    agents = agents_meant(message, None)
    if not agents or slots.run or any(act.form is Form.REQUEST for act in message.acts):
        return None
    examples = _EXAMPLES.search(text)
    return Understanding(
        intent=Intent.COST,
        about=Intent.EVALUATE,
        agent=the_only_one(agents),
        agents=agents,
        slots=slots.model_copy(update={"examples": int(examples[1]) if examples else None}),
        why="It asks what an evaluation would cost and show.",
    )
