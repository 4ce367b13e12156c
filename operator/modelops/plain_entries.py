"""Leaves other agents' plain entries out of an agents.yaml, so that a YAML parser has to read only the rest.

A YAML parser in Python reads about 100 KB in a second. In a large file nearly every entry is plain: keys, lists and
texts without an anchor, alias or tag, each line of which says by itself what it is. A regular expression recognises
the simplest of these entries at a hundred times that speed, and `_is_plain` the others, line by line, at twenty times.
What is left out refers to nothing else, so the rest means the same without it.

Where that is not certain, nothing is left out. This file needs the standard library only: the router uses it as well.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

SMALL = 16 * 1024
"""Characters up to which a file is read as a whole."""

_END = r"(?:[ ]++(?:#[^\n]*+)?)?\r?\n"
_KEY = r"[A-Za-z_][A-Za-z0-9_.-]*+:"
_WORD = r"[A-Za-z0-9_/.+~][A-Za-z0-9_/.@+~=%-]*+(?::[A-Za-z0-9_/.@+~=%-]++)*+"
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
_TEXT = (
    r"(?:[A-Za-z0-9_/.(~+$\xa1-\ud7ff\ue000-\ufefe]|-[A-Za-z0-9.])"
    r"(?:[^\s:#]|:(?=[^\s])|(?<=[^\s])#|[ ](?=[^\s#]))*+"
)
"""A text in a block that is written without quotes, on one line."""
_ESCAPED = r"(?:'(?:[^'\n]|'')*+'|\"(?:[^\"\\\n]|\\[\"\\/nrt])*+\")"
_ITEM = rf"(?:{_WORD}(?:[ ]{_WORD})*+|{_ESCAPED})"
_PART = (
    rf"(?:{_ITEM}|\{{(?:{_KEY}[ ]{_ITEM}(?:,[ ]{_KEY}[ ]{_ITEM})*+)?\}}|\[(?:{_ITEM}(?:,[ ]{_ITEM})*+)?\])"
)
_CLOSED = (
    rf"(?:{_ESCAPED}|\[(?:{_PART}(?:,[ ]{_PART})*+)?\]"
    rf"|\{{(?:{_KEY}[ ]{_PART}(?:,[ ]{_KEY}[ ]{_PART})*+)?\}})"
)
_LINE = re.compile(
    rf"(?P<dash>-[ ]+)?(?:(?P<key>{_KEY})(?:[ ]+(?:(?P<header>[|>][+-]?)|(?P<text>{_TEXT})|(?P<closed>{_CLOSED})))?"
    rf"|(?P<item>{_TEXT})|(?P<closed_item>{_CLOSED}))(?P<remark>[ ]+(?:#.*)?)?"
)
"""A line of a plain entry after its indentation. A text goes on in deeper lines unless a remark follows it."""
_ENTRY_START = re.compile(r"^([ ]*)[^ #\r\n]", re.MULTILINE)
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
    if re.compile(rf"^[ ]{{0,{len(first[1])}}}-(?:[ ]|\r?$)", re.MULTILINE).search(text, found.end(), end):
        return None  # Lines of a list in the column of the agents' names belong to no entry.
    names: list[str] = []
    left_out: list[str] = []
    kept: list[str] = []
    places: list[int] = []
    at = kept_length = 0
    for start, stop, name in _plain_entries(text, found.end(), end, indent=len(first[1])):
        if name == but:
            continue
        kept.append(text[at:start])
        kept_length += start - at
        places.append(kept_length)
        names.append(name)
        left_out.append(text[start:stop])
        at = stop
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


def _plain_entries(text: str, begin: int, end: int, *, indent: int) -> Iterator[tuple[int, int, str]]:
    """Start, end and name of each plain entry in `text[begin:end]`, whose keys are in column `indent`."""
    simple, key, at = _entry(indent), re.compile(rf"[ ]{{{indent}}}({_KEY}){_END}"), begin
    starts = [m.start() for m in _ENTRY_START.finditer(text, begin, end) if len(m[1]) <= indent]
    for start, following in pairwise([*starts, end]):
        if start < at:
            continue
        match = simple.match(text, start, end)
        if match and not _has_a_key_twice(match[0]):
            at = match.end()
            yield start, at, (match["name"] or match["short"])[:-1]
        elif (named := key.match(text, start, following)) and _is_plain(text[start:following]):
            yield start, following, named[1][:-1]


def _has_a_key_twice(part: str) -> bool:
    keys = _NAMES.findall(part)
    return len(set(keys)) != len(keys)


class _Block:
    """A mapping or, without `keys`, a list. `column` is that of its keys or dashes."""

    __slots__ = ("column", "keys")

    def __init__(self, column: int, keys: set[str] | None = None) -> None:
        self.column = column
        self.keys = keys


def _is_plain(entry: str) -> bool:
    """Whether an entry consists of block mappings, lists and texts that any YAML reader takes in the same way."""
    blocks: list[_Block] = []
    empty = continues = (
        False  # What the last line was: a key without a value; a text that deeper lines go on.
    )
    text: tuple[int, int] | None = None  # Of a text after | or >: columns of its key, and of its first line.
    for line in entry.splitlines():
        body = line.lstrip(" ")
        column = len(line) - len(body)
        if text is not None:
            parent, first = text
            if not body:
                if column > max(first, 0):
                    return False
                continue
            if (first < 0 and column > parent) or column >= first >= 0:
                text = (parent, first if first >= 0 else column)
                continue
            if first < 0:
                return False
            text = None
        if not body or body[0] == "#":
            continues = False
            continue
        match = _LINE.fullmatch(body)
        if match is None:
            return False
        if match["key"] is None and match["dash"] is None:
            if not (continues and match["item"] and column > blocks[-1].column):
                return False
            continues = match["remark"] is None
            continue
        if not _opens_or_continues(blocks, column, match, empty=empty):
            return False
        value = match["text"] or match["item"]
        empty = match["key"] is not None and not (value or match["closed"] or match["header"])
        continues = value is not None and match["remark"] is None
        text = (blocks[-1].column, -1) if match["header"] else None
    return len(blocks) > 0 and not (empty and len(blocks) == 1)


def _opens_or_continues(blocks: list[_Block], column: int, match: re.Match[str], *, empty: bool) -> bool:
    """Whether a line in this column fits the open blocks, which it changes. `empty`: the line before is only a key."""
    dash, key = match["dash"], match["key"]
    while len(blocks) > 1 and blocks[-1].column > column:
        blocks.pop()
        empty = False
    if dash is None and len(blocks) > 1 and blocks[-1].keys is None and blocks[-1].column == column:
        blocks.pop()
    top = blocks[-1] if blocks else None
    if dash is not None:
        if top is None:
            return False
        if top.keys is not None:
            if not (empty and column >= top.column):
                return False
            blocks.append(_Block(column))
        elif top.column != column:
            return False
        if key is not None:
            blocks.append(_Block(column + len(dash), {key}))
        return True
    if top is None or (empty and top.keys is not None and column > top.column):
        blocks.append(_Block(column, {key}))
        return True
    if top.keys is None or top.column != column or key in top.keys:
        return False
    top.keys.add(key)
    return True


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
