"""Where there is no terminal: one line for everything that happens."""

from __future__ import annotations

from typing import TextIO

from modelops.demo.board import Line
from modelops.demo.summary import Summary


class PlainPrinter:
    """Writes `[seconds] act | text`, at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def line(self, line: Line) -> None:
        """Something happened."""
        self._out.write(f"[{line.seconds:6.1f} s] {line.where} | {line.text}\n")
        self._out.flush()

    def summary(self, summary: Summary) -> None:
        """The end."""
        self._out.write("\n".join(["", summary.title, *summary.lines, ""]))
        self._out.flush()
