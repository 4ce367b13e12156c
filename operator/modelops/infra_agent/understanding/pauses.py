"""The rule for pausing what runs, and for letting it go on."""

from __future__ import annotations

from modelops.infra_agent.understanding import things
from modelops.infra_agent.understanding.forms import Form, form_of
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.objects import About, object_of
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.replies import agents_meant, the_only_one, with_agent
from modelops.infra_agent.understanding.words import Kind

_PAUSES = Phrases("""
    pause, freeze, suspend, hold * at <N>, hold * where, hold * there, hold the, put * on hold|ice,
    pausier, pausiere, pausieren, halte * an, pausa, pausar, pause * rollout, congela, suspende,
    mets|mettre|mettez * en pause, suspends
""")
_RESUMES = Phrases("""
    resume, unpause, unfreeze, continue, carry on with, let * continue|resume|go on|run on, go on with,
    pick * back up, setz|setze * fort, mach|mache * weiter, fortsetzen, weiterlaufen, reanuda, reanudar, retoma,
    retomar, continua, continuar, reprends, reprendre, continue
""")


def pauses(message: Message) -> Understanding | None:
    """`pause the docs rollout`, `resume docs-train-1c2f`: the only request of the message."""
    if message.situation.plan is not None or message.spoken.pasted:
        return None
    for intent, phrases in ((Intent.RESUME, _RESUMES), (Intent.PAUSE, _PAUSES)):
        if _asks_for(message, phrases):
            run = next((one.text for one in message.reading.tokens if one.kind is Kind.RUN), None)
            agents = agents_meant(message, None)
            why = f"It asks to {intent.value} what runs."
            if run is not None and not agents:
                return Understanding(intent=intent, slots=Slots(run=run), why=why)
            found = with_agent(message, intent, agents, Slots(run=run), why)
            return found.model_copy(update={"agent": the_only_one(agents)})
    return None


def _asks_for(message: Message, phrases: Phrases) -> bool:
    reading, words = message.reading, message.words
    for part in reading.parts_in(Role.MAIN):
        for at in range(part.start, part.end):
            found = phrases.at(words, at, end=part.end)
            others = [
                act for act in message.acts if act.form in (Form.REQUEST, Form.DENIED) and not act.stops
            ]
            if (
                found is None
                or any(act.at != at or found.words < 2 for act in others)
                or form_of(reading, part, found) is not Form.REQUEST
            ):
                continue
            inside = words[at : part.end]
            runs = things.CANARY.within(inside) or things.JOB.within(inside) or "<RUN>" in inside
            follows = message.situation.canary or message.situation.job
            pronoun = follows and len(words) <= 6 and any(one in ("it", "that", "this") for one in inside)
            if object_of(reading, part, found) is About.FIELD and (runs or pronoun or inside[1:] == (AGENT,)):
                return True
    return False
