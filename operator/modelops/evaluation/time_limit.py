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
"""Processor seconds in which one answer, or one target, must be read and scored."""


class TooSlow(Exception):
    """The limit was reached."""


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in the block once the process has used this much processor time there. Main thread only."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
