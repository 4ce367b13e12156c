"""What a verb is about: a thing of this field, something else, or nothing."""

from __future__ import annotations

from enum import Enum, auto

from modelops.infra_agent.understanding import moods, sentences, things
from modelops.infra_agent.understanding.lexicon import PREPOSITIONS, field_things, is_content
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Part
from modelops.infra_agent.understanding.phrases import Found
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.words import Kind


class About(Enum):
    """What an act is about."""

    FIELD = auto()
    """An agent, a model, a version, a dataset, a canary, a job, or a pronoun."""
    NOTHING = auto()
    FOREIGN = auto()
    """Something else: an application, a person, a query."""
    MIXED = auto()
    """Something else, and later an agent, a version or a dataset."""


def object_of(reading: Reading, part: Part, found: Found) -> About:
    """What the verb is about: the words after it, up to the next preposition; then the rest of its part."""
    words, tokens = reading.words, reading.tokens
    inside = range(found.start + 1, part.end)
    phrase: list[int] = []
    for place in inside:
        if words[place] in PREPOSITIONS and (phrase or place >= found.end):
            break
        phrase.append(place)
    if any(tokens[at].kind is Kind.VERSION and _is_of_a_system(words, at) for at in inside):
        return About.MIXED
    rest = [place for place in inside if place not in phrase]
    strong = {Kind.DATASET, Kind.MODEL, Kind.VERSION, Kind.RUN, Kind.PERCENT}
    if _has_a_foreign_head(reading, phrase):
        return About.MIXED
    if any(words[place] == AGENT or tokens[place].kind in strong for place in phrase):
        return About.FIELD
    person = bool(phrase) and found.words == 1 and words[phrase[0]] in things.PEOPLE
    if person and words[phrase[0]] in ("him", "her") and AGENT in words[: found.start]:
        person = False  # An agent, as some people speak of it.
    if things.REQUEST.within(words, start=found.start, end=part.end):
        return About.FIELD
    if not person and any(_is_thing(reading, place) for place in phrase):
        return About.FIELD
    named = any(words[place] == AGENT or tokens[place].kind in strong for place in rest)
    own = found.places
    foreign = person or any(
        is_content(words[place]) and place not in own and tokens[place].kind is Kind.WORD for place in phrase
    )
    if not foreign:
        earlier = any(
            words[place] == AGENT or tokens[place].kind in strong for place in range(part.start, found.start)
        )
        if named or earlier or any(_is_thing(reading, place) for place in rest):
            return About.FIELD
        unknown = any(
            is_content(words[place]) and place not in own and tokens[place].kind is Kind.WORD
            for place in rest
        )
        return About.FOREIGN if unknown else About.NOTHING
    return About.MIXED if named else About.FOREIGN


def _is_of_a_system(words: tuple[str, ...], at: int) -> bool:
    """`version 3 of the api`"""
    return words[at + 1 : at + 2] == ("of",) and not things.OTHER_SYSTEMS.isdisjoint(words[at + 2 : at + 4])


def _is_thing(reading: Reading, at: int) -> bool:
    """Whether the word is a thing of this field; `this` is one, but not in `this query`."""
    words = reading.words
    if words[at] not in field_things():
        return False
    following = words[at + 1] if at + 1 < len(words) else ""
    pointing = words[at] in sentences.DETERMINERS | {"all", "both", "any", "same", "lo", "tout", "todo"}
    return not (pointing and is_content(following) and following not in field_things())


def _has_a_foreign_head(reading: Reading, phrase: list[int]) -> bool:
    """`the docs freeze`: an agent's name after an article, before a noun of something else that ends the phrase."""
    while phrase and reading.words[phrase[-1]] in moods.POLITE:
        phrase = phrase[:-1]
    if len(phrase) < 3 or reading.words[phrase[-2]] != AGENT or phrase[-1] != phrase[-2] + 1:
        return False
    last = reading.words[phrase[-1]]
    article = reading.words[phrase[-3]] in ("the", "a", "our", "my", "this")
    return article and is_content(last) and last not in field_things() and not last.endswith("ly")
