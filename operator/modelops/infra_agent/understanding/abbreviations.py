"""Abbreviations that follow from an agent's name of several words: `fdev`, `feat-dev`, `cdrvw`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from modelops.infra_agent.understanding.lexicon import known_words

_LEAST = 3
"""So many letters are kept of the last word, unless it has no vowels left."""


def abbreviations_of(words: Sequence[str]) -> frozenset[str]:
    """The beginnings of the first words joined with the beginning or the consonants of the last one.

    A name of one word has none. What is a word of a language spoken here is none either.
    """
    if len(words) < 2:
        return frozenset()
    *first, last = words
    first_letters = "".join(word[0] for word in first)
    heads = {first_letters, "".join(first), _consonants("".join(first))}
    heads |= {first[0][:length] for length in (3, 4) if len(first) == 1}
    tails = {last, *(last[:length] for length in (_LEAST, _LEAST + 1))}
    tails = {tail for tail in tails if len(tail) >= _LEAST} | {_consonants(last)}
    together = {head + tail for head in heads for tail in tails if len(tail) > 1}
    together.discard("".join(words))
    return frozenset(word for word in together if len(word) >= _LEAST and word not in known_words())


def joined(text: str, abbreviations: Iterable[str]) -> str:
    """The text with `f-dev` as `fdev`, outside of addresses and of longer names."""
    known = frozenset(abbreviations)
    if not known:
        return text

    def _join(found: re.Match[str]) -> str:
        together = found[1] + found[2]
        return together if together.casefold() in known else found[0]

    return _HYPHENATED.sub(_join, text)


@cache
def _consonants(word: str) -> str:
    return word[:1] + re.sub(r"[aeiou]", "", word[1:])


_HYPHENATED = re.compile(r"(?<![\w/.:-])([a-z]+)[-_]([a-z]{2,})(?![\w/-])", re.I)
