"""Formats values as YAML that YAML 1.1 and YAML 1.2 parsers read in the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping

Scalar = str | int
Value = Scalar | Mapping[str, "Value"]

STEP = 2
"""Columns of indentation of a new block."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def scalar_text(value: Scalar, *, style: str = "") -> str:
    """A value as YAML. `style` is the quote style of the value that it replaces; its quotes are kept."""
    if isinstance(value, int):
        return str(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _is_plain(value):
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    """A character inside double quotes. JSON's escapes are not used: YAML reads a surrogate pair as two characters."""
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}" if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def _is_plain(value: str) -> bool:
    if value.lower() in _NOT_TEXT:
        return False
    return any(form.fullmatch(value) for form in (_WORD, _UUID, _INSTANT))


def flow_text(value: Value) -> str:
    """A value in flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow_text(inner)}" for key, inner in value.items()) + "}"
    return scalar_text(value)


def block_lines(key: str, value: Value, *, indent: int) -> list[str]:
    """The lines of a pair, without line endings. A mapping is a block, except `rollout`, which is one line."""
    start = f"{' ' * indent}{key}:"
    if not isinstance(value, Mapping):
        return [f"{start} {scalar_text(value)}"]
    if key == "rollout" or not value:
        return [f"{start} {flow_text(value)}"]
    inner = (block_lines(name, item, indent=indent + STEP) for name, item in value.items())
    return [start, *(line for lines in inner for line in lines)]
