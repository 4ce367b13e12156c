"""Inputs of examples in a form in which copies are equal.

Two texts are equal here when they are equal without case, punctuation and spacing. That finds copies and reformatted
copies. Texts that were edited a little are found by `near`; paraphrases are not found.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_ASCII = str.maketrans({code: " " for code in range(128) if not chr(code).isalnum()})


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedInputs:
    """The inputs of one example. `digest` (32 hex digits) is equal for copies; `words` are compared for near-copies."""

    digest: str
    words: Sequence[str]


def normalised_text(text: str) -> str:
    """The words and numbers of a text, in lower case, with single spaces between them."""
    return " ".join(_words(text))


def normalise_inputs(inputs: Mapping[str, Any]) -> NormalisedInputs:
    """The inputs normalised, whatever the order of their keys.

    Inputs that consist of punctuation only are compared as they are.
    """
    leaves = list(_leaves(inputs))
    words = [_words(leaf) for _, leaf in leaves]
    plain = [" ".join(leaf_words) for leaf_words in words]
    compared = plain if any(plain) else [leaf for _, leaf in leaves]
    text = "\n".join(f"{path} {leaf}" for (path, _), leaf in zip(leaves, compared, strict=True))
    return NormalisedInputs(
        digest=hashlib.sha256(text.encode()).hexdigest()[:32],
        words=[word for leaf_words in words for word in leaf_words if word],
    )


def inputs_digest(inputs: Mapping[str, Any]) -> str:
    """32 hex digits of an example's normalised inputs."""
    return normalise_inputs(inputs).digest


def _words(text: str) -> list[str]:
    if text.isascii():  # Gives the same words as below, ten times as fast.
        return text.translate(_ASCII).lower().split()
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip().split(" ")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, f"{path}[]")
    elif value is not None:
        yield path, str(value)
