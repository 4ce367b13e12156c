"""The algorithms of the sandbox's models. They do not know the right answers."""

from __future__ import annotations

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


def echo_signature(message: str) -> str:
    """Return the line that defines the first function in the message."""
    found = _DEFINITION.search(message)
    if found is None:
        return NO_FUNCTION
    return message[found.start() :].splitlines()[0].rstrip().removesuffix(":")
