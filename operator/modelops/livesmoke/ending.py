"""The end of a live smoke run, however it ends: what bills is stopped, the bill is made, the report is written."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from modelops.demo.interruption import SIGNALS
from modelops.domain.record import Record
from modelops.livesmoke.billing import Ledger, Stopped, make_bill, stop_everything
from modelops.livesmoke.checks import Found
from modelops.livesmoke.following import Step
from modelops.livesmoke.loop import Loop
from modelops.livesmoke.made import delete_made, list_made, settle_seconds
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.plan import Plan
from modelops.livesmoke.prices import price_differences
from modelops.livesmoke.report import Report, write_report
from modelops.livesmoke.request import Outcome, Request
from modelops.livesmoke.run_file import RunIdentity, forget
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services

Progress = Callable[[str], None]
STDERR: Final = 2


@dataclass(kw_only=True)
class Course:
    """What is known of a run whenever it ends. `plan`: that before the estimate. `loop`: None before its start."""

    request: Request
    run: RunIdentity
    found: Found
    plan: Plan
    seen: Observations
    ledger: Ledger
    started: datetime
    begun: float
    """`started` by time.monotonic()."""
    steps: list[Step]
    loop: Loop | None = None
    record: Record | None = None
    ended_itself: bool = False
    """Whether everything that bills was seen to end before the run's own stop."""
    outcome: Outcome = field(default_factory=Outcome)


def conclude(course: Course, services: Services, progress: Progress) -> None:
    """Stop what bills, then complete the outcome and write the report. No signal interrupts it."""
    with _undisturbed():
        stopped = _stop(course, services, progress)
        outcome, run = course.outcome, course.run
        outcome.left = stopped.left
        if stopped.left:
            outcome.exit_code = 1
        else:
            forget(course.request.folder)
        outcome.bill = make_bill(course.record, course.ledger, datetime.now(UTC))
        outcome.delete_command = f"modelops live-smoke clean-up --id {run.id} --delete"
        try:
            if course.request.delete:
                delete_made(services, run, progress)
            outcome.kept = list_made(services, run)
        except (*ServiceError, *UNREADABLE) as error:
            outcome.kept = (f"what could not be listed or deleted: {error}",)
        account = services.account
        names = {name for name in (course.found.user, course.found.org) if name}
        try:
            outcome.report = write_report(
                _report(course, stopped, is_sandbox=account.sandbox),
                course.request.reports,
                names=names,
                secrets=account.secrets,
            )
        except OSError as error:
            outcome.exit_code = outcome.exit_code or 1
            progress(f"the report could not be written: {error}")


def _stop(course: Course, services: Services, progress: Progress) -> Stopped:
    loop = course.loop
    labels = loop.following.file.labels if loop is not None else ()
    may_come_late = loop is not None and loop.bills and not course.ended_itself
    progress("making sure that nothing of this run bills …")
    stopped = stop_everything(
        services,
        course.run,
        labels,
        course.ledger,
        course.seen,
        progress,
        quiet_seconds=settle_seconds(services.account) if may_come_late else 0.0,
    )
    for one in stopped.left:
        progress(f"MAY STILL BILL: {one}")
    if not stopped.left:
        progress("the service lists no job that runs and no endpoint of this run")
    return stopped


def _report(course: Course, stopped: Stopped, *, is_sandbox: bool) -> Report:
    loop, outcome, request = course.loop, course.outcome, course.request
    assert outcome.bill is not None
    stops = [f"cancelled job {one}" for one in stopped.cancelled]
    stops += [f"deleted endpoint {one}" for one in stopped.deleted]
    return Report(
        id=course.run.id,
        result=outcome.result,
        sandbox=is_sandbox,
        started=course.started,
        seconds=time.monotonic() - course.begun,
        cap=str(request.cap),
        choices=asdict(request.choices),
        plan=tuple((loop.plan if loop is not None else course.plan).lines()),
        steps=course.steps,
        prices=price_differences(course.found.hardware, course.found.provider),
        bill=outcome.bill,
        stopped=tuple(stops),
        left=stopped.left,
        kept=outcome.kept,
        observations=course.seen,
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside the block a signal is answered and changes nothing: stopping what bills must not be interrupted.

    The answer is written without Python's streams: a signal may arrive while one of them is being written, and they
    raise RuntimeError for a second writer in the same thread.
    """

    def answer(*_: object) -> None:
        with suppress(OSError):
            os.write(STDERR, b"please wait: what bills is being stopped\n")

    before = {number: signal.signal(number, answer) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
