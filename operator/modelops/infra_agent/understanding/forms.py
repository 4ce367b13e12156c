"""How a verb is meant: as a request, in a question, denied, or told of."""

from __future__ import annotations

from enum import Enum, auto

from modelops.infra_agent.understanding import sentences, verbs
from modelops.infra_agent.understanding.lexicon import field_things, is_content
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Part, Role
from modelops.infra_agent.understanding.phrases import Found
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.words import Kind, words_of


class Form(Enum):
    """How an act is meant."""

    REQUEST = auto()
    NAMED = auto()
    """Only named: `docs rollback please`."""
    ASKED = auto()
    """The subject of a question."""
    DENIED = auto()
    """`don't deploy`."""
    TOLD = auto()
    """What somebody does or said."""


_FILLERS = words_of("""
    just also now then please pls plz quickly asap maybe perhaps simply only again first kindly
    directly already finally either mal bitte erstmal jetzt dann actually really
""")


_INFINITIVES = ("en", "ar", "er", "ir", "rn")


def form_of(reading: Reading, part: Part, found: Found) -> Form | None:
    """How the verb at `found` is meant; None: it is a noun here, or another word."""
    words = reading.words
    at = found.start
    before = at - 1
    while before >= part.start and words[before] in _FILLERS:
        before -= 1
    previous = words[before] if before >= part.start else ""
    if previous in sentences.DETERMINERS and not words[at].endswith(_INFINITIVES):
        return None
    if _denied(words, part, at):
        return Form.DENIED
    if any(word in sentences.REPORTING for word in words[part.start : at]):
        return Form.TOLD
    if sentences.WISHED.within(words, start=part.start, end=at) or is_of_others(words, part, at):
        return Form.TOLD
    if not _BY_ONESELF.isdisjoint(words[part.start : part.end]):
        return Form.TOLD
    wants = words[at] in ("want", "need", "like") and previous in ("i", "we", "id", "wed", "would")
    if wants and words[part.start] not in ("do", "did"):
        return Form.REQUEST
    polite = sentences.REQUEST_OPENING.within(words, start=part.start, end=min(part.end, at + 1))
    if part.role is Role.CONDITION or (part.question and not _polite_before(words, part, at)):
        return Form.ASKED
    leave = sentences.ASKS_FOR_LEAVE.within(words, start=part.start, end=at)
    if not leave and sentences.ADVICE.within(words, start=part.start, end=at + 1):
        return Form.ASKED
    if leave and previous in sentences.SUBJECTS:
        return Form.REQUEST
    if previous in _MODAL_VERBS and before > part.start - 1:
        return _modal_form(reading, part, before, found)
    if previous in ("ill", "hell", "shell", "theyll", "youll"):
        return Form.TOLD
    if previous == "de" and words[at].endswith(("ar", "er", "ir")):
        return Form.TOLD
    if previous == "to":
        return Form.REQUEST if _is_wish(reading, part, before) else None
    if (
        previous in sentences.SUBJECTS
        or previous in ("people", "agentname")
        or _is_noun(reading, before, part)
    ):
        if previous in sentences.SUBJECTS and before > part.start and _modal_before(words, part, before):
            return Form.REQUEST
        if words[at].endswith(_INFINITIVES) and found.words == 1 and len(words[at]) > 5:
            return Form.REQUEST
        if previous == "we" and words[at] == "go":
            return Form.REQUEST
        if previous in sentences.SUBJECTS:
            return Form.TOLD
        if polite and (found.words > 1 or previous != AGENT):
            return Form.REQUEST
        if found.words > 1 and previous == AGENT:
            return Form.REQUEST
        return Form.NAMED
    return Form.REQUEST


_PLANS = words_of("plans intends hopes")
_INTENDING = words_of("going planning about hoping trying set due preparing")
_WISHING = words_of("like love prefer")
_ASKING_US = words_of("so but please pls can could therefore you")
_US = frozenset({"", "i", "we", "you", "and"})


def is_of_others(words: tuple[str, ...], part: Part, at: int) -> bool:
    """`Marta is going to train docs`: what others are about to do or would like; `we are going to` is not."""
    for to in range(part.start + 2, 0 if part.question else at):
        if words[to] != "to" or not _ASKING_US.isdisjoint(words[to:at]):
            continue
        subject = words[to - 3] if to - 3 >= part.start else ""
        verb, said = words[to - 2], words[to - 1]
        future = verb in ("is", "are") and said in _INTENDING
        wish = verb == "would" and said in _WISHING
        if said in _PLANS or ((future or wish) and subject not in _US):
            return True
    return False


_MODAL_VERBS = words_of("can could would will should shall may might must")


def _modal_form(reading: Reading, part: Part, modal: int, found: Found) -> Form:
    """`you can deploy` and `we should deploy` ask for it; `I will deploy` and `nobody should deploy` do not."""
    words = reading.words
    subject = modal - 1
    while subject >= part.start and words[subject] in _FILLERS | {"probably", "definitely", "really"}:
        subject -= 1
    who = words[subject] if subject >= part.start else ""
    if who in ("", "and", "then", "so", "but", "please"):
        return Form.REQUEST
    if who == "you" or (who == "we" and words[modal] not in ("will", "would")):
        return Form.REQUEST
    if words[found.start] in ("stop", "end") and who in field_things():
        return Form.REQUEST
    if (
        who in (AGENT, "<VERSION>", "canary", "rollout")
        and words[found.start] in ("go", "learn", "return", "move", "switch", "run", "use", "serve", "get")
        and words[modal] in ("should", "must", "can", "may", "could")
    ):
        return Form.REQUEST
    return Form.TOLD


_BY_ONESELF = words_of("myself ourselves himself herself themselves selbst")


def _denied(words: tuple[str, ...], part: Part, at: int) -> bool:
    near = range(max(part.start, at - 3), at)
    if words[at - 2 : at] == ("forget", "to"):
        return False
    if not any(words[place] in sentences.DENIAL for place in near):
        late = words[at + 1 : part.end]
        return any(word in ("nicht", "pas") for word in late) and not any(
            word in ("nur", "seulement") for word in late
        )
    if sentences.ASKS_POLITELY.within(words, start=max(part.start, at - 5), end=at):
        return False
    if words[at - 3 : at] == ("no", "need", "to") or words[at - 2 : at] == ("no", "longer"):
        return True
    if words[at] in ("canary", "rollout") and "no" in words[at - 2 : at]:
        return True
    place = next(place for place in near if words[place] in sentences.DENIAL)
    return not (
        words[place] in ("no", "without", "not", "stop", "sem", "sin", "ohne")
        and at - place > 1
        and words[place] != "not"
    )


def _polite_before(words: tuple[str, ...], part: Part, at: int) -> bool:
    if sentences.ASKS_FOR_LEAVE.within(words, start=part.start, end=at):
        return True
    return sentences.REQUEST_OPENING.within(words, start=part.start, end=at) and not sentences.ADVICE.within(
        words, start=part.start, end=at + 1
    )


def _modal_before(words: tuple[str, ...], part: Part, before: int) -> bool:
    return any(
        words[place] in sentences.MODALS | {"kannst", "konnen", "konnten", "konntest", "sollten"}
        for place in range(max(part.start, before - 2), before)
    )


def _is_wish(reading: Reading, part: Part, to: int) -> bool:
    begin = min(one.start for one in reading.parts if one.sentence == part.sentence)
    earlier = reading.words[max(begin, to - 10) : to]
    if any(word in ("they", "he", "she", "people", "customers", "users", "lets") for word in earlier):
        return False
    if earlier[-1:] == ("going",):
        return False
    return any(word in sentences.WISHES for word in earlier)


def _is_noun(reading: Reading, at: int, part: Part) -> bool:
    if at < part.start:
        return False
    word = reading.words[at]
    if reading.tokens[at].kind is not Kind.WORD:
        return False
    return is_content(word) and word not in verbs.START.words() and word not in ("chef", "yikes", "thanks")
