"""A YAML tree in which every node knows its place in the text.

It is built from ruamel.yaml's events. Unlike ruamel.yaml's round-trip mode, this keeps the exact place of every
scalar, so an edit can replace a few characters and leave all other bytes unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from modelops.domain.agentsfile.errors import MalformedAgentsFile, UnknownAgent
from modelops.plain_entries import Remainder, without_plain_entries

Kind = Literal["scalar", "mapping", "sequence", "alias"]
MERGE_KEY = "<<"


@dataclass(slots=True, eq=False)
class Node:
    """A part of the document: `text[start:end]`; `line` and `column` count from 1.

    `value` is the value of a scalar: str, int, float, bool or None; a timestamp stays text. `target` is the node that
    an alias refers to. `last` is the end of the last content, before comments and blank lines that follow.
    """

    kind: Kind
    start: int
    end: int
    line: int
    column: int
    flow: bool = False
    style: str = ""
    anchor: str | None = None
    value: Any = None
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    target: Node | None = None
    left_out: tuple[str, ...] = ()
    """Of the root: the plain entries of other agents that were not read, as text."""

    @property
    def last(self) -> int:
        """Index at which the content ends."""
        if self.kind == "mapping" and not self.flow and self.pairs:
            return self.pairs[-1][1].last
        if self.kind == "sequence" and not self.flow and self.items:
            return self.items[-1].last
        return self.end

    def resolved(self) -> Node:
        """The node itself, or the node that an alias refers to."""
        return self.target.resolved() if self.target else self

    def written_pair(self, key: str) -> tuple[Node, Node] | None:
        """The pair that is written here under `key`. Pairs from a merge key do not count."""
        return next((pair for pair in self.pairs if pair[0].value == key), None)

    def get(self, key: str) -> Node | None:
        """The value under `key`, aliases and merge keys followed."""
        return self._get(key, set())

    def _get(self, key: str, seen: set[int]) -> Node | None:
        """`seen`: the nodes that were searched already, because a mapping may be merged into itself."""
        if id(self) in seen:
            return None
        seen.add(id(self))
        pair = self.written_pair(key)
        if pair:
            return pair[1].resolved()
        for merged in self._merged():
            if (found := merged._get(key, seen)) is not None:
                return found
        return None

    def _merged(self) -> Iterator[Node]:
        pair = self.written_pair(MERGE_KEY)
        if pair:
            value = pair[1].resolved()
            yield from (node.resolved() for node in (value.items if value.kind == "sequence" else [value]))

    def fingerprint(self, known: dict[int, int] | None = None) -> int:
        """A hash that is equal for equal content, wherever it is in the file. Each anchored part is hashed once."""
        known = {} if known is None else known
        if id(self) not in known:
            known[id(self)] = 0
            known[id(self)] = hash((self.kind, *self._content(known)))
        return known[id(self)]

    def _content(self, known: dict[int, int]) -> tuple[object, ...]:
        if self.kind == "alias" and self.target:
            return (self.target.fingerprint(known),)
        if self.kind == "mapping":
            return tuple((key.fingerprint(known), value.fingerprint(known)) for key, value in self.pairs)
        if self.kind == "sequence":
            return tuple(item.fingerprint(known) for item in self.items)
        return (type(self.value).__name__, repr(self.value))


def read_tree_for(text: str, agent: str) -> Node:
    """The root of the document, without plain entries of other agents where the file is large (`left_out`).

    Raises MalformedAgentsFile; of a large file also UnknownAgent.
    """
    remainder = without_plain_entries(text, but=agent)
    if remainder is None:
        return read_tree(text)
    try:
        root = read_tree(remainder.text)
    except MalformedAgentsFile:
        return read_tree(text)
    agents = root.get("agents") if root.kind == "mapping" else None
    names = {key.value for key, _ in agents.pairs} if agents is not None else set()
    if names & remainder.names:
        return read_tree(text)
    if agent not in names and MERGE_KEY not in names:
        raise UnknownAgent(agent, tuple(sorted({*map(str, names), *remainder.names})))
    _put_in_place(root, remainder, set())
    root.left_out = remainder.left_out
    return root


def _put_in_place(node: Node, remainder: Remainder, done: set[int]) -> None:
    """Gives every node its place in the whole file."""
    if id(node) in done:
        return
    done.add(id(node))
    empty = node.start == node.end
    node.line += remainder.lines_before(node.start)
    end = remainder.end(node.end)
    node.start, node.end = (end if empty else remainder.start(node.start)), end
    for key, value in node.pairs:
        _put_in_place(key, remainder, done)
        _put_in_place(value, remainder, done)
    for item in node.items:
        _put_in_place(item, remainder, done)


def read_tree(text: str) -> Node:
    """The root of the document; a null scalar for an empty text. Raises MalformedAgentsFile."""
    try:
        return _Reader().read(text)
    except MalformedAgentsFile:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tab = "'\\t'" in (error.problem or "")
        problem = (
            "a tab is used for indentation; use spaces"
            if tab
            else f"{error.problem or 'not YAML'}; correct the file"
        )
        raise MalformedAgentsFile(problem, line=line, column=column) from error
    except RecursionError as error:
        raise MalformedAgentsFile("the file is nested too deeply", line=1, column=1) from error
    except (YAMLError, ValueError) as error:
        problem = f"cannot be read as YAML 1.2: {error}; correct the file"
        raise MalformedAgentsFile(problem, line=1, column=1) from error


class _Reader:
    def __init__(self) -> None:
        self._yaml = YAML(typ="safe", pure=True)
        self._anchors: dict[str, Node] = {}
        self._events: Iterator[Any] = iter(())

    def read(self, text: str) -> Node:
        self._events = iter(self._yaml.parse(text))
        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    mark = event.start_mark
                    problem = "a second document begins; keep one document per file"
                    raise MalformedAgentsFile(problem, line=mark.line + 1, column=1)
                root = self._node(next(self._events))
        return root or Node("scalar", len(text), len(text), 1, 1)

    def _node(self, event: Any) -> Node:
        start, end = event.start_mark, event.end_mark
        node = Node("scalar", start.index, end.index, start.line + 1, start.column + 1)
        if isinstance(event, AliasEvent):
            node.kind, node.target = "alias", self._anchors.get(event.anchor)
            if node.target is None:
                self._fail(node, f"*{event.anchor} has no anchor before it; define &{event.anchor} first")
            return node
        node.anchor = event.anchor
        if event.anchor:
            self._anchors[event.anchor] = node
        if isinstance(event, ScalarEvent):
            node.style = event.style or ""
            node.value = self._value(event)
        elif isinstance(event, MappingStartEvent):
            node.kind, node.flow = "mapping", bool(event.flow_style)
            self._fill_mapping(node)
        elif isinstance(event, SequenceStartEvent):
            node.kind, node.flow = "sequence", bool(event.flow_style)
            for item in self._events:
                if isinstance(item, SequenceEndEvent):
                    node.end = item.end_mark.index
                    break
                node.items.append(self._node(item))
        return node

    def _fill_mapping(self, node: Node) -> None:
        keys: set[tuple[str, str]] = set()
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                node.end = event.end_mark.index
                return
            key = self._node(event)
            if key.kind == "scalar":
                name = (type(key.value).__name__, repr(key.value))
                if name in keys:
                    self._fail(key, f"the key {key.value!r} appears twice; keep one of them")
                keys.add(name)
            node.pairs.append((key, self._node(next(self._events))))

    def _value(self, event: ScalarEvent) -> Any:
        tag = str(event.tag) if event.tag else None
        if tag is None or tag == "!":
            tag = str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        read = {
            "tag:yaml.org,2002:int": self._yaml.constructor.construct_yaml_int,
            "tag:yaml.org,2002:float": self._yaml.constructor.construct_yaml_float,
            "tag:yaml.org,2002:bool": self._yaml.constructor.construct_yaml_bool,
            "tag:yaml.org,2002:null": lambda _: None,
        }.get(tag)
        try:
            return read(ScalarNode(tag, event.value)) if read else event.value
        except (ValueError, LookupError, ArithmeticError) as error:
            mark, kind = event.start_mark, tag.rpartition(":")[2]
            problem = f"{event.value[:40]!r} is no {kind}; correct it, or put it in quotes"
            raise MalformedAgentsFile(problem, line=mark.line + 1, column=mark.column + 1) from error

    def _fail(self, node: Node, problem: str) -> None:
        raise MalformedAgentsFile(problem, line=node.line, column=node.column)
