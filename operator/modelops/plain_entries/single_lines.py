"""Lines of YAML that say by themselves what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelops.plain_entries.tokens import (
    ALIAS,
    ANY_KEY,
    END,
    FLOW,
    LIST_OF_ALIASES,
    PROPERTIES,
    REMARK,
    VALUE,
)

_SIMPLE_LINE = re.compile(
    rf"[ ]*+(?:-[ ]+)*+(?:{ANY_KEY}[ ]+)?{PROPERTIES}"
    rf"(?:{VALUE}|{FLOW}|{ALIAS}|{LIST_OF_ALIASES}|\{{\}}|\[\])?{END}|[ ]*+(?:-[ ]+)*+{ANY_KEY}{END}"
)
_TEXT_FOLLOWS = re.compile(rf"([ ]*+){ANY_KEY}[ ]+{PROPERTIES}[|>][0-9+-]*+{END}")
_REMARK_LINE = re.compile(REMARK)


def every_line_stands_alone(text: str) -> bool:
    """Whether no quote, bracket or text goes on over a line, except a text after `|` or `>` with deeper lines."""
    for number, line in enumerate(_outside_texts(text)):
        if number == 0 and line.rstrip() == "---":
            continue
        if not (_SIMPLE_LINE.fullmatch(line) or _TEXT_FOLLOWS.fullmatch(line)):
            return False
    return True


def lines_outside_texts(text: str) -> Iterator[tuple[int, str]]:
    """Column and content of the lines, without remarks, blank lines, and the lines of a text after `|` or `>`."""
    for line in _outside_texts(text):
        body = line.lstrip(" ")
        yield len(line) - len(body), body.rstrip("\r\n")


def _outside_texts(text: str) -> Iterator[str]:
    text_indent: int | None = None
    for line in text.splitlines(keepends=True):
        if text_indent is not None:
            stripped = line.lstrip(" ")
            if not stripped.strip() or len(line) - len(stripped) > text_indent:
                continue
            text_indent = None
        if _REMARK_LINE.fullmatch(line):
            continue
        follows = _TEXT_FOLLOWS.fullmatch(line)
        text_indent = len(follows[1]) if follows else None
        yield line
