"""The rule for a run that ended badly and is tried again: `the last run of docs died, same again`."""

from __future__ import annotations

from modelops.infra_agent.understanding import things, verbs
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.model import Intent, Understanding
from modelops.infra_agent.understanding.parts import Part
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.replies import agents_meant, with_agent
from modelops.infra_agent.understanding.sentences import DENIAL
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.topic_rules import asks
from modelops.infra_agent.understanding.words import words_of

_SAME_DATA = "same as last run"
_LAST_RUN = Phrases("""
    last|latest|previous|yesterdays|letzte|letzter|letztes|ultimo|ultima|dernier|derniere * run|training|job|finetune|
    finetuning|eval|evaluation|benchmark|lauf|entrenamiento|evaluacion|treino|treinamento|avaliacao|entrainement|sft|
    dpo|orpo
""")
_ENDED_BADLY = Phrases("""
    died, crashed, failed, broke, oom, out of memory, timed out, stopped, aborted, killed, hung, was lost, ended early,
    abgesturzt, gescheitert, fehlgeschlagen, abgebrochen, fallo, se cayo, murio, caiu, falhou, morreu, a plante, echoue,
    tombe
""")
_AGAIN = Phrases("""
    same again, same thing again, same once more, the same again, try|run|do|start|submit|launch the same,
    try|run|do|start|submit|launch the same again, try|run|do|start|submit|launch the same thing again,
    try|run|do|start|submit|launch it|that|this again, try again, repeat it|that|this, rerun it|that|this,
    redo it|that|this, restart it|that|this, retry, retry it|that|this,
    mach|starte|versuch|versuche * noch mal, mach|starte|versuch|versuche * nochmal|nochmals,
    mach|starte|versuch|versuche * noch einmal, repite lo, repite el mismo, intenta lo otra|de vez|nuevo,
    intenta|prueba otra vez, intenta|prueba de nuevo, tenta|roda|faz de novo, repete, refais|relance le|la,
    refais|relance le|la meme
""")
_BEFORE = words_of("please pls plz just now so can could you we lets and also then bitte por favor stp svp")
_AFTER = words_of(
    "but with and on please pls this now today bitte por mit con com avec mais pero mas only max at using"
)
_OF_TRAFFIC = things.CANARY


def tries_again(message: Message) -> Understanding | None:
    """A training or an evaluation that ended badly, in one clause, and in another the wish to do the same again."""
    reading, words = message.reading, message.words
    if not reading.named or asks(reading) or _OF_TRAFFIC.within(words) or message.situation.plan is not None:
        return None
    if any(act.form in (Form.DENIED, Form.TOLD) for act in message.acts) or not DENIAL.isdisjoint(words):
        return None
    ended = [
        part
        for part in reading.parts
        if _LAST_RUN.within(words, start=part.start, end=part.end)
        and _ENDED_BADLY.within(words, start=part.start, end=part.end)
    ]
    again = [part for part in reading.parts if part not in ended and _wants_it(words, part)]
    if not ended or not again or again[0].start < ended[0].end:
        return None
    named = words[ended[0].start : ended[0].end]
    intent = Intent.EVALUATE if verbs.NOUNS[Intent.EVALUATE].within(named) else Intent.TRAIN
    slots = slots_of(reading, intent)
    if intent is Intent.TRAIN and slots.dataset is None:
        slots = slots.model_copy(update={"dataset": _SAME_DATA})
    return with_agent(message, intent, agents_meant(message, None), slots, "A run that is tried again.")


def _wants_it(words: tuple[str, ...], part: Part) -> bool:
    """The clause is the wish and nothing else, but for how: `please try the same with 16gb`; not `retry count 3`."""
    found = next(iter(_AGAIN.all(words, start=part.start, end=part.end)), None)
    if found is None or any(word not in _BEFORE for word in words[part.start : found.start]):
        return False
    following = words[found.end : part.end][:2]
    return following != ("and", "again") and (not following or following[0] in _AFTER)
