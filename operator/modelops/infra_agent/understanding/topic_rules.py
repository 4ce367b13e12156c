"""What a message asks about, where it asks for nothing to be done: cost, history, state, or the field in general."""

from __future__ import annotations

from modelops.infra_agent.understanding import moods, questions, sentences, things, verbs
from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.lexicon import METHODS, is_content, known_words
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.situation import Situation
from modelops.infra_agent.understanding.words import Kind, words_of

_PAST_AUXILIARIES = words_of("did was were had have has hat haben wurde wurden war foi fue fueron")
_OF_LIMITS = words_of("budget spend money cost costs presupuesto orcamento dollars bucks")
"""Beside an amount these words give a limit, and ask nothing."""
_OF_OTHERS_TOO = words_of("estimate estimates quote price prices pricing")
"""Words that are about money of this field only with a thing of this field."""
_RUNNING = Phrases("""
    whats|what running|live|going|training|deployed|active, what is running|live|training|deployed,
    status, progress, anything running|training|going on|live, eta, was lauft, que corre,
    o que esta rodando
""")
_WHICH = Phrases("""
    which|what|whats|welches|welche|que|qual|quel|quelle * model|version|one|modell|modelo|versao|modele
""")
_MEASURED = Phrases("error rate|rates, latency, traffic, split, share, requests")
"""What a canary is watched by."""
_LEARNING = words_of("lora rag finetuning quantised quantized moe distillation pretraining")
_NOW = Phrases("""
    now, right now, at the moment, currently, today, still, yet, gerade, jetzt, ahora, agora,
    maintenant
""")


def is_general(reading: Reading) -> bool:
    """Whether it asks about the field in general, and names no agent, version, dataset or run."""
    if _names_something(reading):
        return False
    method = not METHODS.isdisjoint(reading.words) or not _LEARNING.isdisjoint(reading.words)
    if method and questions.COMPARES.within(reading.words) and asks(reading):
        return True
    if len(METHODS & set(reading.words)) > 1 and (asks(reading) or any(p.question for p in reading.parts)):
        return True
    return questions.GENERAL.within(reading.words) and (
        asks(reading) or any(questions.GENERAL.at(reading.words, at) for at in (0, 1))
    )


def asks(reading: Reading) -> bool:
    """Whether the message is a question, by its first words or its mark."""
    return any(part.question for part in reading.parts) or any(
        token.before_question_mark and not _is_polite_tag(reading, at)
        for at, token in enumerate(reading.tokens)
    )


_TAGS = words_of("ok okay please pls thanks deal")


def _is_polite_tag(reading: Reading, mark: int) -> bool:
    """`docs v9 to 10%, ok?`: no question, though it ends with its mark."""
    return mark > 1 and reading.words[mark - 1] in _TAGS and reading.words[mark - 2] == ""


def topic_of(reading: Reading, acts: list[Act], situation: Situation) -> Intent | None:
    """What the message asks about."""
    words = reading.words
    terse = len([word for word in words if word]) <= 8
    shown = questions.SHOWS.within(words) or _opens_with_a_topic(words)
    question = asks(reading)
    field = _names_something(reading) or _is_of_field(words) or bool(situation.agents)
    others = [word for word in content_words(reading) if word not in known_words()]
    if (
        not field
        and not others
        and not any(word in things.OTHER_SYSTEMS for word in words)
        and not _is_cost(words)
        and _RUNNING.within(words)
    ):
        return Intent.MONITOR
    if not field and (not _is_cost(words) or len(others) > 1 or not _OF_OTHERS_TOO.isdisjoint(words)):
        return None
    field_named = _names_something(reading)
    if not field_named and any(word in things.OTHER_SYSTEMS for word in words):
        return None
    if not (question or shown or terse or any(act.form is Form.ASKED for act in acts)):
        return Intent.COST if _is_cost(words) and _names_something(reading) else None
    if _is_cost(words):
        return Intent.COST
    shown_first = questions.SHOWS.within(words, end=min(len(words), _OPENING))
    if (question or shown_first) and _compares(reading) and not _MEASURED.within(words):
        return Intent.EVALUATE
    if _is_history(reading, question=question) or _asks_what_serves(reading):
        return Intent.HISTORY
    past = any(part.question and _opens_in_past(words, part.start) for part in reading.parts)
    if past and reading.named and not questions.STATUS.within(words):
        return Intent.HISTORY
    runs = any(token.kind is Kind.RUN for token in reading.tokens)
    if field and (questions.STATUS.within(words) or runs):
        return Intent.MONITOR
    running = things.JOB.within(words) or things.CANARY.within(words) or _WHICH.within(words)
    other = (
        moods.REMEDY.within(words)
        or sentences.ADVICE.within(words)
        or any(act.form in (Form.TOLD, Form.REQUEST) for act in acts)
    )
    return Intent.MONITOR if question and reading.named and running and not other else None


def _opens_with_a_topic(words: tuple[str, ...]) -> bool:
    """`loss of the docs run please`"""
    place = 1 if words[:1] in (("the",), ("current",)) else 0
    return words[place : place + 1] != () and words[place] in _TOPICS and words[place + 1 : place + 2] in _OF


_OPENING = 6
"""A request to be shown something comes within so many words; later `what's live` is a part of a statement."""
_TOPICS = words_of("loss eta progress status metrics logs log numbers accuracy state split share")
_OF = (("of",), ("for",), ("on",), ("from",))


def _is_cost(words: tuple[str, ...]) -> bool:
    places = {place for found in questions.NOT_COST.all(words) for place in range(found.start, found.end)}
    amounts = {at for at, word in enumerate(words) if word == "<USD>"}
    numbers = amounts | {at for at, word in enumerate(words) if word[:1].isdigit()}
    for found in questions.COST.all(words):
        limits = numbers if words[found.start] == "spend" else amounts
        near = limits & set(range(found.start - 3, found.end + 3))
        if found.start not in places and not (near and words[found.start] in _OF_LIMITS):
            return True
    return False


def _compares(reading: Reading) -> bool:
    return questions.COMPARES.within(reading.words)


def _asks_what_serves(reading: Reading) -> bool:
    """`which version is docs on`, unless it is about a run, a rollout or a share."""
    return questions.SERVES.within(reading.words) and not questions.WATCHED.within(reading.words)


def _is_history(reading: Reading, *, question: bool) -> bool:
    words = reading.words
    if questions.HISTORY.within(words):
        return True
    if not question:
        return False
    past = verbs.PAST.within(words) and not _NOW.within(words)
    return past and any(
        word in _PAST_AUXILIARIES or word in ("who", "when", "why", "what", "which") for word in words
    )


def _opens_in_past(words: tuple[str, ...], at: int) -> bool:
    return any(word in _PAST_AUXILIARIES - {"have", "has", "hat", "haben"} for word in words[at : at + 2])


def _is_of_field(words: tuple[str, ...]) -> bool:
    groups = (things.CANARY, things.JOB, things.MODEL, *verbs.NOUNS.values())
    return any(group.within(words) for group in groups) or any(word in METHODS for word in words)


def _names_something(reading: Reading) -> bool:
    kinds = {Kind.VERSION, Kind.RUN, Kind.DATASET}
    return bool(reading.named or reading.in_names) or any(token.kind in kinds for token in reading.tokens)


def is_about_a_bot(reading: Reading) -> bool:
    """Whether it is about `the bot` or `the model` without a name."""
    words = reading.words
    return AGENT not in words and (
        things.BOT.within(words)
        or any(word in ("model", "models", "modell", "modelo", "modele") for word in words)
    )


def content_words(reading: Reading) -> list[str]:
    """The words that name something, without names of agents."""
    return [word for word in reading.words if word != AGENT and is_content(word)]
