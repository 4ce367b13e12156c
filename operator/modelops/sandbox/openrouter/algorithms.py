"""The algorithms of the sandbox's models. They do not know the right answers."""

from __future__ import annotations

import json
import re

_DEFINITION = re.compile(r"\bdef\s+(\w+)\s*\(")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
NO_FUNCTION = "There is no function in this message."


def name_as_sentence(message: str) -> str:
    """Return the name of the first function in the message as a sentence: `get_default_ip` is "Get default ip."."""
    found = _DEFINITION.search(message)
    if found is None:
        return NO_FUNCTION
    words = [word if word.isupper() else word.lower() for word in _WORDS.findall(found.group(1))]
    sentence = " ".join(words) or found.group(1)
    return f"{sentence[0].upper()}{sentence[1:]}."


def prefer_by_words(message: str) -> str:
    """Judge two answers: the one that shares more words with the expected answer is better, whichever stands first."""
    try:
        parts = json.loads(message)
        expected = set(_WORDS.findall(parts["expected"]))
        shares = [_share(set(_WORDS.findall(parts[name])), expected) for name in ("first", "second")]
    except (ValueError, LookupError, TypeError):
        return "There are no answers in this message."
    preferred = "equal" if shares[0] == shares[1] else "first" if shares[0] > shares[1] else "second"
    return json.dumps({"reason": "It shares more words with the expected answer.", "preferred": preferred})


def _share(words: set[str], expected: set[str]) -> float:
    return 2 * len(words & expected) / max(1, len(words) + len(expected))


def echo_signature(message: str) -> str:
    """Return the line that defines the first function in the message."""
    found = _DEFINITION.search(message)
    if found is None:
        return NO_FUNCTION
    return message[found.start() :].splitlines()[0].rstrip().removesuffix(":")
