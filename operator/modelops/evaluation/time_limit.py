"""A limit on the processor time of reading one answer: a regular expression may take exponential time.

The limit counts processor time, so whether an answer is read does not depend on what else the machine does. Python's
`re` looks for signals while it searches, so a timer ends a search (Modules/_sre/sre_lib.h, `MAYBE_CHECK_SIGNALS`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

READ_SECONDS = 1.0
"""Processor seconds in which one answer, or one target, must be read, and then be scored."""


class TooSlow(BaseException):
    """The limit was reached. Code that catches every Exception, such as a team's own scorer, lets it through."""


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in the block once the process has used this much processor time there. Main thread only."""
    with _limit(signal.SIGVTALRM, signal.ITIMER_VIRTUAL, seconds, "of processor time"):
        yield


@contextmanager
def wall_time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in the block after so many seconds: for code that may wait for a service. Main thread only."""
    with _limit(signal.SIGALRM, signal.ITIMER_REAL, seconds, "of time"):
        yield


@contextmanager
def _limit(signal_number: signal.Signals, timer: int, seconds: float, what: str) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s {what}")

    previous = signal.signal(signal_number, stop)
    try:
        signal.setitimer(timer, seconds)
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(signal_number, previous)
