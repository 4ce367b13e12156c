"""Aliases and anchors of plain entries: `*name` refers to what `&name` marks, anywhere before it in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from modelops.plain_entries.single_lines import lines_outside_texts
from modelops.plain_entries.tokens import ALIAS, KEY, LIST_OF_ALIASES, NAME

ANY_ANCHOR = re.compile(rf"&({NAME})")
ANY_ALIAS = re.compile(rf"\*({NAME})")
"""These also match in quotes, texts and remarks: they find too much, and never too little."""

_REMARK = r"(?:[ ]+(?:#.*)?)?"
_ALIASED = re.compile(
    rf"(?P<start>(?:-[ ]+)?(?:(?P<merge><<:)[ ]+|{KEY}[ ]+)?)(?P<aliases>{ALIAS}|{LIST_OF_ALIASES})(?P<end>{_REMARK})"
)
_ANCHORED = re.compile(rf"(?P<start>(?:-[ ]+)?(?:{KEY})?)[ ]*&(?P<name>{NAME})(?P<end>[ ]+[^ #].*|{_REMARK})")
_MAPPING_FOLLOWS = re.compile(rf"{KEY}(?:[ ].*)?")
_MERGED = re.compile(r"<<:(.*)")
_MERGE = "merged:"
"""Stands for `<<:`, so that an entry that merges twice has the same key twice."""
_VALUE = "'alias'"
"""In quotes: no line goes on with it."""


class References:
    """What the lines of an entry refer to, and what other entries could refer to."""

    __slots__ = ("aliases", "anchors", "merged")

    def __init__(self) -> None:
        self.aliases: set[str] = set()
        self.merged: set[str] = set()
        """Those of the aliases that must be mappings."""
        self.anchors: set[str] = set()

    @classmethod
    def of_simple(cls, entry: str) -> References:
        """Those of an entry without anchors. A name in quotes or in a remark counts as an alias, too."""
        found = cls()
        found.aliases.update(ANY_ALIAS.findall(entry))
        for merged in _MERGED.findall(entry):
            found.merged.update(ANY_ALIAS.findall(merged))
        return found

    def taken_from(self, body: str) -> str:
        """The line, without its indentation, with a text in quotes for its aliases and without its anchor."""
        found = _ALIASED.fullmatch(body)
        if found:
            names = ANY_ALIAS.findall(found["aliases"])
            self.aliases.update(names)
            if found["merge"]:
                self.merged.update(names)
            return found["start"].replace("<<:", _MERGE) + _VALUE + found["end"]
        found = _ANCHORED.fullmatch(body)
        if found:
            self.anchors.add(found["name"])
            return found["start"] + found["end"]
        return body


def anchors_in(text: str) -> Iterator[tuple[str, bool]]:
    """The anchors of block mappings and lists whose lines stand alone, each with whether a mapping is marked."""
    lines = [*lines_outside_texts(text), (0, "")]
    for (column, body), (next_column, following) in pairwise(lines):
        found = _ANCHORED.fullmatch(body)
        if found:
            value = found["end"].lstrip(" ")
            opens = not value or value[0] == "#"
            block = opens and next_column > column and _MAPPING_FOLLOWS.fullmatch(following) is not None
            yield found["name"], block or value.startswith("{")
