"""The live view of the demo in a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from modelops.demo.display_cells import (
    analysis_summary,
    bar,
    gate_summary,
    phase_text,
    request_count,
    sparkline,
)
from modelops.demo.display_state import ActState, DisplayState, Json, LineStyle
from modelops.demo.formatting import usd
from modelops.demo.resource_status import status_of
from modelops.demo.summary import Summary

_STYLES = {
    LineStyle.NORMAL: "",
    LineStyle.SUCCESS: "green",
    LineStyle.FAILURE: "red",
    LineStyle.HIGHLIGHT: "bold cyan",
}
_VERSION_STYLES = ("cyan", "magenta", "yellow", "green", "blue")
_LOG_ROWS = 14
_ROWS_OF_OTHER_PANELS = 24
_TIME_WIDTH = 13
_LABEL_WIDTH = len("candidate")
_WRAPPING_LOSS = 8
_SVG_WIDTH = 132
_SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's format without its web fonts, so that the picture loads nothing from other hosts."""


class LiveView:
    """Renders the display state; rich renders it four times a second."""

    def __init__(self, display: DisplayState) -> None:
        self._display = display

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        display = self._display
        rows = (
            min(_LOG_ROWS, max(3, console.size.height - _ROWS_OF_OTHER_PANELS))
            if console.is_terminal
            else _LOG_ROWS
        )
        halves = Table.grid(expand=True)
        halves.add_column(ratio=1)
        halves.add_column(ratio=1)
        halves.add_row(self._training(), self._rollout())
        yield Group(
            self._acts(),
            halves,
            self._agents(),
            Panel(
                self._log_lines(rows=rows, width=options.max_width - _TIME_WIDTH),
                title="events",
                title_align="left",
                border_style="dim",
                height=rows + 2,
            ),
            Text(
                f"{display.seconds:5.0f} s   operator: {display.operator}   Ctrl-C stops everything",
                style="dim",
            ),
        )

    def _acts(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for act in self._display.acts:
            mark, style = _act_mark(act)
            seconds = act.seconds if act.seconds is not None else _seconds_since(act.started)
            took = f"{seconds:.0f} s" if seconds is not None else ""
            table.add_row(Text(mark, style), Text(act.title, style), took, Text(act.outcome, style))
        title = (
            "ModelOps demo: real kube-apiserver, operator and SDKs; the cloud services are a local sandbox"
        )
        return Panel(table, title=title, title_align="left", border_style="cyan")

    def _training(self) -> RenderableType:
        run = self._display.training_run
        status = status_of(run)
        table = _grid()
        dataset, estimate = status.get("dataset") or {}, status.get("estimate") or {}
        progress = status.get("progress") or {}
        table.add_row("phase", phase_text(status))
        rows = (
            f"{dataset['train']:,} to train on, {dataset['test']:,} held out" if dataset.get("train") else ""
        )
        table.add_row("dataset", rows)
        table.add_row(
            "estimate", f"{usd(estimate['lowUSD'])} to {usd(estimate['highUSD'])}" if estimate else ""
        )
        done = int(progress.get("percent", 0))
        table.add_row("progress", Text(f"{bar(done)} {done} %", "green" if done == 100 else "yellow"))
        table.add_row(
            "loss", Text(f"{sparkline(self._display.losses)} {progress.get('loss') or ''}", "yellow")
        )
        table.add_row("billed", usd(status["costUSD"]) if status.get("costUSD") else "")
        return Panel(table, title=f"TrainingRun {_name(run)}", title_align="left", height=9)

    def _rollout(self) -> RenderableType:
        rollout = self._display.rollout
        status = status_of(rollout)
        table = _grid()
        evaluation, candidate = status.get("evaluation") or {}, status.get("candidate") or {}
        weight = int(status.get("weight", 0))
        table.add_row("phase", phase_text(status))
        table.add_row("candidate", candidate.get("version", ""))
        table.add_row("gate", gate_summary(evaluation))
        table.add_row("weight", Text(f"{bar(weight)} {weight} %", "magenta"))
        table.add_row("analysis", Text(analysis_summary(status), overflow="ellipsis", no_wrap=True))
        monthly = status.get("standingUSDPerMonth")
        table.add_row("serving", f"{usd(monthly)} a month" if monthly else "")
        return Panel(table, title=f"Rollout {_name(rollout)}", title_align="left", height=9)

    def _agents(self) -> RenderableType:
        agents = self._display.agents
        versions = list(dict.fromkeys(version for agent in agents for version in agent["requests"]))
        table = Table(expand=True, box=None, padding=(0, 2), header_style="dim")
        for heading in ("agent", "process", "stable", "canary", "requests by version:"):
            table.add_column(heading, no_wrap=True)
        for version in versions:
            table.add_column(version, justify="right", no_wrap=True)
        for agent in agents:
            cells = [
                request_count(agent, version, _VERSION_STYLES[index % len(_VERSION_STYLES)])
                for index, version in enumerate(versions)
            ]
            weight = f"{agent['weight']} %" if agent["weight"] else ""
            identity = (agent["name"], str(agent["pid"]), agent["stable"])
            table.add_row(*identity, Text(weight, "magenta"), "", *cells)
        spend = status_of(self._display.agent_model).get("spend") or {}
        cost = f"billed {usd(spend.get('settledUSD'))}, reserved {usd(spend.get('reservedUSD'))}"
        return Panel(
            table, title=f"agents that call the models; cost this month: {cost}", title_align="left", height=6
        )

    def _log_lines(self, *, rows: int, width: int) -> RenderableType:
        """Render the newest lines, as many as fit."""
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim", no_wrap=True, min_width=7)
        table.add_column(ratio=1)
        shown: list[tuple[str, Text]] = []
        for line in reversed(list(self._display.lines)):
            rows -= -(-len(line.text) // max(1, width - _WRAPPING_LOSS))
            if rows < 0:
                break
            shown.append((f"{line.seconds:.1f} s", Text(line.text, _STYLES[line.style])))
        for seconds, text in reversed(shown):
            table.add_row(seconds, text)
        return table


def summary_panel(summary: Summary) -> RenderableType:
    """Render the summary that stays in the terminal at the end."""
    text = Text()
    for line in summary.lines:
        heading = not line.startswith(" ")
        text.append(f"{line}\n", "bold" if heading else "")
    return Panel(text, title=summary.title, title_align="left", border_style="green")


@contextmanager
def show_live(display: DisplayState, console: Console) -> Iterator[None]:
    """Show the live view for the length of a `with` block; its last state stays in the terminal."""
    with Live(LiveView(display), console=console, refresh_per_second=4, vertical_overflow="crop"):
        yield


def save_picture(display: DisplayState, summary: Summary | None, file: Path) -> None:
    """Save the live view, and the summary if given, as an SVG file."""
    console = Console(record=True, width=_SVG_WIDTH, file=StringIO())
    console.print(LiveView(display))
    if summary is not None:
        console.print(summary_panel(summary))
    console.save_svg(str(file), title="make demo", code_format=_SVG_FORMAT)


def _grid() -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _act_mark(act: ActState) -> tuple[str, str]:
    if act.failed:
        return "x", "bold red"
    if act.seconds is not None:
        return "✓", "green"
    return (">", "bold yellow") if act.started is not None else (" ", "dim")


def _seconds_since(started: float | None) -> float | None:
    return None if started is None else time.monotonic() - started


def _name(item: Json) -> str:
    return str((item.get("metadata") or {}).get("name", ""))
