"""How a signal ends the demo, so that everything that it started is stopped."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether one of SIGNALS has arrived.

    The signal raises KeyboardInterrupt at once. Python drops an exception that is raised in a finalizer, in a callback
    of a weak reference or in one of the garbage collector, so the demo also asks `check` wherever it waits.

    `once`: only the first signal raises it, so that an impatient second one does not interrupt what the first began.
    """

    def __init__(self, *, once: bool = False) -> None:
        self.arrived = False
        self._once = once

    def install(self) -> None:
        """Handle the signals from now on, also SIGINT where the shell that started this process ignores it."""
        for number in SIGNALS:
            signal.signal(number, self._interrupt)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived."""
        if self.arrived:
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.arrived and self._once:
            return
        self.arrived = True
        raise KeyboardInterrupt
