"""A large agents.yaml is read without other agents' plain entries: with the same result, in a small part of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from modelops.domain import agentsfile
from modelops.domain.agentsfile import AgentsFileError, RoutingBlock, StableTarget, UnknownAgent, edit, parse
from modelops.plain_entries import leaving_out, without_plain_entries
from modelops.router.agents_yaml import ConfigProblem, read_table

STABLE = StableTarget("org/new", "huggingface", "v2.0.0", "https://e.example/v1", "HF_TOKEN")
TOMBSTONE = RoutingBlock.aborted(uid="uid", step=1, generation=7)

PLAIN = [
    "  a:\n    model: org/a\n    endpoint: openrouter\n",
    "  b: # b's\n\n    model: 'org/b'   # in May\n    # a remark\n    note: a few words\n",
    "  c: {model: org/c, endpoint: huggingface}\n",
    "  d:\n    model: org/d\n    limits:\n      tokens: 10\n      # why\n      model: 3\n    tools:\n    - one\n    - two\n",
    "  e:\n      model: org/e\n      tags: [x, y]\n",
]
PLAIN_BY_LINES = [
    "  f:\n    model: org/f\n    prompt: |\n      You are: helpful.\n\n        - indented #1\n      'It' is {so}.\n    x: -1\n",
    '  g:\n    text: >-\n      folded\n      on\n    # a remark\n    deep:\n      deeper:\n        deepest: [a, "b", {c: d}]\n',
    "  h:\n    tools:\n    - name: read\n      args: {path: str}\n    - name: write\n      list:\n      - 1\n    - last\n    e: {}\n",
    "  i:\n    note: a text, (long) that's\n      going on\n      for lines\n    tags: []\n    q: \"it's: \\\"so\\\"\"\n    r: 'it''s'\n",
    "  j:\n    n: für — ok\n    u: https://e.example/v1?a=b#c\n    empty:\n    also:\n",
    "  k:\n    keep: |+\n      one\n\n\n    t: >\n\n      two\n",
]
ODD = [
    "  l:\n    model: m\n      deeper: x\n",
    "  l:\n    a:\n        b: 1\n      c: 2\n",
    "  l:\n    a: |\n      one\n     two\n    b: 1\n",
    "  l:\n    a: |\n         \n      one\n",
    "  l:\n    a: 1\n    - x\n",
    "  l:\n    - a: 1\n     b: 2\n",
    "  l:\n    - a: 1\n      a: 2\n",
    "  l:\n    a: one\n      two: three\n",
    "  l:\n    a: one # no more\n      two\n",
    "  l:\n    a: one\n\n      two\n",
    "  l:\n    a: 'one'\n      two\n",
    "  l:\n    a: [x\n      ]\n",
    "  l:\n    a: b: c\n",
    "  l:\n    a: x # y\n    'a': z\n",
    "  l:\n    a:\n    b:\n  - c\n",
    "  l:\n    a: &x 1\n    b: *x\n",
    "  l:\n    a: |2\n        one\n",
    "  l:\n    a:\t1\n",
    "  l: text\n",
    "  l:\n",
    "  l:\n    a: |\n    # a remark\n    b: 1\n",
    "  l:\n    a: |\n      # no remark\n    b: 1\n",
    "  l:\n    a: x\n    # a remark\n      y\n",
    "  l:\n    - - a\n      - b\n",
    "  l:\n    -\n      a: 1\n",
    "  l:\n    a: [b: c, ? d]\n",
    "  l:\n    a: {b, c: }\n",
    "  l:\n    a: @x\n",
    "  l:\n    a: x:\n",
    "  l:\n    a: - b\n",
    "  l:\n    a: %x\n",
]
ALIASED = [
    "  m:\n    <<: *shared\n    model: org/m\n",
    "  n:\n    model: *word # which\n    tags: *list\n    more: [*word, *list]\n    inner: *shared\n",
    "  o:\n    <<: [*shared, *base]\n    all:\n    - *word\n    - name: *word\n",
    "  base: &base\n    model: org/p\n    text: |\n      word: &word text\n      x: *shared\n",
    "  q:\n    <<: *base\n    own: &own 1\n    mine: *own\n",
    "  r: &unused\n    model: &unused2 'org/r'\n    note: a & b * c, \"&word\"\n",
]
ALIASES = """\
x-shared:
  one: &shared
    version: v1.0.0
  two: &list
  - a
  three: &word text
  four: |
    five: &base text
"""
BROKEN_ALIASES = [
    "  l:\n    <<: *word\n",
    "  l:\n    <<: *list\n",
    "  l:\n    <<: [*shared, *word]\n",
    "  l:\n    <<: *shared\n    <<: *shared\n",
    "  l:\n    model: *nobody\n",
    "  l:\n    <<: word\n",
    "  l:\n    <<:\n      a: 1\n",
    "  l:\n    model: &word other\n",
    "  l:\n    - &word\n      a: 1\n",
    "  l:\n    model: * word\n",
    "  l:\n    model: *word text\n",
    "  l: *base\n",
    "  l:\n    model: a\n      b: *word\n",
    "  l:\n    model: &one &two x\n",
    "  l:\n    *word : x\n",
    "  l:\n    model: &one *word\n",
]
OTHER = [
    "  docs:\n    model: org/base\n    endpoint: huggingface\n    version: v1.0.0\n",
    "  docs: {model: org/base, <<: *shared}\n",
    "  docs: &d\n    model: org/base\n    routing: {}\n",
    "  docs:\n    <<: *shared\n    notes: |\n      two\n        lines\n",
    "  docs:\n    model: &m org/base\n",
    "  s: *d\n",
    "  t:\n    model: *m\n",
    "  t:\n    key: !ENV KEY\n    model: org/t\n",
    "  u:\n    model: org/u\n    model: org/v\n",
    "  a:\n    model: again\n",
    '  v:\n    note: "over\n  w:\n    model: x\n    lines"\n',
    "  v: {model: m,\n  w:\n    model: x\n  }\n",
    "  v:\n    note: over\n      lines\n",
    "  v:\n    text: >-\n      folded\n     a:\n       model: x\n",
    "  v: |\n    a:\n      model: x\n",
    "  v:\n  - one\n",
    "  ? a\n  : b\n",
    "# at the margin\n",
    "\n",
    "    # deeper\n",
    "    stray: value\n",
    "   odd: value\n",
    "  x: 'it''s'\n",
    '  y:\n    k: "a\\\n      b"\n',
    "agents:\n",
    "other: 1\n",
    "...\n",
    "---\n",
]
LINES = [
    f"{' ' * column}{dash}{body}"
    for column in (4, 5, 6, 8)
    for dash in ("", "- ")
    for body in (
        "a: 1",
        "b:",
        "c: |",
        "text",
        "d: 'q'",
        "# r",
        "",
        "<<: *m",
        "e: *w",
        "*w",
        "f: &f",
        "&g x",
        "[*w, *m]",
    )
]
HEADS = [
    "",
    "# head\n",
    "---\n",
    "shared: &shared {version: v1.0.0}\n",
    ALIASES,
    "text: |\n  a:\n    model: x\n",
    "t: 'a\n",
]


@st.composite
def files(draw: st.DrawFn) -> str:
    parts = draw(
        st.lists(
            st.sampled_from([*PLAIN, *PLAIN_BY_LINES, *ODD, *ALIASED, *BROKEN_ALIASES, *OTHER]), max_size=8
        )
    )
    text = draw(st.sampled_from(HEADS)) + "agents:\n" + "".join(parts)
    text += draw(st.sampled_from(["", "other: 1\n", "# the end\n", "  z: 1"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def outcome(read: Callable[[], object]) -> object:
    """What is read, or the kind and the place of the problem."""
    try:
        return read()
    except UnknownAgent:
        return "unknown"
    except (AgentsFileError, ConfigProblem) as error:
        return type(error), str(error)


def both_ways(read: Callable[[], object]) -> tuple[object, object]:
    """The outcome with entries left out, however small the file is, and the outcome of the whole file."""
    with patch.object(leaving_out, "SMALL", 0):
        reduced = outcome(read)
    with patch.object(leaving_out, "SMALL", 10**9):
        return reduced, outcome(read)


@settings(max_examples=150, deadline=None)
@given(files())
@example("agents:\n" + "".join(PLAIN) + OTHER[0])
@example("agents:\n" + "".join(PLAIN_BY_LINES) + OTHER[0])
@example(ALIASES + "agents:\n" + "".join(ALIASED[3:4] + ALIASED) + OTHER[0])
@example(ALIASES + "agents:\n" + "".join(ALIASED[3:] + ALIASED[:3] + OTHER[1:2]))
@example(ALIASES + "agents:\n" + OTHER[4] + OTHER[6] + "".join(ALIASED[:2]))
@example("shared: &shared {version: v1}\nagents:\n" + PLAIN[0] + OTHER[3] + PLAIN[1] + PLAIN[2])
def test_a_file_reads_and_changes_the_same_without_the_plain_entries(text: str) -> None:
    for read in (
        lambda: parse(text, "docs"),
        lambda: edit(text, "docs", stable=STABLE, routing=TOMBSTONE),
        lambda: edit(text, "docs", routing=None),
        lambda: edit(text, "docs", stable=STABLE, create=True),
        lambda: read_table(text, "docs"),
        lambda: parse(text, "a"),
        lambda: edit(text, "a", stable=STABLE),
        lambda: read_table(text, "a"),
    ):
        reduced, whole = both_ways(read)
        assert reduced == whole


def test_plain_entries_are_really_left_out() -> None:
    text = "agents:\n" + "".join(PLAIN) + OTHER[0] + PLAIN[0].replace("a", "z")
    text += "".join(PLAIN_BY_LINES) + "other: 1\n"
    with patch.object(leaving_out, "SMALL", 0):
        found = without_plain_entries(text, but="docs")
    assert found is not None
    assert found.text == "agents:\n" + OTHER[0] + "other: 1\n"
    assert found.names == {*"abcdefghijkz"}


@pytest.mark.parametrize("odd", BROKEN_ALIASES)
def test_an_entry_with_an_odd_alias_reads_the_same(odd: str) -> None:
    text = ALIASES + "agents:\n" + "".join(ALIASED[3:] + ALIASED[:2]) + odd + OTHER[0]
    for read in (
        lambda: parse(text, "docs"),
        lambda: edit(text, "docs", stable=STABLE),
        lambda: read_table(text, "docs"),
    ):
        reduced, whole = both_ways(read)
        assert reduced == whole


def test_entries_with_aliases_are_really_left_out() -> None:
    kept = ALIASES + "agents:\n" + ALIASED[3]
    text = kept + "".join([*ALIASED[:3], *ALIASED[4:]]) + OTHER[0]
    text = text.replace("five: &base text", "five: text").replace("word: &word text", "word: text")
    with patch.object(leaving_out, "SMALL", 0):
        found = without_plain_entries(text.replace('"&word"', "word"), but="docs")
    assert found is not None
    assert found.names == {"m", "n", "o", "r"}
    assert "  q:\n" in found.text, "it refers to an anchor of its own"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8))
@example(["    a: 1", "    - b"])
@example(["     - <<: *m", "        [*w, *m]"])
def test_an_entry_that_is_left_out_is_valid_yaml(lines: list[str]) -> None:
    """Whatever lines stand in an entry: where it is left out, a YAML parser has no objection to it."""
    head = "m: &m {x: 1}\nw: &w word\n"
    text = head + "agents:\n  docs:\n    model: m\n  other:\n" + "".join(f"{line}\n" for line in lines)
    with patch.object(leaving_out, "SMALL", 0):
        found = without_plain_entries(text, but="docs")
    if found is not None:
        read = YAML(typ="safe", pure=True).load(text)
        assert [*read["agents"]] == ["docs", *found.names]


@pytest.mark.parametrize("part", [p for p in OTHER if '"over' in p or "{model: m,\n" in p or "\\\n" in p])
def test_a_file_with_quotes_or_brackets_over_several_lines_is_read_as_a_whole(part: str) -> None:
    with patch.object(leaving_out, "SMALL", 0):
        assert without_plain_entries("agents:\n" + PLAIN[0] + part + PLAIN[1], but="docs") is None


def large_file(size: int = 750 * 1024, *, head: str = "", line: str = "") -> str:
    entries, number = [], 0
    while (sum(map(len, entries[-1:])) and number * len(entries[-1]) < size) or not entries:
        entries.append(
            f"  agent_{number:05d}:\n    model: org/model-{number:05d}\n    endpoint: openrouter\n{line}"
        )
        number += 1
    return head + "agents:\n" + "".join(entries) + OTHER[0]


def processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def plain_parse_seconds(text: str) -> float:
    """What the YAML library alone takes for these lines, from a part of them."""
    part = text[: len(text) // 20].rpartition("  agent_")[0]
    return processor_seconds(lambda: list(YAML(typ="safe", pure=True).parse(part))) * len(text) / len(part)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(large_file(), id="simple entries"),
        pytest.param(
            large_file(head=ALIASES, line="    <<: *shared\n    note: *word\n"), id="entries with aliases"
        ),
    ],
)
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda text: edit(text, "docs", stable=STABLE, routing=TOMBSTONE), id="an edit"),
        pytest.param(lambda text: parse(text, "docs"), id="the operator reads"),
        pytest.param(lambda text: read_table(text, "docs"), id="the router reads"),
        pytest.param(lambda text: outcome(lambda: parse(text, "nobody")), id="an unknown agent"),
    ],
)
def test_750_kib_take_a_quarter_of_a_plain_parse_at_most(work: Callable[[str], object], text: str) -> None:
    assert len(text) > 750 * 1024
    bare = plain_parse_seconds(text)
    # On an idle machine it is a twelfth to a thirtieth; other processes share the caches here.
    assert min(processor_seconds(lambda: work(text)) for _ in range(2)) < bare / 4


def test_an_unknown_agent_of_a_large_file_is_reported_with_some_of_the_known_ones() -> None:
    with pytest.raises(UnknownAgent, match=r"agent_00000, .* and \d+ more") as refused:
        agentsfile.parse(large_file(), "nobody")
    assert len(str(refused.value)) < 1000
