"""Which entries of other agents are left out of an agents.yaml."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from modelops.plain_entries.lines import references_of_plain
from modelops.plain_entries.references import ANY_ALIAS, ANY_ANCHOR, References, anchors_in
from modelops.plain_entries.remainder import Remainder
from modelops.plain_entries.single_lines import every_line_stands_alone
from modelops.plain_entries.tokens import (
    ALIAS,
    END,
    FLOW,
    FLOW_MAPPING,
    KEY,
    LIST_OF_ALIASES,
    NAME,
    REMARK,
    VALUE,
)

SMALL = 16 * 1024
"""Characters up to which a file is read as a whole."""

_AGENTS = re.compile(r"^agents:[ ]*(?:#[^\n]*)?\r?\n", re.MULTILINE)
_NEXT_PART = re.compile(r"^[^ #\r\n]", re.MULTILINE)
_FIRST_KEY = re.compile(rf"(?:{REMARK})*+([ ]++)[^ #\r\n]")
_STRANGE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)|[\u2028\u2029]"
)
_ENTRY_START = re.compile(r"^([ ]*)[^ #\r\n]", re.MULTILINE)
_NAMES = re.compile(rf"^[ ]*(?:{KEY}|<<:)", re.MULTILINE)


class _Entry(NamedTuple):
    """A plain entry: `text[start:stop]` of the file. `references`: None where it cannot have any."""

    start: int
    stop: int
    name: str
    references: References | None = None


@lru_cache(maxsize=16)
def _simple_entry(indent: int) -> re.Pattern[str]:
    """An entry with its key in column `indent`: plain values and aliases, lists of these, and mappings of these."""
    start = f"^[ ]{{{indent}}}"
    alias = rf"(?:{ALIAS}|{LIST_OF_ALIASES})"
    value = rf"(?:{KEY}[ ]+(?:{VALUE}|{FLOW}|{alias})|<<:[ ]+{alias}){END}"
    remarks = rf"(?:{REMARK})*+"
    # No possessive quantifier around a group: Python 3.11 then reports wrong groups. Only one way of repeating matches.
    deeper = rf"{KEY}{END}{remarks}(?P<deep>(?P=in)[ ]++){value}(?:{remarks}(?P=deep){value})*"
    listed = (
        rf"{KEY}{END}{remarks}(?P<dash>(?P=in)[ ]*+)-[ ]{VALUE}{END}(?:{remarks}(?P=dash)-[ ]{VALUE}{END})*"
    )
    line = rf"{remarks}(?P=in)(?:{value}|{deeper}|{listed})"
    block = rf"(?P<name>{KEY}){END}{remarks}(?=(?P<in>[ ]{{{indent + 1},}}+)[^ ])(?:{line})+{remarks}"
    flow = rf"(?P<short>{KEY})[ ]+{FLOW_MAPPING}{END}"
    return re.compile(rf"{start}(?:{block}|{flow})(?=[ ]{{0,{indent}}}[^ #\r\n]|\Z)", re.MULTILINE)


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
    entries = [
        entry for entry in _plain_entries(text, found.end(), end, indent=len(first[1])) if entry.name != but
    ]
    if any(entry.references for entry in entries):
        entries = [*_refer_to_what_is_kept(text, entries, begin=found.start())]
    names = frozenset(entry.name for entry in entries)
    if not names or len(names) != len(entries):
        return None
    stops = [0, *(entry.stop for entry in entries)]
    starts = [*(entry.start for entry in entries), len(text)]
    kept = [text[stop:start] for stop, start in zip(stops, starts, strict=True)]
    rest = "".join(kept)
    if not every_line_stands_alone(rest):
        return None
    left_out = tuple(text[entry.start : entry.stop] for entry in entries)
    return Remainder(
        text=rest,
        left_out=left_out,
        names=names,
        places=[*accumulate(map(len, kept[:-1]))],
        lengths=[0, *accumulate(map(len, left_out))],
        lines=[0, *accumulate(part.count("\n") for part in left_out)],
    )


def _refer_to_what_is_kept(text: str, entries: list[_Entry], *, begin: int) -> Iterator[_Entry]:
    """Those of `entries` that no other part refers to, and that refer only to what is certain and stays in the file.

    That is an anchor before `text[begin:]`, where the agents begin, or of a plain entry before that is kept. An
    anchor of the one agent that is asked for is none of these: that others share it must be found.
    """
    referred_to = set(ANY_ALIAS.findall(text))
    marked = Counter(ANY_ANCHOR.findall(text))
    known = {name: mapping for name, mapping in anchors_in(text[:begin]) if marked[name] == 1}
    for entry in entries:
        refers = entry.references
        if refers is None:
            yield entry
        elif not refers.anchors.isdisjoint(referred_to):
            anchors = anchors_in(text[entry.start : entry.stop])
            known.update((name, mapping) for name, mapping in anchors if marked[name] == 1)
        elif refers.aliases <= known.keys() and all(known[name] for name in refers.merged):
            yield entry


def _plain_entries(text: str, begin: int, end: int, *, indent: int) -> Iterator[_Entry]:
    """The plain entries in `text[begin:end]`, whose keys are in column `indent`."""
    simple, at = _simple_entry(indent), begin
    key = re.compile(rf"[ ]{{{indent}}}({KEY})(?:[ ]+&{NAME})?{END}")
    starts = [m.start() for m in _ENTRY_START.finditer(text, begin, end) if len(m[1]) <= indent]
    for start, following in pairwise([*starts, end]):
        if start < at:
            continue
        match = simple.match(text, start, end)
        if match and not _has_a_key_twice(match[0]):
            at = match.end()
            references = References.of_simple(match[0]) if "*" in match[0] else None
            yield _Entry(start, at, (match["name"] or match["short"])[:-1], references)
        elif named := key.match(text, start, following):
            references = references_of_plain(text[start:following])
            if references is not None:
                has_any = references.aliases or references.anchors
                yield _Entry(start, following, named[1][:-1], references if has_any else None)


def _has_a_key_twice(part: str) -> bool:
    keys = _NAMES.findall(part)
    return len(set(keys)) != len(keys)
