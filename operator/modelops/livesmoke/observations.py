"""What the services answered, as shapes, and how that differs from what the sandbox answers.

`sandbox_shapes.json` has the sandbox's shapes: tests/e2e/test_live_smoke.py compares it with a run against the sandbox,
and with MODELOPS_WRITE_SHAPES=1 writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, get_args

from modelops.livesmoke.shapes import Difference, Shape, compare, merged, shape_of
from modelops.sandbox.endpoints.records import State as EndpointState
from modelops.sandbox.jobs.records import Stage

SHAPES_FILE: Final = "sandbox_shapes.json"
KNOWN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "stage of a job": frozenset(get_args(Stage)),
    "state of an endpoint": frozenset(get_args(EndpointState)),
    "unit of a price": frozenset({"minute"}),
}
"""What the sandbox answers where a field has one of a few words."""


def sandbox_shapes() -> dict[str, Shape]:
    """The shapes of the sandbox's answers, by the name of the answer."""
    text = files("modelops.livesmoke").joinpath(SHAPES_FILE).read_text()
    return {
        name: {path: tuple(types) for path, types in shape.items()}
        for name, shape in json.loads(text).items()
    }


class Observations:
    """The shapes of the answers seen so far, by name, and the words seen in fields of a few words."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self.words: dict[str, set[str]] = {}
        self._recent: set[str] = set()

    def answer(self, name: str, answer: Any) -> Any:
        """Keep the shape of an answer, together with that of earlier ones of this name; return the answer."""
        self._recent.add(name)
        self.shapes[name] = merged([self.shapes.get(name, {}), shape_of(answer)])
        return answer

    def take_recent(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The answers since the last call: the names of those of the sandbox's shape, and of those that differ."""
        recent, self._recent = sorted(self._recent), set()
        differences = self.differences()
        same = tuple(name for name in recent if not differences[name])
        return same, tuple(name for name in recent if differences[name])

    def word(self, field: str, value: object) -> None:
        """Keep a word of one of the fields of KNOWN_VALUES."""
        self.words.setdefault(field, set()).add(str(value))

    def differences(self, sandbox: Mapping[str, Shape] | None = None) -> dict[str, Difference]:
        """For each answer that was seen, how its shape differs from the sandbox's; empty where it does not."""
        known = sandbox_shapes() if sandbox is None else sandbox
        unknown: Shape = {"": ("an answer that the sandbox was never seen to give",)}
        return {name: compare(shape, known.get(name, unknown)) for name, shape in sorted(self.shapes.items())}

    def unknown_words(self) -> list[str]:
        """The words that the sandbox does not use, one line for each field."""
        return [
            f"{field}: {', '.join(sorted(unknown))}, which the sandbox does not answer"
            for field, words in sorted(self.words.items())
            if (unknown := words - KNOWN_VALUES[field])
        ]

    def not_seen(self) -> list[str]:
        """The answers of the sandbox that were not asked for, or did not come."""
        return sorted(set(sandbox_shapes()) - set(self.shapes))


def describe(name: str, difference: Difference) -> list[str]:
    """The lines that say how one answer differs."""
    parts = (
        ("missing, though the sandbox answers it", difference.missing),
        ("not in the sandbox's answer", difference.unexpected),
        ("of another type", difference.other),
    )
    return [f"{name}: {what}: {', '.join(fields)}" for what, fields in parts if fields]
