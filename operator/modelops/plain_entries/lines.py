"""Recognises plain entries line by line."""

from __future__ import annotations

import re

from modelops.plain_entries.references import References
from modelops.plain_entries.tokens import KEY, WORD

_TEXT = (
    r"(?:[A-Za-z0-9_/.(~+$\xa1-\ud7ff\ue000-\ufefe]|-[A-Za-z0-9.])"
    r"(?:[^\s:#]|:(?=[^\s])|(?<=[^\s])#|[ ](?=[^\s#]))*+"
)
"""A text in a block that is written without quotes, on one line."""
_ESCAPED = r"(?:'(?:[^'\n]|'')*+'|\"(?:[^\"\\\n]|\\[\"\\/nrt])*+\")"
_ITEM = rf"(?:{WORD}(?:[ ]{WORD})*+|{_ESCAPED})"
_PART = rf"(?:{_ITEM}|\{{(?:{KEY}[ ]{_ITEM}(?:,[ ]{KEY}[ ]{_ITEM})*+)?\}}|\[(?:{_ITEM}(?:,[ ]{_ITEM})*+)?\])"
_CLOSED = (
    rf"(?:{_ESCAPED}|\[(?:{_PART}(?:,[ ]{_PART})*+)?\]"
    rf"|\{{(?:{KEY}[ ]{_PART}(?:,[ ]{KEY}[ ]{_PART})*+)?\}})"
)
_LINE = re.compile(
    rf"(?P<dash>-[ ]+)?(?:(?P<key>{KEY})(?:[ ]+(?:(?P<header>[|>][+-]?)|(?P<text>{_TEXT})|(?P<closed>{_CLOSED})))?"
    rf"|(?P<item>{_TEXT})|(?P<closed_item>{_CLOSED}))(?P<remark>[ ]+(?:#.*)?)?"
)
"""A line of a plain entry after its indentation. A text goes on in deeper lines unless a remark follows it."""


class _Block:
    """A mapping or, without `keys`, a list. `column` is that of its keys or dashes."""

    __slots__ = ("column", "keys")

    def __init__(self, column: int, keys: set[str] | None = None) -> None:
        self.column = column
        self.keys = keys


def references_of_plain(entry: str) -> References | None:
    """The aliases and anchors of an entry; None where it is not plain.

    It is plain if it consists of block mappings, lists, texts and aliases that any YAML reader takes in the same way.
    """
    references = References()
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
                    return None
                continue
            if (first < 0 and column > parent) or column >= first >= 0:
                text = (parent, first if first >= 0 else column)
                continue
            if first < 0:
                return None
            text = None
        if not body or body[0] == "#":
            continues = False
            continue
        match = _LINE.fullmatch(references.taken_from(body) if "*" in body or "&" in body else body)
        if match is None:
            return None
        if match["key"] is None and match["dash"] is None:
            if not (continues and match["item"] and column > blocks[-1].column):
                return None
            continues = match["remark"] is None
            continue
        if not _opens_or_continues(blocks, column, match, empty=empty):
            return None
        value = match["text"] or match["item"]
        empty = match["key"] is not None and not (value or match["closed"] or match["header"])
        continues = value is not None and match["remark"] is None
        text = (blocks[-1].column, -1) if match["header"] else None
    return references if blocks and not (empty and len(blocks) == 1) else None


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
