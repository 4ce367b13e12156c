"""What there is to see at the moment; the acts write it, the view reads it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]
_LINES_KEPT = 200


class Tone(Enum):
    """How a line is meant."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    STRONG = "strong"


@dataclass(frozen=True)
class Line:
    """One thing that happened, `seconds` after the start."""

    seconds: float
    where: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass
class ActState:
    """An act in the list: waiting, playing, or ended."""

    title: str
    began: float | None = None
    seconds: float | None = None
    result: str = ""
    failed: bool = False


@dataclass
class Board:
    """Fields are replaced as a whole, so that the view's thread never sees half of one."""

    acts: tuple[ActState, ...]
    said: Callable[[Line], None] = lambda _: None
    """Hears every line, for a view that prints them."""
    began: float = field(default_factory=time.monotonic)
    where: str = "set-up"
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    training_run: Json = field(default_factory=dict)
    rollout: Json = field(default_factory=dict)
    agent_model: Json = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    agents: tuple[Json, ...] = ()
    operator: str = "not started"

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Something happened."""
        line = Line(self.seconds, self.where, text, tone)
        self.lines.append(line)
        self.said(line)
