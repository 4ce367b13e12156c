"""Changes keys of a YAML mapping by replacing as few characters of the text as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelops.domain.agentsfile.formatting import Value, block_lines, flow_text, scalar_text
from modelops.domain.agentsfile.tree import Node

Changes = Mapping[str, Value | None]
"""Keys with their new values; None removes the key. Other keys stay unchanged."""

Pair = tuple[Node, Node]


@dataclass(slots=True)
class Splices:
    """Replacements in a text, collected and then applied together. The text must end with a newline."""

    text: str
    newline: str
    _replacements: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, new: str) -> None:
        """Replaces `text[start:end]`, which overlaps no other replacement."""
        self._replacements.append((start, end, new))

    def applied(self) -> str:
        """The text after all replacements. Insertions at the same place keep the order in which they were added."""
        text = self.text
        order = sorted(
            range(len(self._replacements)), key=lambda n: (*self._replacements[n][:2], n), reverse=True
        )
        for start, end, new in (self._replacements[n] for n in order):
            text = text[:start] + new + text[end:]
        return text

    def lines(self, lines: Sequence[str]) -> str:
        """These lines, each with the file's line ending."""
        return "".join(line + self.newline for line in lines)

    def lines_of(self, pair: Pair) -> tuple[int, int]:
        """Start and end of the lines that a pair of a block mapping takes."""
        key, value = pair
        start = self.text.rfind("\n", 0, key.start) + 1
        last = key.end if value.start == value.end else value.last
        if self.text[last - 1] == "\n":  # a block scalar ends at the start of the next line
            return start, last
        return start, self.text.find("\n", last) + 1


def change_mapping(splices: Splices, node: Node, changes: Changes, *, order: Sequence[str]) -> None:
    """Applies `changes` to a mapping. A new key is inserted after the keys that come before it in `order`."""
    new: dict[str, Value] = {}
    removed: list[Pair] = []
    for key, new_value in changes.items():
        pair = node.written_pair(key)
        if new_value is None:
            removed += [pair] if pair else []
        elif pair is None:
            if not _has_value(node.get(key), new_value):
                new[key] = new_value
        else:
            _change_pair(splices, node, pair, new_value)
    if node.flow:
        _change_flow_keys(splices, node, removed, new)
        return
    for pair in removed:
        splices.replace(*splices.lines_of(pair), "")
    for key, value in new.items():
        earlier = order[: order.index(key)]
        behind = [pair for pair in node.pairs if pair[0].value in earlier] or node.pairs
        end = splices.lines_of(behind[-1])[1]
        splices.replace(end, end, splices.lines(block_lines(key, value, indent=node.pairs[0][0].column - 1)))


def _change_pair(splices: Splices, node: Node, pair: Pair, new_value: Value) -> None:
    key, value = pair
    if isinstance(new_value, Mapping) and value.kind == "mapping" and value.pairs and not value.anchor:
        absent = {str(key.value): None for key, _ in value.pairs if key.value in ROUTING_KEYS}
        change_mapping(splices, value, {**absent, **new_value}, order=tuple(new_value))
    elif _has_value(value.resolved(), new_value):
        return
    elif node.flow:
        space = " " if value.start == value.end else ""
        splices.replace(value.start, value.end, space + flow_text(new_value))
    elif isinstance(new_value, Mapping) or value.kind not in ("scalar", "alias") or _is_not_inline(value):
        lines = block_lines(str(key.value), new_value, indent=key.column - 1)
        splices.replace(*splices.lines_of(pair), splices.lines(lines))
    else:
        splices.replace(value.start, value.end, scalar_text(new_value, style=value.style))


ROUTING_KEYS = frozenset(
    {
        "generation",
        "salt",
        "rollout",
        "canary_until",
        "canary",
        "uid",
        "step",
        "state",
        "undo",
        "weight",
        "model",
    }
    | {"served_model", "endpoint", "endpoint_url", "api_key_env", "version"}
)
"""Every key that a routing block can have. An edit removes those without a new value; other keys stay."""


def _has_value(node: Node | None, new_value: Value) -> bool:
    if node is None or isinstance(new_value, Mapping) or node.kind != "scalar":
        return False
    return type(node.value) is type(new_value) and bool(node.value == new_value)


def _is_not_inline(value: Node) -> bool:
    """Whether the value has no place on one line: an unwritten null, or a block scalar."""
    return value.start == value.end or value.style in ("|", ">")


def _change_flow_keys(
    splices: Splices, node: Node, removed: Sequence[Pair], new: Mapping[str, Value]
) -> None:
    pairs = node.pairs
    places = [place for place, pair in enumerate(pairs) if pair in removed]
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
