"""What people see is wrapped on a terminal, between words and below its own beginning, and is one line elsewhere."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.cli import output
from modelops.cli.object_tree import tree_of
from modelops.cli.progress import line_of

REASON = "no base model: set MODELOPS_DEFAULT_BASE_MODEL in the operator's environment, or create another run"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns, for redirect_stdout."""
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def run_that_waits() -> TrainingRun:
    moment = "2025-12-09T22:00:00Z"
    condition = {"type": "Ready", "status": "False", "reason": "NoBaseModel", "message": REASON}
    found: dict[str, Any] = {
        "apiVersion": "modelops.code-chef.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "docs-1", "namespace": "code-chef", "uid": "u", "creationTimestamp": moment},
        "spec": {"agentModelRef": {"name": "docs"}, "maxUSD": "1"},
        "status": {
            "phase": "Pending",
            "reason": "NoBaseModel",
            "conditions": [{**condition, "lastTransitionTime": moment}],
        },
    }
    return TrainingRun.model_validate(found)


def test_a_value_that_does_not_fit_is_continued_below_itself(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        output.print_fields({"run": "docs-1", "says": REASON, "empty": ""})
    first, *lines = terminal.getvalue().splitlines()
    assert first == "run   docs-1"
    assert lines[0].startswith("says  no base model: ")
    assert all(line.startswith("      ") and line[6] != " " for line in lines[1:])
    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines).split()) == f"says {REASON}"


def test_what_is_no_terminal_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields({"says": REASON})
    output.print_table(("NAME", "REASON"), [("x" * 50, REASON)], none="")
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_last_column_has_its_own_line_where_there_is_no_room_beside_the_others(
    terminal: Terminal,
) -> None:
    with redirect_stdout(terminal):
        output.print_table(("NAME", "REASON"), [("x" * 50, REASON)], none="")
    lines = terminal.getvalue().splitlines()
    assert (lines[1], lines[2]) == ("    REASON", "x" * 50)
    assert all(line.startswith("    ") for line in lines[3:])


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(None, "-"), (0.0, "$0.00"), (0.006667, "$0.0067"), (0.053, "$0.05"), (1234.5, "$1,234.50")],
)
def test_amounts_have_cents_or_what_is_left_of_them(amount: float | None, shown: str) -> None:
    assert output.money(amount) == shown


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(0.053336, "$0.06"), (4.5, "$4.50"), (3.6789, "$3.68"), (0.29, "$0.29"), (0.0067, "$0.0067")],
)
def test_a_limit_is_never_shown_as_less(limit: float, shown: str) -> None:
    assert output.money(limit, up=True) == shown


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_is_for_terminals_that_want_it(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stdout(terminal):
        assert output.styled("x", "31") == "\x1b[31mx\x1b[0m"
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert output.styled("x", "31") == "x"


def test_a_wait_says_what_it_waits_for() -> None:
    assert line_of(run_that_waits()) == f"docs-1: Pending (NoBaseModel): {REASON}"


def test_the_tree_continues_a_line_below_its_beginning() -> None:
    console = Console(width=60, file=io.StringIO(), record=True)
    console.print(tree_of(run_that_waits(), now=datetime(2025, 12, 9, 22, 1, tzinfo=UTC)))
    head, phase, *says = [line.rstrip() for line in console.export_text().splitlines()]
    assert head == "● TrainingRun/docs-1  agent docs, for 1 min"
    assert phase == "├── phase      Pending (NoBaseModel)"
    assert says[0].startswith("└── says       no base model: ")
    assert all(line.startswith(" " * 15) and line[15] != " " for line in says[1:])
