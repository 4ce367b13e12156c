"""What the demo shows at this moment: the acts write it, the live view and the line printer read it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]
_LINES_KEPT = 200


class LineStyle(Enum):
    """How a line is highlighted in the terminal."""

    NORMAL = "normal"
    SUCCESS = "success"
    FAILURE = "failure"
    HIGHLIGHT = "highlight"
    """An action of the demo itself, such as a kill or a fault."""


@dataclass(frozen=True)
class LogLine:
    """One event. `seconds`: since the start of the demo. `section`: `set-up` or the act, such as `act 1`."""

    seconds: float
    section: str
    text: str
    style: LineStyle = LineStyle.NORMAL


@dataclass
class ActState:
    """An act in the list of acts: not started, running, or ended.

    `started`: by the monotonic clock, None before. `seconds`: its duration, None until it has ended.
    """

    title: str
    started: float | None = None
    seconds: float | None = None
    outcome: str = ""
    failed: bool = False


@dataclass
class DisplayState:
    """Each field is replaced as a whole, so the view's thread never reads a half-written value."""

    acts: tuple[ActState, ...]
    on_line: Callable[[LogLine], None] = lambda _: None
    """Called with every new line; the line printer is attached here."""
    started: float = field(default_factory=time.monotonic)
    section: str = "set-up"
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    training_run: Json = field(default_factory=dict)
    rollout: Json = field(default_factory=dict)
    agent_model: Json = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    agents: tuple[Json, ...] = ()
    operator: str = "not started"

    @property
    def seconds(self) -> float:
        """Seconds since the start of the demo."""
        return time.monotonic() - self.started

    def log(self, text: str, style: LineStyle = LineStyle.NORMAL) -> None:
        """Add a line about something that just happened."""
        line = LogLine(self.seconds, self.section, text, style)
        self.lines.append(line)
        self.on_line(line)
