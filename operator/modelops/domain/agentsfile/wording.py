"""How values are written into YAML: so that YAML 1.1 and 1.2 readers see the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

Scalar = str | int
Wanted = Scalar | Mapping[str, "Wanted"]

STEP = 2
"""Columns that a new block is indented by."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def scalar_text(value: Scalar, *, style: str = "") -> str:
    """A value as YAML. `style` is that of what stood there before: its quotes are kept."""
    if isinstance(value, int):
        return str(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _is_plain(value):
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    """Inside double quotes. JSON's surrogate pairs are two characters in YAML, so its escapes do not do."""
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}" if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def _is_plain(value: str) -> bool:
    if value.lower() in _NOT_TEXT:
        return False
    return any(form.fullmatch(value) for form in (_WORD, _UUID, _INSTANT))


def flow_text(value: Wanted) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow_text(inner)}" for key, inner in value.items()) + "}"
    return scalar_text(value)


def block_lines(key: str, value: Wanted, *, indent: int) -> list[str]:
    """A pair on lines of its own, without line ends; a mapping is a block, but `rollout` is one line."""
    start = f"{' ' * indent}{key}:"
    if not isinstance(value, Mapping):
        return [f"{start} {scalar_text(value)}"]
    if key == "rollout" or not value:
        return [f"{start} {flow_text(value)}"]
    inner = (block_lines(name, item, indent=indent + STEP) for name, item in value.items())
    return [start, *(line for lines in inner for line in lines)]
