"""The request of a message: which of its acts counts, and what a verb such as stop means by its object."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelops.infra_agent.understanding import moods, questions, things
from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.canaries import has_version, is_promotion, raises_a_canary, to_a_rank
from modelops.infra_agent.understanding.corrections import correction_at
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.lexicon import METHODS, PREPOSITIONS
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.objects import About
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.refusals import is_about_settings
from modelops.infra_agent.understanding.situation import Situation
from modelops.infra_agent.understanding.words import Kind, words_of

_COLLECTED = Phrases("""
    failures, failed, failure, examples, example, dataset, datasets, set, traces, thumbs, misses,
    mistakes, errors, cases, samples, failing, conversations, answers, outputs, replies, feedback,
    complaints, corrections, disagreed, those, them, these, everything, rejected, reviews, data, fehler,
    beispiele, datensatz, fallos, errores, ejemplos, falhas, erros, exemplos, casos, echecs, erreurs,
    exemples, jeu
""")


_LOOKS = words_of("check see tell find show figure know verify try")
"""Verbs that ask for an evaluation only if there is nothing else to look at."""


_OF_A_CANARY = (
    ("finish",),
    ("complete",),
    *((verb, what) for verb in ("double", "triple") for what in ("it", "that", "the")),
)
"""What raises a canary only if there is one: `double it` may be about money."""
_PUTS = words_of("put set bring switch move get change take")
"""Verbs that send an agent to a new version, and also back to one that it had."""


@dataclass(frozen=True)
class Request:
    """What is asked for, and where the message says so."""

    intent: Intent
    act: Act


def request_in(reading: Reading, acts: list[Act], situation: Situation) -> Request | None:
    """The request that counts: the first one, or the first after a change of mind; requests beat what is only named."""
    usable = [act for act in acts if act.form is Form.REQUEST and act.part.role is Role.MAIN]
    changed = correction_at(reading)
    if changed is not None:
        later = [act for act in usable if act.at >= changed and _is_whole(act)]
        usable = later or [act for act in usable if act.at < changed] or usable
    meant = [Request(_meaning(reading, act, situation), act) for act in usable]
    meant = [one for one in meant if one.intent is not Intent.NONE]
    of_field = [one for one in meant if one.act.about in (About.FIELD, About.NOTHING)]
    if of_field or meant:
        return (of_field or meant)[0]
    named = [
        act for act in acts if act.form is Form.NAMED and act.part.role is Role.MAIN and _leads(reading, act)
    ]
    named = [replace(act, form=Form.REQUEST) for act in named]
    return Request(_meaning(reading, named[0], situation), named[0]) if named else None


def _is_whole(act: Act) -> bool:
    return act.about is not About.FOREIGN


def _meaning(reading: Reading, act: Act, situation: Situation) -> Intent:
    words = reading.words
    around = words[act.part.start : act.part.end]
    if act.stops or act.intent is Intent.CANCEL:
        return _stopped(reading, act, situation)
    if act.intent is Intent.EVALUATE and words[act.at] in _LOOKS:
        if questions.STATUS.within(around) or (things.CANARY.within(around) and not has_version(reading)):
            return Intent.NONE
        share = not {"traffic", "slice", "users", "production"}.isdisjoint(around)
        if share or any(
            token.kind is Kind.PERCENT for token in reading.tokens[act.part.start : act.part.end]
        ):
            return Intent.DEPLOY
    changes_model = act.intent in (Intent.TRAIN, Intent.DEPLOY, Intent.ROLLBACK, Intent.EVALUATE)
    if changes_model and is_about_settings(words[act.at : act.part.end]):
        return Intent.NONE
    if act.intent is Intent.COLLECT:
        whole = _COLLECTED.within(words) or any(t.kind is Kind.DATASET for t in reading.tokens)
        return Intent.COLLECT if whole else Intent.NONE
    if act.intent is Intent.ROLLBACK and any(
        t.kind is Kind.RUN for t in reading.tokens[act.part.start : act.part.end]
    ):
        return Intent.CANCEL
    if act.intent is Intent.DEPLOY and not has_version(reading) and _gives_training_values(reading, act):
        return Intent.NONE
    if act.intent is Intent.DEPLOY and raises_a_canary(reading, act, situation):
        return Intent.PROMOTE
    if act.intent is Intent.PROMOTE and words[act.at : act.end] in _OF_A_CANARY:
        return Intent.PROMOTE if things.CANARY.within(words) or situation.canary else Intent.NONE
    if act.intent is Intent.PROMOTE and to_a_rank(reading, act):
        return Intent.NONE
    if act.intent is Intent.PROMOTE and not is_promotion(reading, act, situation):
        return Intent.DEPLOY
    if act.intent is Intent.DEPLOY and words[act.at] in _PUTS and moods.NEW_IS_BAD.within(words):
        return Intent.ROLLBACK
    if act.intent is Intent.DEPLOY and moods.WAS_BETTER_BEFORE.within(around) and not has_version(reading):
        return Intent.ROLLBACK
    return act.intent


def _stopped(reading: Reading, act: Act, situation: Situation) -> Intent:
    """A canary is rolled back; a job, a plan or a request is cancelled."""
    words = reading.words
    whole = words[act.part.start : act.part.end]
    after = words[act.at : act.part.end]
    points = len(after) < 6 and any(word in ("it", "that", "this") for word in after)
    kinds = {token.kind for token in reading.tokens[0 if points else act.part.start : act.part.end]}
    if things.REQUEST.within(whole):
        return Intent.CANCEL
    if things.CANARY.within(after) or (things.CANARY.within(whole) and not things.JOB.within(after)):
        return Intent.ROLLBACK
    if Kind.RUN in kinds or things.JOB.within(whole) or any(word in METHODS for word in whole):
        return Intent.CANCEL
    if Kind.VERSION in kinds or (AGENT in after and things.NEW.within(after)) or "candidate" in after:
        return Intent.ROLLBACK
    if situation.plan is None and situation.canary and not situation.job:
        return Intent.ROLLBACK
    if len(after) < 5 and things.CANARY.within(words) and not things.JOB.within(words):
        return Intent.ROLLBACK
    return Intent.CANCEL


def _gives_training_values(reading: Reading, act: Act) -> bool:
    """`use ls://fd/pairs instead`, `switch to dpo`: a value of a training, and no rollout."""
    start, end = act.part.start, act.part.end
    dataset = any(token.kind is Kind.DATASET for token in reading.tokens[start:end])
    return dataset or any(word in METHODS for word in reading.words[start:end])


def _leads(reading: Reading, act: Act) -> bool:
    """Whether the verb leads its part: `docs rollback`, but not `a ticket for the docs rollback`."""
    before = reading.words[act.part.start : act.at]
    return act.end - act.at > 1 or not any(word in PREPOSITIONS for word in before)
