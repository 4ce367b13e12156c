"""Changing some keys of a mapping by replacing as few characters of the text as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelops.domain.agentsfile.tree import Node
from modelops.domain.agentsfile.wording import Wanted, block_lines, flow_text, scalar_text

Changes = Mapping[str, Wanted | None]
"""Keys with their wanted values; None: the key must not be there. Keys that are not named stay."""

Pair = tuple[Node, Node]


@dataclass(slots=True)
class Splices:
    """Replacements in a text whose last line is ended, collected and applied together."""

    text: str
    newline: str
    _found: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, new: str) -> None:
        """Replaces `text[start:end]`, which overlaps no other replacement."""
        self._found.append((start, end, new))

    def applied(self) -> str:
        """The text with all replacements made; of insertions at one place the first found comes first."""
        text = self.text
        order = sorted(range(len(self._found)), key=lambda n: (*self._found[n][:2], n), reverse=True)
        for start, end, new in (self._found[n] for n in order):
            text = text[:start] + new + text[end:]
        return text

    def lines(self, lines: Sequence[str]) -> str:
        """Lines with the file's line end."""
        return "".join(line + self.newline for line in lines)

    def lines_of(self, pair: Pair) -> tuple[int, int]:
        """Where the lines of a block mapping's pair begin and end."""
        key, value = pair
        start = self.text.rfind("\n", 0, key.start) + 1
        last = key.end if value.start == value.end else value.last
        if self.text[last - 1] == "\n":  # a block scalar ends where the next line begins
            return start, last
        return start, self.text.find("\n", last) + 1


def change_mapping(splices: Splices, node: Node, changes: Changes, *, order: Sequence[str]) -> None:
    """Makes the pairs of a mapping what `changes` says; a new one goes behind those before it in `order`."""
    new: dict[str, Wanted] = {}
    gone: list[Pair] = []
    for key, wanted in changes.items():
        pair = node.own(key)
        if wanted is None:
            gone += [pair] if pair else []
        elif pair is None:
            if not _says(node.get(key), wanted):
                new[key] = wanted
        else:
            _change_pair(splices, node, pair, wanted)
    if node.flow:
        _change_flow_keys(splices, node, gone, new)
        return
    for pair in gone:
        splices.replace(*splices.lines_of(pair), "")
    for key, value in new.items():
        earlier = order[: order.index(key)]
        behind = [pair for pair in node.pairs if pair[0].value in earlier] or node.pairs
        end = splices.lines_of(behind[-1])[1]
        splices.replace(end, end, splices.lines(block_lines(key, value, indent=node.pairs[0][0].column - 1)))


def _change_pair(splices: Splices, node: Node, pair: Pair, wanted: Wanted) -> None:
    key, value = pair
    if isinstance(wanted, Mapping) and value.kind == "mapping" and value.pairs and not value.anchor:
        absent = {str(key.value): None for key, _ in value.pairs if key.value in OURS}
        change_mapping(splices, value, {**absent, **wanted}, order=tuple(wanted))
    elif _says(value.resolved(), wanted):
        return
    elif node.flow:
        space = " " if value.start == value.end else ""
        splices.replace(value.start, value.end, space + flow_text(wanted))
    elif isinstance(wanted, Mapping) or value.kind not in ("scalar", "alias") or _has_no_place(value):
        lines = block_lines(str(key.value), wanted, indent=key.column - 1)
        splices.replace(*splices.lines_of(pair), splices.lines(lines))
    else:
        splices.replace(value.start, value.end, scalar_text(wanted, style=value.style))


OURS = frozenset(
    {"generation", "salt", "rollout", "canary_until", "canary", "uid", "step", "state", "weight", "model"}
    | {"served_model", "endpoint", "endpoint_url", "api_key_env", "version"}
)
"""Every key that a routing block may have: inside it, these go where they are not wanted; others stay."""


def _says(node: Node | None, wanted: Wanted) -> bool:
    if node is None or isinstance(wanted, Mapping) or node.kind != "scalar":
        return False
    return type(node.value) is type(wanted) and bool(node.value == wanted)


def _has_no_place(value: Node) -> bool:
    """A null that is not written, or a block scalar: no span of one line to put a value in."""
    return value.start == value.end or value.style in ("|", ">")


def _change_flow_keys(splices: Splices, node: Node, gone: Sequence[Pair], new: Mapping[str, Wanted]) -> None:
    pairs = node.pairs
    places = [place for place, pair in enumerate(pairs) if pair in gone]
    leading = next((place for place in range(len(pairs)) if place not in places), len(pairs))
    if leading == len(pairs) and pairs:
        splices.replace(pairs[0][0].start, pairs[-1][1].end, "")
    elif leading:
        splices.replace(pairs[0][0].start, pairs[leading][0].start, "")
    for place in places:
        if place > leading:
            splices.replace(pairs[place - 1][1].end, pairs[place][1].end, "")
    if new:
        end = pairs[-1][1].end if pairs else node.start + 1
        written = ", ".join(f"{key}: {flow_text(value)}" for key, value in new.items())
        splices.replace(end, end, written if leading == len(pairs) else f", {written}")
