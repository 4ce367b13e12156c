"""The live view in a terminal."""

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

from modelops.demo.board import ActState, Board, Json, Tone
from modelops.demo.objects import percent, status_of, usd
from modelops.demo.summary import Summary

_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.STRONG: "bold cyan"}
_PHASES = {"Succeeded": "green", "Rejected": "red", "Aborted": "red", "Failed": "red"}
_TRACKS = ("cyan", "magenta", "yellow", "green", "blue")
_SPARKS = "▁▂▃▄▅▆▇█"
_ROWS = 14
_OTHER_ROWS = 24
_TIME_WIDTH = 13
_WRAPPING_LOSS = 8
_BAR = 24
_PICTURE_WIDTH = 132
_SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Without the fonts that rich would have the picture fetch from elsewhere."""


class View:
    """Draws the board; rich asks for it four times a second."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        board = self._board
        rows = min(_ROWS, max(3, console.size.height - _OTHER_ROWS)) if console.is_terminal else _ROWS
        halves = Table.grid(expand=True)
        halves.add_column(ratio=1)
        halves.add_column(ratio=1)
        halves.add_row(self._training(), self._rollout())
        yield Group(
            self._acts(),
            halves,
            self._agents(),
            Panel(
                self._lines(rows=rows, width=options.max_width - _TIME_WIDTH),
                title="what happens",
                title_align="left",
                border_style="dim",
                height=rows + 2,
            ),
            Text(
                f"{board.seconds:5.0f} s   operator: {board.operator}   Ctrl-C ends everything", style="dim"
            ),
        )

    def _acts(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for act in self._board.acts:
            mark, style = _mark(act)
            seconds = act.seconds if act.seconds is not None else _since(act.began)
            took = f"{seconds:.0f} s" if seconds is not None else ""
            table.add_row(Text(mark, style), Text(act.title, style), took, Text(act.result, style))
        title = (
            "ModelOps demo: real kube-apiserver, operator and SDKs; the cloud is a sandbox on this machine"
        )
        return Panel(table, title=title, title_align="left", border_style="cyan")

    def _training(self) -> RenderableType:
        run = self._board.training_run
        status = status_of(run)
        table = _grid()
        dataset, estimate = status.get("dataset") or {}, status.get("estimate") or {}
        progress = status.get("progress") or {}
        table.add_row("phase", _phase(status))
        rows = (
            f"{dataset['train']:,} to train on, {dataset['test']:,} held out" if dataset.get("train") else ""
        )
        table.add_row("dataset", rows)
        table.add_row(
            "estimate", f"{usd(estimate['lowUSD'])} to {usd(estimate['highUSD'])}" if estimate else ""
        )
        done = int(progress.get("percent", 0))
        table.add_row("progress", Text(f"{_bar(done)} {done} %", "green" if done == 100 else "yellow"))
        table.add_row("loss", Text(f"{_sparks(self._board.losses)} {progress.get('loss') or ''}", "yellow"))
        table.add_row("billed", usd(status["costUSD"]) if status.get("costUSD") else "")
        return Panel(table, title=f"TrainingRun {_name(run)}", title_align="left", height=9)

    def _rollout(self) -> RenderableType:
        rollout = self._board.rollout
        status = status_of(rollout)
        table = _grid()
        evaluation, candidate = status.get("evaluation") or {}, status.get("candidate") or {}
        weight = int(status.get("weight", 0))
        table.add_row("phase", _phase(status))
        table.add_row("candidate", candidate.get("version", ""))
        table.add_row("gate", _gate(evaluation))
        table.add_row("weight", Text(f"{_bar(weight)} {weight} %", "magenta"))
        table.add_row("analysis", Text(_analysis(status), overflow="ellipsis", no_wrap=True))
        standing = status.get("standingUSDPerMonth")
        table.add_row("serving", f"{usd(standing)} a month" if standing else "")
        return Panel(table, title=f"Rollout {_name(rollout)}", title_align="left", height=9)

    def _agents(self) -> RenderableType:
        agents = self._board.agents
        versions = list(dict.fromkeys(version for agent in agents for version in agent["requests"]))
        table = Table(expand=True, box=None, padding=(0, 2), header_style="dim")
        for heading in ("agent", "process", "stable", "canary", "requests by version:"):
            table.add_column(heading, no_wrap=True)
        for version in versions:
            table.add_column(version, justify="right", no_wrap=True)
        for agent in agents:
            cells = [
                _count(agent, version, _TRACKS[place % len(_TRACKS)])
                for place, version in enumerate(versions)
            ]
            weight = f"{agent['weight']} %" if agent["weight"] else ""
            who = (agent["name"], str(agent["pid"]), agent["stable"])
            table.add_row(*who, Text(weight, "magenta"), "", *cells)
        spend = status_of(self._board.agent_model).get("spend") or {}
        cost = f"billed {usd(spend.get('settledUSD'))}, reserved {usd(spend.get('reservedUSD'))}"
        return Panel(
            table, title=f"agents that call the models   this month: {cost}", title_align="left", height=6
        )

    def _lines(self, *, rows: int, width: int) -> RenderableType:
        """The newest lines, as many as fit."""
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim", no_wrap=True, min_width=7)
        table.add_column(ratio=1)
        shown: list[tuple[str, Text]] = []
        for line in reversed(list(self._board.lines)):
            rows -= -(-len(line.text) // max(1, width - _WRAPPING_LOSS))
            if rows < 0:
                break
            shown.append((f"{line.seconds:.1f} s", Text(line.text, _STYLES[line.tone])))
        for seconds, text in reversed(shown):
            table.add_row(seconds, text)
        return table


def summary_panel(summary: Summary) -> RenderableType:
    """The end, as it stays in the terminal."""
    text = Text()
    for line in summary.lines:
        heading = not line.startswith(" ")
        text.append(f"{line}\n", "bold" if heading else "")
    return Panel(text, title=summary.title, title_align="left", border_style="green")


@contextmanager
def live(board: Board, console: Console) -> Iterator[None]:
    """Draws the board for the time of the block; it stays as it was last."""
    with Live(View(board), console=console, refresh_per_second=4, vertical_overflow="crop"):
        yield


def picture(board: Board, summary: Summary | None, file: Path) -> None:
    """What the terminal shows, as an SVG."""
    console = Console(record=True, width=_PICTURE_WIDTH, file=StringIO())
    console.print(View(board))
    if summary is not None:
        console.print(summary_panel(summary))
    console.save_svg(str(file), title="make demo", code_format=_SVG_FORMAT)


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    return table


def _mark(act: ActState) -> tuple[str, str]:
    if act.failed:
        return "x", "bold red"
    if act.seconds is not None:
        return "✓", "green"
    return (">", "bold yellow") if act.began is not None else (" ", "dim")


def _since(began: float | None) -> float | None:
    return None if began is None else time.monotonic() - began


def _name(item: Json) -> str:
    return str((item.get("metadata") or {}).get("name", ""))


def _phase(status: Json) -> Text:
    phase = str(status.get("phase", ""))
    return Text(f"{phase} {status.get('reason', '')}", _PHASES.get(phase, "bold"))


def _bar(done: int) -> str:
    full = round(_BAR * done / 100)
    return "█" * full + "░" * (_BAR - full)


def _sparks(losses: tuple[float, ...]) -> str:
    shown = losses[-_BAR:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_SPARKS[round((loss - low) / span * (len(_SPARKS) - 1))] for loss in shown)


def _gate(evaluation: Json) -> Text:
    if not evaluation:
        return Text("")
    passed = evaluation.get("verdict") == "pass"
    base, candidate = evaluation.get("baseline") or {}, evaluation.get("candidate") or {}
    interval = ", ".join(evaluation.get("intervalPoints") or ())
    change = f"{percent(base.get('success'))} -> {percent(candidate.get('success'))}"
    return Text(f"{evaluation.get('verdict')}: {change}  [{interval}]", "green" if passed else "red")


def _analysis(status: Json) -> str:
    analysis = status.get("analysis") or {}
    healthy = analysis.get("healthySeconds")
    said = str(analysis.get("message") or "")
    return f"{healthy} s healthy  {said}" if healthy else said


def _count(agent: Json, version: str, style: str) -> Text:
    count, errors = agent["requests"].get(version, 0), agent["errors"].get(version, 0)
    text = Text(f"{count:,}" if count else "", style)
    if errors:
        text.append(f" ({errors} failed)", "red")
    return text
