"""The dashboards have only what Grafana's own types allow, down to the options of each panel."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from tests.unit.docs.dashboards_json import board_files, load
from tests.unit.docs.pages import ROOT

SCHEMA = ROOT / "tests" / "grafana" / "dashboard.schema.json"


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def problems(board: dict[str, Any]) -> list[str]:
    """Every field that Grafana does not know or would read as something else, with its place."""
    return [described(error) for error in validator().iter_errors(board)]


def described(error: ValidationError) -> str:
    """The deepest reason: a panel is one of several types, and the one that fits best goes the furthest."""
    deepest = max(leaves(error), key=lambda leaf: len(leaf.absolute_path))
    return f"{deepest.json_path}: {deepest.message[:300]}"


def leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The errors of the alternatives that are of the same type as what is checked, down to those that are errors themselves."""
    of_another_type = {
        inner.relative_schema_path[0]
        for inner in error.context or ()
        if inner.relative_path == deque(["type"])
    }
    fitting = [inner for inner in error.context or () if inner.relative_schema_path[0] not in of_another_type]
    for inner in fitting:
        yield from leaves(inner)
    if not fitting:
        yield error


@pytest.mark.parametrize("path", board_files(), ids=lambda path: path.stem)
def test_board_has_no_field_that_grafana_does_not_know(path: Path) -> None:
    assert problems(load(path)) == []


def first_panel(board: dict[str, Any], kind: str) -> dict[str, Any]:
    panels: list[dict[str, Any]] = board["panels"]
    return next(panel for panel in panels if panel["type"] == kind)


MISTAKES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a misspelt option of a legend": lambda b: first_panel(b, "timeseries")["options"]["legend"].update(
        placment="x"
    ),
    "a value that an option does not have": lambda b: first_panel(b, "timeseries")["options"][
        "tooltip"
    ].update(mode="all"),
    "a stray field of a panel": lambda b: first_panel(b, "timeseries").update(height=8),
    "a misspelt drawing style": lambda b: first_panel(b, "timeseries")["fieldConfig"]["defaults"][
        "custom"
    ].update(fillOpacty=1),
    "an option of another kind of panel": lambda b: first_panel(b, "stat")["options"].update(
        tooltip={"mode": "multi"}
    ),
    "a misspelt field of a query": lambda b: first_panel(b, "timeseries")["targets"][0].update(
        legendFormt="x"
    ),
    "a query without its expression": lambda b: first_panel(b, "timeseries")["targets"][0].pop("expr"),
    "a setting of interval variables": lambda b: b["templating"]["list"][0].update(auto_count=30),
    "a kind of panel that nobody has checked": lambda b: first_panel(b, "stat").update(type="stats"),
    "a stray field of the dashboard": lambda b: b.update(editabel=False),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    board = copy.deepcopy(load(next(path for path in board_files() if path.stem == "modelops-overview")))
    assert problems(board) == []
    MISTAKES[mistake](board)
    assert len(problems(board)) == 1


def test_a_misspelt_field_is_named() -> None:
    board = load(board_files()[0])
    first_panel(board, "timeseries")["options"]["legend"]["placment"] = "bottom"
    (problem,) = problems(board)
    assert problem.endswith(
        ".options.legend: Additional properties are not allowed ('placment' was unexpected)"
    )
