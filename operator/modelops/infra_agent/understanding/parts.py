"""The parts of a sentence: what is said, its conditions, and its reasons and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise

from modelops.infra_agent.understanding import sentences
from modelops.infra_agent.understanding.words import Kind, Token, words_of


class Role(Enum):
    """What a part of a sentence does."""

    MAIN = auto()
    CONDITION = auto()
    ASIDE = auto()
    """A reason, a time, or what holds otherwise."""


@dataclass(frozen=True)
class Part:
    """A part of a sentence: the words from `start` to before `end`."""

    start: int
    end: int
    role: Role
    sentence: int
    question: bool
    """It begins as a question does."""


def parts_of(tokens: Sequence[Token], words: Sequence[str]) -> list[Part]:
    parts: list[Part] = []
    start = sentence = 0
    for at in range(len(tokens) + 1):
        if at < len(tokens) and tokens[at].kind not in (Kind.STOP, Kind.PAUSE):
            continue
        if at > start:
            mark = _has_question_mark(tokens, at)
            parts += _split(words, start, at, sentence, question_mark=mark)
            if mark and tokens[at].kind is Kind.STOP and _ends_with_a_tag(words, at):
                parts = [replace(one, question=True) if one.sentence == sentence else one for one in parts]
        start = at + 1
        if at < len(tokens) and tokens[at].kind is Kind.STOP:
            sentence += 1
    return parts


_TAGS = words_of("right correct innit oder verdad certo")


def _ends_with_a_tag(words: Sequence[str], at: int) -> bool:
    """`the command is modelops train, right?`: a question, by its last word after a pause."""
    return at > 1 and words[at - 1] in _TAGS and words[at - 2] == ""


def _has_question_mark(tokens: Sequence[Token], at: int) -> bool:
    end = next((token for token in tokens[at:] if token.kind is Kind.STOP), None)
    return end is not None and end.before_question_mark


def _split(words: Sequence[str], start: int, end: int, sentence: int, *, question_mark: bool) -> list[Part]:
    """Split where a condition or an aside begins, and where `then` ends it."""
    cuts: list[tuple[int, Role]] = [(start, Role.MAIN)]
    role = Role.MAIN
    for at in range(start, end):
        new = _role_at(words, at, start, role, question_mark=question_mark)
        joined = (
            words[at] in ("and", "or", "but", "so") and words[at + 1 : at + 2] and words[at + 1] in _ASKING
        )
        if new is not role or (joined and at > start):
            cuts.append((at, new))
            role = new
    parts: list[Part] = []
    for (first, part_role), following in zip(cuts, [*[cut[0] for cut in cuts[1:]], end], strict=True):
        if following > first:
            opens = _opens_question(words, first, following, question_mark=question_mark)
            parts.append(Part(first, following, part_role, sentence, opens and part_role is Role.MAIN))
    return parts


def _role_at(words: Sequence[str], at: int, start: int, role: Role, *, question_mark: bool) -> Role:
    word, before = words[at], words[at - 1] if at > start else ""
    following = words[at + 1] if at + 1 < len(words) else ""
    pair = (word, following)
    if role is not Role.MAIN and word in ("then", "dann", "entonces", "entao", "alors"):
        return Role.MAIN
    if role is not Role.MAIN and word in ("and", "but", "or") and following in _ASKING:
        return Role.MAIN
    if (
        role is Role.ASIDE
        and word in ("id", "please", "pls", "lets", "can", "could", "bitte")
        and at - start >= 3
    ):
        return Role.MAIN
    if role is Role.ASIDE and word in ("and", "und", "y", "e", "et") and following in _MAKING:
        return Role.MAIN
    if word in sentences.OTHERWISE and before not in (
        "anything",
        "something",
        "everything",
        "nothing",
        "anyone",
        "someone",
    ):
        return Role.ASIDE
    if word in sentences.ASIDE and _begins_aside(word, before, following):
        return Role.ASIDE
    conditional = word in sentences.CONDITION or pair in sentences.CONDITION_PAIRS
    if conditional and _is_kindly_meant(words, at):
        return role
    if not conditional or before in sentences.ASKS_WHETHER or before in sentences.DETERMINERS:
        return role
    if word in ("when", "once", "whenever", "quando", "cuando", "quand", "wenn", "lorsque") and at == start:
        asks = following in _AFTER_WHEN
        return role if asks or (question_mark and word != "once") else Role.CONDITION
    if (
        word in ("se", "si")
        and (before or following == "")
        and before not in ("mas", "pero", "mais", "solo", "so", "e", "y", "ou")
    ):
        return role
    if word == "si" and at == start and following in ("", "adelante", "dale", "por", "claro"):
        return role
    if word == "whenever" and following in ("you", "it", "ya"):
        return role
    if word == "once" and (following in ("more", "again", "") or before in ("at", "all", "for")):
        return role
    return Role.CONDITION


_AFTER_WHEN = words_of("did was is were will do does are has have foi fue se a est can")
"""After `when` at the beginning: a question, and no condition."""
_KIND = words_of("""
    appreciate appreciated grateful thankful obliged glad happy kind nice great lovely wonderful dankbar nett toll gut
    super schon agradeceria genial bien legal otimo bom reconnaissant reconnaissante sympa
""")


_YOU = words_of("you we u somebody someone du ihr sie wir man puedes pudieras pudieran voce pudesse tu vous")


def _is_kindly_meant(words: Sequence[str], at: int) -> bool:
    """`I would appreciate it if you could ...`: a wish, and no condition."""
    before = [word for word in words[max(0, at - 3) : at] if word not in ("", "it", "this", "very")]
    return before[-1:] != [] and before[-1] in _KIND and not _YOU.isdisjoint(words[at + 1 : at + 3])


def _begins_aside(word: str, before: str, following: str) -> bool:
    if word in ("so", "as", "de") or following in ("", "after", "and"):
        return False
    if word in (
        "before",
        "after",
        "since",
        "antes",
        "despues",
        "depois",
        "avant",
        "apres",
        "desde",
        "ate",
        "bis",
        "seit",
        "depuis",
    ):
        return before not in (
            "before",
            "than",
            "as",
            "from",
            "was",
            "had",
            "did",
            "worked",
            "ever",
            "version",
            "one",
            "the",
            "like",
            "data",
            "recipe",
            "same",
        )
    return word not in ("still", "ya")


_MAKING = words_of("turn make put build create save store use train send give convert collect")


_ASKING = words_of("is are was were does did what how which who where why has hows whats")


_OPENERS = words_of("""
    so and but or hey hi hello ok okay well hmm um also no yes btw fyi y und et e oh yo chef quick
    question please actually honestly
""")


_ASKED_OF = words_of("cost take need work mean last use differ help matter happen overlap")
"""Verbs after `do`, by which it asks: `do trainings cost much?`"""


def _asks_of(words: Sequence[str]) -> bool:
    return not _ASKED_OF.isdisjoint(words) or ("run", "at") in pairwise(words)


_PLACES = words_of("in at on here under inside attached")
"""`is in ls://cr/p` says where the data is; the subject is left out."""


_ALSO_NO_QUESTIONS = words_of("""
    es est la que ou a como ha ya any ta qui die was hat qu sigue esta ja termino terminou acabou
""")
"""They open a question only with its mark, but for some."""


def _opens_question(words: Sequence[str], start: int, end: int, *, question_mark: bool) -> bool:
    at = start
    while at < end - 1 and (words[at] in _OPENERS or words[at] == "<MENTION>"):
        at += 1
    word = words[at]
    if word not in sentences.QUESTION:
        return False
    following = words[at + 1] if at + 1 < end else ""
    if word in ("is", "are") and following in _PLACES and not question_mark:
        return False
    if word == "do" and question_mark and _asks_of(words[at + 2 : end]):
        return True
    if word in ("do", "have"):
        return following in sentences.SUBJECTS - {"it", "this", "that"}
    if word in _ALSO_NO_QUESTIONS:
        return question_mark or word in ("que", "como", "was", "hat", "any", "ta", "qui", "ou", "esta")
    return True
