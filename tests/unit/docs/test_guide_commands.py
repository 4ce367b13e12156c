"""The commands of the user's guide that need an operator are those that the test of the command line's guide runs."""

from __future__ import annotations

from pathlib import Path

from tests.unit.docs.pages import ROOT, blocks


def lines_with_an_operator(page: Path) -> set[str]:
    return {line for block in blocks(page) if block.test == "loop" for line in block.text.splitlines()}


def test_what_the_users_guide_shows_is_run_by_the_guide_of_the_command_line() -> None:
    shown = lines_with_an_operator(ROOT / "docs" / "MODELOPS.md")
    assert shown
    assert shown <= lines_with_an_operator(ROOT / "docs" / "guides" / "command-line.md")
