"""Shapes: which fields an answer has, and of which types, so that two services can be compared without their values.

A shape maps the path of each field to the JSON types that were seen there. `items[].status.url` is the field `url` in
`status` of every element of `items`. Fields whose names are data (labels, variables) are not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Shape = dict[str, tuple[str, ...]]

FREE_MAPS: Final = frozenset(
    {
        "labels", "environment", "env", "extra", "metadata", "inputs", "outputs", "cardData", "config",
        "safetensors", "feedback_stats", "run_facets", "attachment_urls", "instance_flags", "customer_info",
        "secrets", "transformersInfo", "widgetData", "gguf", "per_repetition_split", "experimentalFeatures",
    }
)  # fmt: skip
"""Names of objects with fields of the caller's own, or of a model's own."""
_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "bool",
    int: "number",
    float: "number",
    dict: "object",
    list: "list",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How the shape of one answer differs from the sandbox's. Each entry is a path, and `other` has both types."""

    missing: tuple[str, ...] = ()
    """Fields that the sandbox answers and the service did not."""
    unexpected: tuple[str, ...] = ()
    """Fields that the service answered and the sandbox does not."""
    other: tuple[str, ...] = ()
    """Fields of another type, as `path: number, in the sandbox text`."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.other)


def shape_of(answer: Any) -> Shape:
    """The shape of a JSON answer."""
    found: dict[str, set[str]] = {}
    _collect(answer, "", found)
    return {path: tuple(sorted(types)) for path, types in sorted(found.items())}


def merged(shapes: Iterable[Mapping[str, Iterable[str]]]) -> Shape:
    """One shape with all fields and types of several answers."""
    found: dict[str, set[str]] = {}
    for shape in shapes:
        for path, types in shape.items():
            found.setdefault(path, set()).update(types)
    return {path: tuple(sorted(types)) for path, types in sorted(found.items())}


def compare(observed: Mapping[str, Iterable[str]], sandbox: Mapping[str, Iterable[str]]) -> Difference:
    """How an observed shape differs from the sandbox's.

    Below a field that one side lacks, or has only empty, nothing more is listed. An absent field and a null are
    different, but a null says nothing about the type.
    """
    missing = [path for path in sandbox if path not in observed and _parent_is_known(path, observed)]
    unexpected = [path for path in observed if path not in sandbox and _parent_is_known(path, sandbox)]
    other = []
    for path, types in observed.items():
        seen, known = set(types) - {"null"}, set(sandbox.get(path, ())) - {"null"}
        if seen and known and not seen <= known:
            other.append(
                f"{path or '(the answer)'}: {', '.join(sorted(seen))}, in the sandbox {', '.join(sorted(known))}"
            )
    return Difference(missing=tuple(missing), unexpected=tuple(unexpected), other=tuple(other))


def _collect(value: Any, path: str, found: dict[str, set[str]]) -> None:
    found.setdefault(path, set()).add("null" if value is None else _TYPES[type(value)])
    if isinstance(value, dict) and path.rpartition(".")[2] not in FREE_MAPS:
        for name, item in value.items():
            _collect(item, f"{path}.{name}" if path else str(name), found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, f"{path}[]", found)


def _parent_is_known(path: str, shape: Mapping[str, Iterable[str]]) -> bool:
    """Whether the shape has the field around this one, with a content: otherwise that one is the difference."""
    if path.endswith("[]"):
        return False  # An empty list on one side is no difference.
    parent = path.rpartition(".")[0]
    return "object" in shape.get(parent, ())
