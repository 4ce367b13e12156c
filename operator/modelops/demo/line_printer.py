"""The output without a terminal: one line for every event."""

from __future__ import annotations

from typing import TextIO

from modelops.demo.display_state import LogLine
from modelops.demo.summary import Summary


class LinePrinter:
    """Writes each line at once, as `[seconds] section | text`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def print_line(self, line: LogLine) -> None:
        """Write one event."""
        self._out.write(f"[{line.seconds:6.1f} s] {line.section} | {line.text}\n")
        self._out.flush()

    def print_summary(self, summary: Summary) -> None:
        """Write the summary at the end."""
        self._out.write("\n".join(["", summary.title, *summary.lines, ""]))
        self._out.flush()
