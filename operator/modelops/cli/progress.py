"""One line on stderr that says what a wait waits for, on a terminal; elsewhere a line for each change."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Any

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.cli.output import minutes_left
from modelops.tools.conditions import what_happens


class Progress:
    """Is called with each state of an object that is waited for, and says what is new."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._started = time.monotonic()
        self._last = ""

    def __call__(self, value: Any) -> None:
        line = line_of(value)
        if line == self._last:
            return
        self._last = line
        seconds = time.monotonic() - self._started
        text = f"{seconds:>6.0f} s  {line}"
        if self._terminal:
            room = shutil.get_terminal_size().columns - 1
            shown = text if len(text) <= room else f"{text[: room - 1]}…"
            sys.stderr.write(f"\r\x1b[2K{shown}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._last:
            sys.stderr.write("\n")


def line_of(value: TrainingRun | Rollout) -> str:
    """What it does now, in one line: how far it is, or what it waits for."""
    status = value.status
    named = f"{value.metadata.name}: {status.phase.value}"
    if isinstance(value, TrainingRun) and value.status.progress and value.status.phase.value == "Running":
        progress = value.status.progress
        loss = f", loss {progress.loss}" if progress.loss else ""
        return f"{named} {progress.percent} %{loss}{minutes_left(progress.eta_minutes)}"
    if status.reason and status.reason != status.phase.value:
        named += f" ({status.reason})"
    says = what_happens(value)
    return named if says in (status.reason, status.phase.value) else f"{named}: {says}"
