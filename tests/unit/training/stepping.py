"""Requests that wait until a test carries them out: a coroutine runs from one request to the next.

So a process can die, or an answer can be lost, between any two requests, and what was sent may still land.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Request:
    """A request that was sent, such as a conditional write; `land` carries it out and returns the answer."""

    name: str
    land: Callable[[], Any]
    sent_at: float
    at_once: bool = False
    """Carried out as soon as it is awaited, for a simulation in an event loop."""

    def __await__(self) -> Generator[Request, Any, Any]:
        return self.land() if self.at_once else (yield self)


class Process:
    """One call of a coroutine that only ever waits for Requests."""

    def __init__(self, work: Coroutine[Request, Any, Any]) -> None:
        self._work = work
        self.result: Any = None
        self.waiting: Request | None = None
        self._resume(lambda: work.send(None))

    @property
    def ended(self) -> bool:
        return self.waiting is None

    def answer(self, value: Any) -> None:
        self._resume(lambda: self._work.send(value))

    def fail(self, error: Exception) -> None:
        self._resume(lambda: self._work.throw(error))

    def carry_out(self) -> None:
        """Carries out the request and gives the process its answer."""
        assert self.waiting is not None
        try:
            value = self.waiting.land()
        except Exception as error:  # noqa: BLE001 - whatever the service says goes to the process
            self.fail(error)
        else:
            self.answer(value)

    def kill(self) -> Request | None:
        """Ends the process; returns the request that it had sent."""
        sent, self.waiting = self.waiting, None
        self._work.close()
        return sent

    def _resume(self, step: Callable[[], Request]) -> None:
        try:
            self.waiting = step()
        except StopIteration as stop:
            self.waiting, self.result = None, stop.value
        except BaseException:
            self.waiting = None
            raise
