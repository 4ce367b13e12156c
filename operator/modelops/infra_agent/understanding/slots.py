"""The values that a message names, each by its kind and by the words around it."""

from __future__ import annotations

from modelops.infra_agent.understanding import sentences, verbs
from modelops.infra_agent.understanding.corrections import correction_at, is_negated
from modelops.infra_agent.understanding.lexicon import METHODS
from modelops.infra_agent.understanding.model import Intent, Slots
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.shares import TO, share_of
from modelops.infra_agent.understanding.words import Kind, Token, words_of

_AT_ONCE = Phrases("""
    straight away, right away, immediately, all of it, all at once, at once, no canary,
    without canary|a, skip * canary|rollout|slow, directly, in one go, full traffic,
    right now, big bang, no ramp, sofort, auf einmal, ohne canary, komplett, direkt, directo,
    directamente, de una vez, direto, de uma vez, sem canary, sin canary, tout de suite, directement,
    sans canary, 100, all traffic
""")
_EVERYBODY = Phrases("""
    everyone, everybody, to|for all, all|every users|user, the whole team|company, todos, todo mundo, todo el mundo,
    tout le monde, fur alle, an alle, tous
""")
_CANARY = Phrases("""
    canary, canario, gradually, slowly, slow rollout, staged, schrittweise, first, primero, primeiro,
    d abord, erstmal, zuerst, slice, trial
""")
_SAME_DATA = Phrases("""
    same data|dataset|examples|set, same * data, dieselben daten, gleiche daten|daten, mismos datos,
    mesmos dados, memes donnees, same recipe, same * as before|last, just like last, as last time
""")
_FROM_LIVE = Phrases("""
    from|on|off * live|current|production|prod|today|now, starting from * have|live|current,
    on top of * live|current|have, base * live|current
""")
_PREVIOUS = Phrases("""
    previous, last good, old|last|prior|earlier version|model|one, one before, old brain, what it was,
    what we had, vorherige, vorige, alte, letzte, anterior, ancien, ancienne, precedente,
    version precedente, predecessor, the old,
    undo|revert|reverse * deploy|deployment|release|switch|promotion|upgrade
""")
_CANDIDATE = Phrases("""
    candidate, candidato, candidata, kandidat, kandidaten, candidat, challenger, freshly|newly|just trained, newest,
    fresh one|model|version
""")
_NEW_MODEL = Phrases(f"""
    new|latest|finetuned|retrained|tuned|trained|improved model|version|one|checkpoint|revision|{AGENT},
    new|latest|finetuned|retrained|tuned|trained|improved {AGENT} model|version|one|checkpoint|revision,
    fine tuned model|version|one|checkpoint|{AGENT}, fine tuned {AGENT} model|version|one|checkpoint
""")
"""The version that was trained last, for what is done with it; `train a new model` is none of these."""
_BASELINE = Phrases("baseline, original model|version|one, stock model")
_DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekend|week|month|sprint"
_LATER = Phrases(f"""
    tomorrow, tonight, next {_DAY}, on|by|until|after {_DAY}, after the {_DAY}, for {_DAY}, later today,
    at noon|midnight, in an|one|two|a few|couple hour|hours|days|minutes, in <N> hours|days|minutes,
    morgen, heute abend, manana, amanha, demain
""")
"""A time to come: a plan is carried out at once when it is confirmed, so the person must be told."""
_DESCRIBED = words_of(
    "had has was is were broke breaks fails failed crashes crashed hatte war ist tenia era tinha foi"
)
"""After a version: it is told of, not asked for."""
_LIVE = Phrases("""
    live, current, in production, in prod, in use, were running, we run, aktuelle, actual, atual,
    actuel, champion
""")
_NOT_MEANT = words_of(
    "not from than over nicht statt instead replace replacing was no unlike desde von de depuis against vs for"
)
_LIMITS = words_of("max cap limit budget tops under below most")


def slots_of(reading: Reading, intent: Intent) -> Slots:
    """The values that count for `intent`."""
    tokens, words = reading.tokens, reading.words
    versions = named_versions(reading, intent)
    percent = share_of(reading, intent)
    trains = intent in (Intent.TRAIN, Intent.COST, Intent.AMBIGUOUS)
    return Slots(
        dataset=_dataset(tokens, words),
        method=_method(words) if trains else None,
        base_model=_base_model(tokens, words) if trains else None,
        version=_version(words, intent, versions),
        percent=percent,
        strategy=_strategy(words, intent, percent),
        max_usd=_usd(tokens, words) if intent not in (Intent.COST, Intent.HISTORY) else None,
        condition=_condition(reading),
        run=_run(tokens),
    )


def named_versions(reading: Reading, intent: Intent) -> list[str]:
    """The versions that the message means, without those that it leaves."""
    changed = correction_at(reading)
    if changed is not None and (later := _versions(reading.tokens, reading.words, intent, start=changed)):
        return later
    return _versions(reading.tokens, reading.words, intent)


def _dataset(tokens: tuple[Token, ...], words: tuple[str, ...]) -> str | None:
    named = [
        token.text
        for at, token in enumerate(tokens)
        if token.kind is Kind.DATASET and not is_negated(words, at)
    ]
    if named:
        return named[-1]
    return "same as last run" if _SAME_DATA.within(words) else None


def _method(words: tuple[str, ...]) -> str | None:
    """The last method named, but not the one of a model that is there (`the SFT one was stiff`)."""
    named = [
        word
        for at, word in enumerate(words)
        if word in METHODS
        and not is_negated(words, at)
        and words[at + 1 : at + 2]
        not in (("was",), ("were",), ("came",), ("failed",), ("didnt",), ("wasnt",))
        and not (
            words[at - 1 : at] == ("the",) and words[at + 1 : at + 2] in (("one",), ("version",), ("model",))
        )
    ]
    return named[-1] if named else None


def _base_model(tokens: tuple[Token, ...], words: tuple[str, ...]) -> str | None:
    named = [
        token.text
        for at, token in enumerate(tokens)
        if token.kind is Kind.MODEL and not is_negated(words, at)
    ]
    if named:
        return named[-1]
    return "current" if _FROM_LIVE.within(words) else None


def _versions(
    tokens: tuple[Token, ...], words: tuple[str, ...], intent: Intent, *, start: int = 0
) -> list[str]:
    places = [at for at, token in enumerate(tokens) if _names_version(token, intent) and at >= start]
    if intent is not Intent.EVALUATE and (len(places) > 1 or intent is Intent.ROLLBACK):
        places = [at for at in places if not _is_described(words, at)]
    if len(places) > 1 and intent is Intent.EVALUATE:
        places = [at for at in places if not _is_told(words, at)] or places
    if len(places) > 1 and intent is not Intent.EVALUATE:
        meant = [at for at in places if not at or words[at - 1] not in _NOT_MEANT]
        after_to = [at for at in meant if at and words[at - 1] in TO - {"a", "al", "with", "mit"}]
        places = after_to or meant or places
    return list(dict.fromkeys(tokens[at].text for at in places if not is_negated(words, at)))


def _names_version(token: Token, intent: Intent) -> bool:
    """A version; or a model by its name, where no base model is meant."""
    return token.kind is Kind.VERSION or (token.kind is Kind.MODEL and intent in _OF_MODELS)


_OF_MODELS = frozenset({Intent.EVALUATE, Intent.DEPLOY, Intent.PROMOTE, Intent.ROLLBACK, Intent.HISTORY})


def _is_described(words: tuple[str, ...], at: int) -> bool:
    """`v5 had the yaml bug` after a pause: a reason."""
    begins = at == 0 or words[at - 1] in ("", "and", "because", "since", "as")
    return begins and words[at + 1 : at + 2] != () and words[at + 1] in _DESCRIBED


def _is_told(words: tuple[str, ...], at: int) -> bool:
    """`we deployed v8 last week`: a version in a clause of what somebody did."""
    begin = max((place + 1 for place in range(at) if not words[place]), default=0)
    return any(
        words[place - 1] in sentences.SUBJECTS and verbs.PAST.at(words, place) is not None
        for place in range(begin + 1, at)
    )


def _version(words: tuple[str, ...], intent: Intent, versions: list[str]) -> str | tuple[str, ...] | None:
    if intent in (Intent.COST, Intent.COLLECT, Intent.TRAIN):
        return None
    if len(versions) > 1 and intent in (Intent.EVALUATE, Intent.AMBIGUOUS):
        return tuple(versions)
    if versions:
        return versions[-1]
    if intent is Intent.ROLLBACK and _BASELINE.within(words):
        return "baseline"
    if intent is Intent.ROLLBACK:
        return "previous" if _PREVIOUS.within(words) else None
    if intent in (Intent.EVALUATE, Intent.DEPLOY, Intent.PROMOTE) and _CANDIDATE.within(words):
        return "candidate"
    if intent in (Intent.EVALUATE, Intent.DEPLOY) and _NEW_MODEL.within(words):
        return "candidate"
    return "current" if intent is Intent.EVALUATE and _LIVE.within(words) else None


def _strategy(words: tuple[str, ...], intent: Intent, percent: float | None) -> str | None:
    if intent is not Intent.DEPLOY:
        return None
    if percent is not None:
        return "canary" if percent < 100 else "immediate"
    if _AT_ONCE.within(words):
        return "immediate"
    if _CANARY.within(words):
        return "canary"  # Everybody comes after it: `canary first, then everybody`.
    return "immediate" if _EVERYBODY.within(words) else None


def _usd(tokens: tuple[Token, ...], words: tuple[str, ...]) -> float | None:
    named = [
        token.number
        for at, token in enumerate(tokens)
        if token.kind is Kind.USD and not is_negated(words, at)
    ]
    return named[-1] if named else None


def _run(tokens: tuple[Token, ...]) -> str | None:
    named = [token.text for token in tokens if token.kind is Kind.RUN]
    return named[-1] if named else None


def _condition(reading: Reading) -> str | None:
    """The person's words of a condition, without names of agents in them being lost."""
    spoken: list[str] = []
    for part in reading.parts_in(Role.CONDITION):
        texts = [token.text for token in reading.tokens[part.start : part.end]]
        agents = iter(reading.agents_in(part.start, part.end))
        spoken.append(" ".join(next(agents, text) if text == AGENT else text for text in texts))
    later = _LATER.all(reading.words)
    if later:
        spoken.append(" ".join(reading.words[later[0].start : later[0].end]))
    return "; ".join(spoken) or None
