"""Copies values for a trace: with a size limit, and without anything that looks like a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from modelops.adapters.langsmith.wire import JsonValue

REDACTED: Final = "[redacted]"
MAX_CHARACTERS: Final = 8000
"""Limit for all texts and names of one copy together; names may exceed it a little."""
_MAX_TEXT: Final = 2000
_MAX_NAME: Final = 100
_MAX_ITEMS: Final = 50
_MAX_DEPTH: Final = 6

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS = {
    "token",
    "secret",
    "password",
    "passwd",
    "authorization",
    "credential",
    "credentials",
    "apikey",
}
_SECRET_TEXT = re.compile(
    r"\b(?:hf_\w{8,}|lsv2_\w{8,}|sk-[\w-]{8,}|gh[pousr]_\w{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    r"|(?i:\bbearer\s+[^\s\"']+)"
)


def redacted(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A copy without secrets, recognised by the name of a key or the form of a text.

    The copy has at most 50 items per level, 6 levels, 2,000 characters per text and MAX_CHARACTERS in total. A
    value that is not JSON becomes the name of its type.
    """
    return _Copy().mapping(values, depth=0)


class _Copy:
    """Builds one copy and counts the characters that it may still add."""

    def __init__(self) -> None:
        self._left = MAX_CHARACTERS

    def mapping(self, values: Mapping[str, JsonValue], *, depth: int) -> dict[str, JsonValue]:
        copy: dict[str, JsonValue] = {}
        for key, value in list(values.items())[:_MAX_ITEMS]:
            name = _SECRET_TEXT.sub(REDACTED, str(key))[:_MAX_NAME]
            self._left -= len(name)
            copy[name] = REDACTED if _names_a_secret(str(key)) else self._value(value, depth=depth + 1)
        return copy

    def _value(self, value: object, *, depth: int) -> JsonValue:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if depth >= _MAX_DEPTH or self._left <= 0:
            return "[cut]"
        if isinstance(value, Mapping):
            return self.mapping(value, depth=depth)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self._value(item, depth=depth + 1) for item in value[:_MAX_ITEMS]]
        return f"[{type(value).__name__}]"

    def _text(self, text: str) -> str:
        # Secrets are replaced before the text is cut, because half a secret does not look like one.
        clean = _SECRET_TEXT.sub(REDACTED, text[: 4 * _MAX_TEXT])
        room = max(0, min(_MAX_TEXT, self._left))
        self._left -= min(len(clean), room)
        return clean if len(clean) <= room else f"{clean[:room]}… ({len(text)} characters)"


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    """Whether a name means a secret, such as `hfToken`, `api_key` and `Authorization`; not `max_tokens` and `key`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or ("api", "key") in pairwise(words)
