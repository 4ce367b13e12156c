"""CONTRIBUTING's table "Where is ...?": every place that it names exists."""

from __future__ import annotations

import re

import pytest
from tests.unit.docs.pages import ROOT

FOLDERS = (ROOT / "operator" / "modelops", ROOT)
_ROW = re.compile(r"^\| (?P<question>[^|`]+\?) \| (?P<places>.+) \|$", re.M)
_PLACE = re.compile(r"`(?P<path>[\w./-]+(?:\.\w+|/))`(?:: (?P<names>`[\w.]+`(?:, `[\w.]+`)*))?")


def rows() -> list[tuple[str, str]]:
    """Each question with the places of its answer."""
    _, _, after = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Where is ...?\n")
    table, _, _ = after.partition("\n## ")
    return [(found["question"], found["places"]) for found in _ROW.finditer(table)]


def test_the_table_answers_at_least_twelve_questions() -> None:
    assert len(rows()) >= 12


@pytest.mark.parametrize(("question", "places"), rows(), ids=lambda text: text[:40])
def test_places_that_are_named_exist(question: str, places: str) -> None:
    found = list(_PLACE.finditer(places))
    assert found, f"{question} names no place"
    for place in found:
        path = next((folder / place["path"] for folder in FOLDERS if (folder / place["path"]).exists()), None)
        assert path is not None, f"{question} {place['path']} does not exist"
        for name in re.findall(r"`([\w.]+)`", place["names"] or ""):
            text = path.read_text(encoding="utf-8")
            defined = rf"(?m)^\s*(?:async def|def|class) {re.escape(name)}\b|^\s*{re.escape(name)}\b\s*[:=(]|^{name}:"
            assert re.search(defined, text), f"{question} {place['path']} defines no {name}"
