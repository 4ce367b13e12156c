"""Follows a live smoke run: its steps, waits with an end, and the service's lists meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from modelops.demo.resource_status import is_finished, ready_message, status_of
from modelops.livesmoke.billing import Ledger
from modelops.livesmoke.environment import SmokeEnvironment
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.run_file import RunFile
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services

Progress = Callable[[str], None]
Json = dict[str, Any]
T = TypeVar("T")


class StepFailedError(RuntimeError):
    """A step did not end as expected. The message says what was expected and what happened instead."""


@dataclass
class Step:
    """A step of the run. `notes`: what it has shown. `cost`: what the service's lists say that it cost so far.

    `same` and `differ`: the answers in it of the sandbox's shape, and of another one.
    """

    name: str
    outcome: str = "running"
    seconds: float = 0.0
    cost: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)
    same: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()


@dataclass
class Following:
    """A run that is followed. `folder`: that of its `run.json`. `steps` grows while it runs."""

    environment: SmokeEnvironment
    services: Services
    seen: Observations
    ledger: Ledger
    folder: Path
    progress: Progress
    file: RunFile
    deadline: float
    """The time of time.monotonic() at which the run gives up."""
    steps: list[Step] = field(default_factory=list)
    _looked: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A step of the run for the length of a `with` block."""
        step = Step(name)
        self.steps.append(step)
        self.progress(f"{name} …")
        started = time.monotonic()
        before = self._cost()
        try:
            yield step
            step.outcome = "as expected"
        except BaseException as error:
            step.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
            raise
        finally:
            step.seconds = time.monotonic() - started
            step.cost = self._cost() - before
            step.same, step.differ = self.seen.take_recent()
            self.progress(f"{name}: {step.outcome}, {step.seconds:.0f} s")

    def _cost(self) -> Decimal:
        costs = (*self.ledger.job_costs().values(), *self.ledger.endpoint_costs().values())
        return sum((cost for cost in costs if cost), Decimal(0))

    def wait_until_finished(
        self, kind: str, name: str, expected: str, *, notes: list[str] | None = None
    ) -> Json:
        """Wait until the object has ended; it must have succeeded."""
        found: Json = {}

        def ended() -> bool:
            nonlocal found
            found = self.environment.get(kind, name)
            return is_finished(found)

        self.wait(expected, ended, notes=notes, shown=lambda: found)
        if status_of(found).get("phase") != "Succeeded":
            raise StepFailedError(f"expected: {expected}; {state_of(found)}")
        return found

    def wait(
        self,
        expected: str,
        check: Callable[[], T],
        *,
        notes: list[str] | None = None,
        shown: Callable[[], Json] = dict,
    ) -> T:
        """The first true value of `check`; the service's lists are read meanwhile. `notes` gets each new phase."""
        pause = 0.2 if self.environment.account.sandbox else 2.0
        started, phase = time.monotonic(), ""
        while True:
            self.environment.check()
            found = check()
            now = time.monotonic()
            if found:
                return found
            if now > self.deadline:
                raise StepFailedError(
                    f"expected: {expected}; the time for it is up (--minutes, --end-seconds)"
                )
            if now - self._looked >= 5 * pause and self.file.labels:
                self._try_to_look()
            status = status_of(shown())
            current = f"{status.get('phase', '')} ({status.get('reason', '')})"
            if status.get("phase") and current != phase:
                phase = current
                self.progress(f"  {phase}")
                if notes is not None:
                    notes.append(f"{phase} after {now - started:.0f} s")
            time.sleep(pause)

    def look(self) -> list[str]:
        """Read the service's lists; returns what of the run bills now. Raises as `Ledger.look_at_jobs` does."""
        run, ledger = self.file.identity, self.ledger
        jobs = ledger.look_at_jobs(self.services, run, self.file.labels, self.seen)
        return [*jobs, *ledger.look_at_endpoints(self.services, run, self.seen)]

    def _try_to_look(self) -> None:
        self._looked = time.monotonic()
        try:
            self.look()
        except (*ServiceError, *UNREADABLE) as error:
            self.progress(f"  the service's lists: {error}")


def state_of(item: Json) -> str:
    """Phase, reason and message of an object, for the message of an error."""
    status = status_of(item)
    return f"it is {status.get('phase', 'absent')} ({status.get('reason', '')}): {ready_message(item)}"
