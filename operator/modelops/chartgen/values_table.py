"""The table of the chart's values, from the comments above them in values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML

BEGIN: Final = "<!-- generated: values -->\n"
END: Final = "<!-- end: values -->"
_KEY: Final = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):(?P<rest>.*)$")


class UndocumentedValue(ValueError):
    """A value has no comment, or values.yaml is not written in the form that the table is made from."""


@dataclass(frozen=True)
class Value:
    """A value that can be set. `path` is as in `--set`; `text` is the comment above it."""

    path: str
    default: Any
    text: str

    def row(self) -> str:
        """The row of the table."""
        default = "" if self.default in ("", None) else f"`{json.dumps(self.default)}`"
        return f"| `{self.path}` | {default} | {self.text} |".replace("|  |", "| |")


def documented_values(text: str) -> Iterator[Value]:
    """Each value of a values.yaml with its comment, in the order of the file.

    A map that is not empty is documented by its keys. Raises UndocumentedValue.
    """
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    tree = YAML(typ="safe").load(text)
    for line in text.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        found = _KEY.match(line)
        if found:
            depth = len(found["indent"])
            parents = [entry for entry in parents if entry[0] < depth] + [(depth, found["key"])]
            path = ".".join(key for _, key in parents)
            default = _at(tree, path)
            if not (isinstance(default, dict) and default):
                if not comment:
                    raise UndocumentedValue(f"values.yaml: {path} has no comment above it: say what it does")
                yield Value(path=path, default=default, text=" ".join(comment))
        elif line.strip():
            raise UndocumentedValue(
                f"values.yaml: {line!r} is no key: write lists and maps of defaults on one line"
            )
        comment = []


def with_table(page: str, values: str) -> str:
    """The page with a new table between its markers. Raises UndocumentedValue where a marker is missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise UndocumentedValue(f"the chart's README needs the lines {BEGIN.strip()!r} and {END!r}")
    rows = ["| value | default | meaning |", "|---|---|---|", *(v.row() for v in documented_values(values))]
    return head + begin + "\n".join(rows) + "\n" + end + tail


def _at(tree: Any, path: str) -> Any:
    for key in path.split("."):
        tree = tree[key]
    return tree
