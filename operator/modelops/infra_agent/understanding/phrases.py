"""Phrases: words with alternatives (`put|bring`), gaps (`*`, up to ten words) and numbers (`<N>`)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_GAP = 10


@dataclass(frozen=True)
class Found:
    """A phrase in a message."""

    start: int
    end: int
    """One after its last word."""
    places: tuple[int, ...]
    """Where its own words are, without those of its gaps."""

    @property
    def words(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Phrases:
    """Phrases of one meaning. Commas separate them; they are in lower case and without accents."""

    source: str
    _by_first: dict[str, list[tuple[tuple[frozenset[str], ...], tuple[bool, ...]]]] = field(
        default_factory=lambda: defaultdict(list), compare=False
    )

    def __post_init__(self) -> None:
        for phrase in re.sub(r"\|\s+", "|", self.source).split(","):
            parts = phrase.split()
            if not parts:
                continue
            words, gaps = [], []
            for number, part in enumerate(parts):
                if part != "*":
                    words.append(frozenset(part.split("|")))
                    gaps.append(number > 0 and parts[number - 1] == "*")
            for first in words[0]:
                self._by_first[first].append((tuple(words), tuple(gaps)))

    def words(self) -> frozenset[str]:
        """Every word of the phrases."""
        phrases = (words for entries in self._by_first.values() for words, _ in entries)
        return frozenset(word for words in phrases for alternatives in words for word in alternatives)

    def at(self, words: Sequence[str], start: int, *, end: int | None = None) -> Found | None:
        """The longest phrase that begins at `start`. An empty word (a pause) stops a phrase."""
        best: Found | None = None
        limit = len(words) if end is None else end
        begun = self._by_first.get(words[start], [])
        if words[start][:1].isdigit():
            begun = [*begun, *self._by_first.get("<N>", [])]
        for phrase, gaps in begun:
            places = _match(words, phrase, gaps, start, limit)
            if places and (best is None or len(phrase) > best.words):
                best = Found(start, places[-1] + 1, places)
        return best

    def all(self, words: Sequence[str], *, start: int = 0, end: int | None = None) -> list[Found]:
        """Each place where a phrase begins."""
        limit = len(words) if end is None else end
        found = (self.at(words, at, end=limit) for at in range(start, limit))
        return [one for one in found if one is not None]

    def within(self, words: Sequence[str], *, start: int = 0, end: int | None = None) -> bool:
        """Whether any phrase is there."""
        limit = len(words) if end is None else end
        return any(self.at(words, at, end=limit) is not None for at in range(start, limit))


def every_word(phrases: Iterable[Phrases]) -> frozenset[str]:
    """The words of several meanings."""
    return frozenset(word for one in phrases for word in one.words())


def _match(
    words: Sequence[str], phrase: tuple[frozenset[str], ...], gaps: tuple[bool, ...], start: int, limit: int
) -> tuple[int, ...]:
    at = start + 1
    places = [start]
    for number in range(1, len(phrase)):
        reach = range(at, min(limit, at + _GAP + 1)) if gaps[number] else range(at, min(limit, at + 1))
        for place in reach:
            if words[place] in phrase[number] or ("<N>" in phrase[number] and words[place][:1].isdigit()):
                at = place + 1
                places.append(place)
                break
            if not words[place]:
                return ()
        else:
            return ()
    return tuple(places)
