"""Leaves other agents' plain entries out of an agents.yaml, so that a YAML parser has to read only the rest.

A YAML parser in Python reads about 100 KB in a second. In a large file nearly every entry is plain: a few keys with a
value each, one to a line. A regular expression recognises these entries at a hundred times that speed. What is left
out has no anchor, alias, tag or text over several lines, so the rest means the same without it.

Where that is not certain, nothing is left out. This file needs the standard library only: the router uses it as well.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

SMALL = 16 * 1024
"""Characters up to which a file is read as a whole."""

_END = r"(?:[ ]++(?:#[^\n]*+)?)?\r?\n"
_KEY = r"[A-Za-z_][A-Za-z0-9_.-]*+:"
_WORD = r"[A-Za-z0-9_/.@+~][A-Za-z0-9_/.@+~=%-]*+(?::[A-Za-z0-9_/.@+~=%-]++)*+"
_QUOTED = r"(?:'[^'\n]*+'|\"[^\"\\\n]*+\")"
_VALUE = rf"(?:{_WORD}(?:[ ]{_WORD})*+|{_QUOTED})"
_FLOW_MAPPING = rf"\{{{_KEY}[ ]{_WORD}(?:,[ ]{_KEY}[ ]{_WORD})*+\}}"
_FLOW = rf"(?:{_FLOW_MAPPING}|\[{_WORD}(?:,[ ]{_WORD})*+\])"
_REMARK = r"[ ]*+(?:#[^\n]*+)?\r?\n"
_PROPERTIES = r"(?:[&!][^\s,\[\]{}'\"]*+(?:[ ]++|(?=\r?\n)))*+"
_ALIAS = r"\*[A-Za-z0-9_-]++"
_ANY_KEY = rf"(?:{_KEY}|{_QUOTED}:|<<:)"
_LIST_OF_ALIASES = rf"\[{_ALIAS}(?:,[ ]*{_ALIAS})*+\]"
_SIMPLE_LINE = re.compile(
    rf"[ ]*+(?:-[ ]+)*+(?:{_ANY_KEY}[ ]+)?{_PROPERTIES}"
    rf"(?:{_VALUE}|{_FLOW}|{_ALIAS}|{_LIST_OF_ALIASES}|\{{\}}|\[\])?{_END}|[ ]*+(?:-[ ]+)*+{_ANY_KEY}{_END}"
)
_TEXT_FOLLOWS = re.compile(rf"([ ]*+){_ANY_KEY}[ ]+{_PROPERTIES}[|>][0-9+-]*+{_END}")
_REMARK_LINE = re.compile(_REMARK)
_AGENTS = re.compile(r"^agents:[ ]*(?:#[^\n]*)?\r?\n", re.MULTILINE)
_NEXT_PART = re.compile(r"^[^ #\r\n]", re.MULTILINE)
_FIRST_KEY = re.compile(rf"(?:{_REMARK})*+([ ]++)[^ #\r\n]")
_STRANGE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)|[\u2028\u2029]"
)
_NAMES = re.compile(rf"^[ ]*{_KEY}", re.MULTILINE)


@lru_cache(maxsize=16)
def _entry(indent: int) -> re.Pattern[str]:
    """An entry with its key in column `indent`: plain values, lists of plain values, and mappings of plain values."""
    start = f"^[ ]{{{indent}}}"
    value = rf"{_KEY}[ ]+(?:{_VALUE}|{_FLOW}){_END}"
    remarks = rf"(?:{_REMARK})*+"
    # No possessive quantifier around a group: Python 3.11 then reports wrong groups. Only one way of repeating matches.
    deeper = rf"{_KEY}{_END}{remarks}(?P<deep>(?P=in)[ ]++){value}(?:{remarks}(?P=deep){value})*"
    listed = rf"{_KEY}{_END}{remarks}(?P<dash>(?P=in)[ ]*+)-[ ]{_VALUE}{_END}(?:{remarks}(?P=dash)-[ ]{_VALUE}{_END})*"
    line = rf"{remarks}(?P=in)(?:{value}|{deeper}|{listed})"
    block = rf"(?P<name>{_KEY}){_END}{remarks}(?=(?P<in>[ ]{{{indent + 1},}}+)[^ ])(?:{line})+{remarks}"
    flow = rf"(?P<short>{_KEY})[ ]+{_FLOW_MAPPING}{_END}"
    return re.compile(rf"{start}(?:{block}|{flow})(?=[ ]{{0,{indent}}}[^ #\r\n]|\Z)", re.MULTILINE)


class Remainder(NamedTuple):
    """What is left of a file. `left_out` are the parts that are not in `text`, in the order of the file."""

    text: str
    left_out: tuple[str, ...]
    names: frozenset[str]
    """The agents whose entries are left out."""
    places: list[int]
    """Index in `text` at which each part is missing."""
    lengths: list[int]
    """Characters that are left out before each part, and at last those of all parts."""
    lines: list[int]
    """Lines that are left out, in the same way."""

    def start(self, index: int) -> int:
        """The index in the file of something that starts here in `text`."""
        return index + self.lengths[bisect_right(self.places, index)]

    def end(self, index: int) -> int:
        """The index in the file of something that ends here in `text`."""
        return index + self.lengths[bisect_left(self.places, index)]

    def lines_before(self, index: int) -> int:
        """How many lines are left out before something that starts here in `text`."""
        return self.lines[bisect_right(self.places, index)]


def without_plain_entries(text: str, *, but: str) -> Remainder | None:
    """The file without the plain entries of other agents than `but`; None where it must be read as a whole."""
    if len(text) <= SMALL or _STRANGE.search(text):
        return None
    found = _AGENTS.search(text)
    if found is None or _AGENTS.search(text, found.end()):
        return None
    following = _NEXT_PART.search(text, found.end())
    end = following.start() if following else len(text)
    first = _FIRST_KEY.match(text, found.end(), end)
    if first is None or not text.endswith("\n"):
        return None
    names: list[str] = []
    left_out: list[str] = []
    kept: list[str] = []
    places: list[int] = []
    at = kept_length = 0
    for match in _entry(len(first[1])).finditer(text, found.end(), end):
        name, part = (match["name"] or match["short"])[:-1], match[0]
        keys = _NAMES.findall(part)
        if name == but or len(set(keys)) != len(keys):
            continue
        kept.append(text[at : match.start()])
        kept_length += match.start() - at
        places.append(kept_length)
        names.append(name)
        left_out.append(part)
        at = match.end()
    kept.append(text[at:])
    rest = "".join(kept)
    if not names or len(set(names)) != len(names) or not _every_line_stands_alone(rest):
        return None
    return Remainder(
        text=rest,
        left_out=tuple(left_out),
        names=frozenset(names),
        places=places,
        lengths=[0, *accumulate(map(len, left_out))],
        lines=[0, *accumulate(part.count("\n") for part in left_out)],
    )


def _every_line_stands_alone(text: str) -> bool:
    """Whether no quote, bracket or text goes on over a line, except a text after `|` or `>` with deeper lines."""
    text_indent: int | None = None
    for number, line in enumerate(text.splitlines(keepends=True)):
        if text_indent is not None:
            stripped = line.lstrip(" ")
            if not stripped.strip() or len(line) - len(stripped) > text_indent:
                continue
            text_indent = None
        if _REMARK_LINE.fullmatch(line) or (number == 0 and line.rstrip() == "---"):
            continue
        follows = _TEXT_FOLLOWS.fullmatch(line)
        if follows:
            text_indent = len(follows[1])
        elif not _SIMPLE_LINE.fullmatch(line):
            return False
    return True
