"""One line on stderr that says what a wait waits for, on a terminal; elsewhere a line for each change."""

from __future__ import annotations

import sys
import time
from typing import Any

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun


class Progress:
    """Is called with each state of an object that is waited for, and says what is new."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
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
            sys.stderr.write(f"\r\x1b[2K{text}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._last:
            sys.stderr.write("\n")


def line_of(value: TrainingRun | Rollout) -> str:
    """What it does now, in one line."""
    status = value.status
    parts = [f"{value.metadata.name}: {status.phase.value}"]
    if status.reason and status.reason != status.phase.value:
        parts.append(f"({status.reason})")
    if isinstance(value, TrainingRun):
        if value.status.progress is not None and value.status.phase.value == "Running":
            progress = value.status.progress
            loss = f", loss {progress.loss}" if progress.loss else ""
            left = f", {progress.eta_minutes} min left" if progress.eta_minutes is not None else ""
            parts.append(f"{progress.percent} %{loss}{left}")
    elif value.status.weight:
        parts.append(f"{value.status.weight} % of the sessions")
    return " ".join(parts)
