"""What a message asks to be done: its verbs of this field, how each is meant, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.infra_agent.understanding import questions, sentences, verbs
from modelops.infra_agent.understanding.forms import Form, form_of
from modelops.infra_agent.understanding.lexicon import PREPOSITIONS
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.objects import About, object_of
from modelops.infra_agent.understanding.other_senses import DO_NOT, is_noun_or_name, is_of_another_sense
from modelops.infra_agent.understanding.parts import Part
from modelops.infra_agent.understanding.phrases import Found, Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.runs import purpose_of
from modelops.infra_agent.understanding.words import Kind, words_of


@dataclass(frozen=True)
class Act:
    """One verb of this field in a message."""

    intent: Intent
    form: Form
    about: About
    at: int
    end: int
    part: Part
    stops: bool = False
    """It is a verb such as stop or kill, whose object decides what it asks for."""


def acts_in(reading: Reading) -> list[Act]:
    """The acts of a message in their order."""
    acts: list[Act] = []
    for part in reading.parts:
        at = part.start
        while at < part.end:
            act = _act_at(reading, part, at)
            if act is None:
                at += 1
                continue
            acts.append(act)
            at = max(at + 1, min(act.end, at + 2))
    return acts


def _act_at(reading: Reading, part: Part, at: int) -> Act | None:
    words = reading.words
    if words[at : at + 2] in DO_NOT:
        return None
    best = _best(verbs.REQUESTS, words, at, part.end)
    if best is not None and is_of_another_sense(words, best[1]):
        return None
    undoes = best is not None and best[1].words > 1 and best[0] in (Intent.ROLLBACK, Intent.CANCEL)
    if not undoes:
        other = _wished(reading, part, at) or _started(reading, part, at)
        if other is not None:
            return other
    stop = verbs.STOP.at(words, at, end=part.end)
    if (best is None and stop is None) or is_noun_or_name(words, at, known=best is not None):
        return None
    if stop is not None and (best is None or stop.words >= best[1].words):
        intent, found, stops = Intent.CANCEL, stop, True
    else:
        assert best is not None  # the other branch has all cases without it
        intent, found, stops = *best, False
    form = form_of(reading, part, found)
    if intent is Intent.COLLECT and words[at] in _BECOMES and form is not Form.DENIED:
        form = Form.REQUEST
    if form is None:
        return None
    about = object_of(reading, part, found)
    if intent is Intent.TRAIN and found.words > 1 and words[found.end - 1] in ("away", "out"):
        about = About.FIELD
    return Act(intent, form, about, at, found.end, part, stops)


_BECOMES = words_of("should goes go belongs becomes become")


def _best(
    table: dict[Intent, Phrases], words: tuple[str, ...], at: int, end: int
) -> tuple[Intent, Found] | None:
    best: tuple[Intent, Found] | None = None
    for intent, phrases in table.items():
        found = phrases.at(words, at, end=end)
        if found is not None and (best is None or found.words > best[1].words):
            best = intent, found
    return best


_WANTS = words_of("need needs want like get have give order request")
_DEFINITE = words_of("the this that these those my our its")
"""`I want the evaluation` asks for what is there, `I want an evaluation` for a new one."""


def _started(reading: Reading, part: Part, at: int) -> Act | None:
    """`start an sft`, `run the benchmark`, `another training`: a general verb with the noun that says what."""
    start = verbs.START.at(reading.words, at, end=part.end)
    if start is None:
        return None
    form = form_of(reading, part, start)
    if form is None or reading.words[start.end : start.end + 1] == ("rid",):
        return None
    nouns: list[tuple[int, Intent, Found]] = []
    for place in range(start.end, min(part.end, start.end + 5)):
        wanted = reading.words[at] in _WANTS and reading.words[place] in _DEFINITE
        if reading.words[place] in sentences.DENIAL | {"to"} or wanted:
            break
        if reading.words[place] in PREPOSITIONS - {"of", "a", "another", "um", "de"} and place > start.end:
            break
        if reading.tokens[place].kind is Kind.RUN and reading.words[at] in _REPEATS:
            purpose = purpose_of(reading.tokens[place].text)
            nouns += [(place, purpose, Found(place, place + 1, (place,)))] if purpose in _REPEATED else []
        for table in (verbs.NOUNS, verbs.GERUNDS):
            noun = _best(table, reading.words, place, part.end)
            if noun is not None:
                nouns.append((place, *noun))
        if nouns:
            break
    pointed = reading.words[start.end : start.end + 1]
    if not nouns and (
        pointed in (("it",), ("that",), ("them",)) or (pointed == ("one",) and reading.words[at] in _OPENS)
    ):
        nouns = _nouns_before(reading, at)
    if not nouns:
        return None
    _, intent, found = max(nouns, key=lambda noun: noun[2].words)
    following = reading.words[found.end : found.end + 2]
    if (
        questions.STATUS.within(following)
        or questions.HISTORY.within(following)
        or questions.COST.within(following)
    ):
        return None
    return Act(intent, form, About.FIELD, at, found.end, part)


_REPEATS = words_of(
    "redo rerun repeat retry run start restart again try wiederhole repite repete refais relance"
)
_OPENS = words_of("start run launch begin schedule")
_REPEATED = (Intent.TRAIN, Intent.EVALUATE)
"""What a run that is repeated can be; a rollout would move traffic, and is asked for by its version."""


def _nouns_before(reading: Reading, at: int) -> list[tuple[int, Intent, Found]]:
    """The last noun before, which `start it again` means."""
    for place in range(at - 1, -1, -1):
        token = reading.tokens[place]
        purpose = purpose_of(token.text) if token.kind is Kind.RUN else None
        if purpose in _REPEATED:
            return [(place, purpose, Found(at, at + 2, (at, at + 1)))]
        noun = _best(
            {one: verbs.NOUNS[one] for one in (Intent.EVALUATE, Intent.TRAIN)}, reading.words, place, at
        )
        if noun is not None:
            return [(place, noun[0], Found(at, at + 2, noun[1].places))]
    return []


def _wished(reading: Reading, part: Part, at: int) -> Act | None:
    """`get it trained`, `I want docs rolled back`, `would you mind reverting`: a wish about what is done."""
    words = reading.words
    word = words[at]
    if word in ("should", "must") and any(
        one in ("nobody", "noone", "never") for one in words[part.start : at]
    ):
        return None
    if word in (
        "get",
        "have",
        "want",
        "need",
        "needs",
        "wants",
        "got",
        "should",
        "must",
        "be",
        "lets",
        "like",
    ):
        form = form_of(reading, part, Found(at, at + 1, (at,)))
        if word in ("needs", "should", "must") and not part.question:
            form = Form.DENIED if at + 1 < part.end and words[at + 1] == "not" else Form.REQUEST
        if word == "be":
            form = (
                Form.REQUEST
                if any(one in ("can", "could", "to", "please") for one in words[max(part.start, at - 5) : at])
                else None
            )
            if part.question and words[part.start] not in ("can", "could"):
                form = None
            if words[part.end - 2 : part.end] == ("at", "all"):
                form = Form.ASKED  # Whether it is possible, not that it is done.
        if form in (Form.REQUEST, Form.DENIED) and not (word in ("have", "got") and part.question):
            for place in range(at + 1, min(part.end, at + 7)):
                done = _best(verbs.PARTICIPLES, words, place, part.end)
                beside = words[place - 1] in (
                    "vs",
                    "than",
                    "against",
                    "the",
                    "is",
                    "whats",
                    "versus",
                    "currently",
                    word,
                )
                if done is not None and not (
                    done[0] is Intent.DEPLOY and words[place] in ("live", "in") and beside
                ):
                    return Act(done[0], form, About.FIELD, at, done[1].end, part)
    if (
        word in ("mind", "about", "into", "start", "begin", "try", "consider", "keep", "stop", "avoid")
        and at + 1 < part.end
    ):
        doing = _best(verbs.GERUNDS, words, at + 1, part.end)
        if doing is not None and word not in ("keep",):
            form = (
                Form.DENIED
                if word in ("stop", "avoid")
                else form_of(reading, part, Found(at, at + 1, (at,))) or Form.TOLD
            )
            if word == "about" and at and words[at - 1] not in ("how", "what"):
                return None
            if word in ("mind", "about", "into"):
                form = Form.REQUEST
            if word == "stop":
                return None
            return Act(doing[0], form, object_of(reading, part, doing[1]), at, doing[1].end, part)
    return None
