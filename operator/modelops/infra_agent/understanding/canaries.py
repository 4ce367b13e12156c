"""Whether a request raises a canary that runs, or sends a new version to traffic."""

from __future__ import annotations

from modelops.infra_agent.understanding import things
from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.lexicon import is_content, known_words
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.situation import Situation
from modelops.infra_agent.understanding.words import Kind, words_of

_RAISES = Phrases("""
    bump, raise, increase, crank, ramp, widen, expand, from * to, finish, complete, sube, aumenta,
    hochziehen, erhohe, monte, augmente
""")


def has_version(reading: Reading) -> bool:
    return any(token.kind is Kind.VERSION for token in reading.tokens)


def raises_a_canary(reading: Reading, act: Act, situation: Situation) -> bool:
    """Whether `take it to 50 %` is about a canary that runs."""
    words = reading.words
    if words[act.at] in ("start", "begin", "launch", "open"):
        return False
    if _RAISES.within(words[act.part.start : act.part.end]) and not has_version(reading):
        return True
    return (
        situation.canary and situation.plan is None and not _other_version(reading, situation)
    ) or _names_the_canary(words)


def _names_the_canary(words: tuple[str, ...]) -> bool:
    places = [at for at, word in enumerate(words) if word in ("canary", "canario")]
    return any(
        at
        and (
            words[at - 1] in ("the", "o", "el", "le", "der", "den")
            or (words[at - 1] == AGENT and words[at - 2 : at - 1] in ((), ("the",), ("",)))
        )
        and words[at + 1 : at + 2] not in (("at",), ("with",), ("mit",))
        for at in places
    )


def _other_version(reading: Reading, situation: Situation) -> bool:
    named = [token.text for token in reading.tokens if token.kind is Kind.VERSION]
    return any(version not in situation.versions for version in named)


_ALSO_DEPLOYS = words_of("""
    give send route move switch shift let take bring push get go open fully everything everyone
    everybody all put set full fur para pour
""")
"""Verbs that raise a canary, and also send a new version to traffic."""


def is_promotion(reading: Reading, act: Act, situation: Situation) -> bool:
    """Whether the verb raises what is there already, rather than sending a new version to everybody."""
    words = reading.words
    if words[act.at] in _ALSO_DEPLOYS and situation.recommended and not situation.canary:
        return False
    new = has_version(reading) or "candidate" in words
    if words[act.at] in _ALSO_DEPLOYS and new:
        known = not _other_version(reading, situation) and situation.canary
        return known or "from" in words or "canary" in words
    return True


def to_a_rank(reading: Reading, act: Act) -> bool:
    """`promote X to team lead`: the words after `to` are none of this field."""
    words = reading.words[act.at : act.part.end]
    if words[:1] != ("promote",) or "to" not in words:
        return False
    target = words[words.index("to") + 1 :]
    return any(
        is_content(word) and (word not in known_words() or word in things.PEOPLE) for word in target
    ) and not any(
        word
        in (
            "everyone",
            "everybody",
            "all",
            "full",
            "prod",
            "production",
            "live",
            "default",
            "main",
            "stable",
            "users",
            "traffic",
        )
        for word in target
    )


_WELL = words_of("""
    ok okay fine good great healthy clean green stable quiet happy well perfect solid gut sauber bien bem estable
    estavel
    bon stabil
""")
_ON_THE_WAY = words_of("""
    is looks looking look seems all so far very no errors error issues complaints and then now to go lets up
    please pls please sieht aus ist auf esta a al parece va est jusqu everyone everybody full hundred
""")


def is_fine_and_raised(reading: Reading) -> bool:
    """`docs canary looks ok -> 50`, `docs canary 20 -> 50`: all of its words after `canary` say so."""
    words = reading.words
    at = next((place for place, word in enumerate(words) if word in ("canary", "canario")), None)
    if at is None:
        return False
    after = [word for word in words[at + 1 :] if word]
    numbers = [token.number for token in reading.tokens[at + 1 :] if token.number is not None]
    plain = all(word in _WELL | _ON_THE_WAY or word[:1].isdigit() for word in after)
    plain = plain and all(
        after[at + 1 : at + 2] != [] and after[at + 1] in _BAD
        for at, word in enumerate(after)
        if word == "no"
    )
    well = not _WELL.isdisjoint(after) or "no" in after or len(numbers) == 2
    target = after[-1:] != [] and (after[-1][:1].isdigit() or after[-1] in _ENDS)
    rises = numbers == sorted(numbers) and 0 not in numbers and (len(numbers) > 0 or "to" in after)
    return plain and well and target and rises


_BAD = words_of("errors error issues complaints")
_ENDS = words_of("everyone everybody full then now please pls")
