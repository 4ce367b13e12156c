"""Runs a live smoke run from the first check to the report, and stops what bills however it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from modelops.demo.cluster_access import KubectlError
from modelops.demo.interruption import SIGNALS, Interruption
from modelops.demo.processes import EnvironmentFailedError
from modelops.domain.record import Record
from modelops.livesmoke.account import Account
from modelops.livesmoke.billing import Bill, Ledger, Stopped, make_bill, stop_everything
from modelops.livesmoke.cap import CapRefusedError
from modelops.livesmoke.checks import Found, examine_account
from modelops.livesmoke.environment import SmokeEnvironment, open_environment
from modelops.livesmoke.examples import dataset_names, delete_datasets
from modelops.livesmoke.loop import Loop, Step, StepFailedError
from modelops.livesmoke.manifests import Choices
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.plan import Plan
from modelops.livesmoke.prices import price_differences
from modelops.livesmoke.report import Report, write_report
from modelops.livesmoke.run_file import RunFile, RunIdentity, forget, locked
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services
from modelops.localcluster import ClusterError
from modelops.tools.doctor import State

Progress = Callable[[str], None]
EXPECTED: Final = (
    *(StepFailedError, EnvironmentFailedError, CapRefusedError, KubectlError, ClusterError),
    *(*ServiceError, *UNREADABLE, OSError),
)
"""Ends of a run that are reported in a sentence."""
SETTLE_SECONDS: Final = 45.0


class NotReadyError(Exception):
    """A check of the account has failed; nothing was created."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asks for.

    `reports`: the folder of the report. `end_seconds`: the time that the operator has to delete the endpoint before the
    run does; 0 for none. `delete`: also delete what the run has made.
    """

    cap: Decimal
    choices: Choices
    folder: Path
    reports: Path
    minutes: float
    end_seconds: float
    plan_only: bool
    delete: bool


@dataclass
class Outcome:
    """The end of a run. `exit_code`: 0 if all was as expected and nothing bills; 1; 2: refused; 130: interrupted."""

    exit_code: int = 1
    result: str = "failed"
    left: tuple[str, ...] = ()
    report: tuple[Path, ...] = ()
    bill: Bill | None = None
    kept: tuple[str, ...] = ()
    delete_command: str = ""


@dataclass
class _Course:
    """What is known of a run when it ends, however it ends."""

    seen: Observations = field(default_factory=Observations)
    ledger: Ledger = field(default_factory=Ledger)
    loop: Loop | None = None
    record: Record | None = None
    clean: bool = False


def run_live_smoke(
    account: Account, request: Request, interruption: Interruption, progress: Progress
) -> Outcome:
    """Run it. `progress` gets each line for people.

    Raises:
        NotReadyError: a check of the account failed. CapRefusedError: the cap is too small. RunLeftError: the folder is
            in use, or a killed run left something there. KeyboardInterrupt: a signal arrived before anything was made.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    with locked(request.folder, new_run=True), Services.of(account) as services:
        course, found = _Course(), Found()
        _examine(services, course.seen, found, request.choices, progress)
        assert found.endpoint_price is not None
        course.ledger.use_prices(found.hardware, found.provider)
        plan = Plan(
            cap=request.cap,
            endpoint_per_hour=found.endpoint_price,
            pause_seconds=request.choices.pause_seconds,
        )
        plan.require_fit()
        run = RunIdentity.new(found.org)
        file = RunFile(identity=run)
        file.write(request.folder)
        progress(f"run {run.id}: agent {run.agent}, namespace {run.org}, cap ${request.cap}")
        outcome = Outcome()
        try:
            _go(services, course, request, interruption, progress, plan=plan, file=file)
            outcome.exit_code, outcome.result = (
                0,
                "the estimate alone" if request.plan_only else "as expected",
            )
        except KeyboardInterrupt:
            outcome.exit_code, outcome.result = 130, "interrupted"
            progress("interrupted")
        except EXPECTED as error:
            outcome.exit_code = 2 if isinstance(error, CapRefusedError) else 1
            words = f"{type(error).__name__}: {error}" if isinstance(error, UNREADABLE) else str(error)
            outcome.result = f"failed: {words}"
            progress(words)
        finally:
            with _undisturbed(progress):
                stopped = _stop(services, course, run, account, progress)
                if not stopped.left:
                    forget(request.folder)
                _end(services, course, outcome, request, stopped, run=run, progress=progress)
                names = {name for name in (found.user, found.org) if name}
                report = _report(course, outcome, request, stopped, plan, run, account, found, started, begun)
                outcome.report = write_report(report, request.reports, names=names, secrets=account.secrets)
    return outcome


def clean_up(
    account: Account, run: RunIdentity, labels: tuple[str, ...], *, delete: bool, progress: Progress
) -> tuple[str, ...]:
    """Stop what a run that was killed may have left; with `delete`, also delete what it made. Returns what is left."""
    with Services.of(account) as services:
        stopped = stop_everything(
            services, run, labels, Ledger(), Observations(), progress, quiet_seconds=_settle_seconds(account)
        )
        if delete:
            delete_made(services, run, progress)
        for line in list_made(services, run):
            progress(f"kept: {line}")
    return stopped.left


def list_made(services: Services, run: RunIdentity) -> tuple[str, ...]:
    """The repositories and datasets of a run that the services have. Raises the errors of ServiceError."""
    repositories = (f"private {kind} {name} on the Hub" for kind, name in services.repositories_of(run))
    return (*repositories, *(f"dataset {name} in LangSmith" for name in dataset_names(services, run)))


def delete_made(services: Services, run: RunIdentity, progress: Progress) -> None:
    """Delete the repositories and the datasets of a run. Raises the errors of ServiceError."""
    for kind, name in services.repositories_of(run):
        services.delete_repository(kind, name)
        progress(f"deleted {kind} {name}")
    for name in delete_datasets(services, run):
        progress(f"deleted LangSmith dataset {name}")


def _examine(
    services: Services, seen: Observations, found: Found, choices: Choices, progress: Progress
) -> None:
    problems = []
    checks = examine_account(
        services,
        seen,
        found,
        base_model=choices.base_model,
        baseline_model=choices.baseline_model,
        instance=choices.instance,
        size=choices.size,
    )
    for check in checks:
        if check.state is State.PROBLEM:
            problems.append(f"{check.subject}: {check.message}\n  {check.remedy}")
        elif check.subject not in ("answers", "prices"):
            progress(f"{check.subject}: {check.message}")
    if problems:
        raise NotReadyError("\n".join([*problems, "Nothing was created and nothing was spent"]))


def _go(
    services: Services,
    course: _Course,
    request: Request,
    interruption: Interruption,
    progress: Progress,
    *,
    plan: Plan,
    file: RunFile,
) -> None:
    """Everything between the checks and the end. `course` keeps what is known whenever this raises."""
    opened = open_environment(request.folder, services.account, file.identity, interruption, progress)
    with opened as environment:
        course.loop = Loop(
            environment=environment,
            services=services,
            seen=course.seen,
            ledger=course.ledger,
            choices=request.choices,
            plan=plan,
            folder=request.folder,
            progress=progress,
            file=file,
            deadline=time.monotonic() + request.minutes * 60,
            end_seconds=request.end_seconds,
        )
        with _record_kept(course, environment):
            course.loop.prepare()
            for line in course.loop.plan.lines():
                progress(line)
            course.loop.plan.require_fit()
            if not request.plan_only:
                course.loop.spend()
            course.clean = request.plan_only or request.end_seconds > 0


@contextmanager
def _record_kept(course: _Course, environment: SmokeEnvironment) -> Iterator[None]:
    """At the end of the block the operator is stopped, and its record read before the control plane ends."""
    try:
        yield
    finally:
        environment.stop_processes()
        course.record = environment.record()


def _stop(
    services: Services, course: _Course, run: RunIdentity, account: Account, progress: Progress
) -> Stopped:
    labels = course.loop.file.labels if course.loop is not None else ()
    progress("making sure that nothing of this run bills …")
    quiet = 0.0 if course.clean else _settle_seconds(account)
    stopped = stop_everything(
        services, run, labels, course.ledger, course.seen, progress, quiet_seconds=quiet
    )
    for one in stopped.left:
        progress(f"MAY STILL BILL: {one}")
    if not stopped.left:
        progress("the service lists no job that runs and no endpoint of this run")
    return stopped


def _end(
    services: Services,
    course: _Course,
    outcome: Outcome,
    request: Request,
    stopped: Stopped,
    *,
    run: RunIdentity,
    progress: Progress,
) -> None:
    outcome.bill = make_bill(course.record, course.ledger, datetime.now(UTC))
    outcome.left = stopped.left
    if stopped.left:
        outcome.exit_code = 1
    outcome.delete_command = f"modelops live-smoke clean-up --id {run.id} --delete"
    try:
        if request.delete:
            delete_made(services, run, progress)
        outcome.kept = list_made(services, run)
    except ServiceError as error:
        outcome.kept = (f"what could not be listed: {error}",)


def _report(
    course: _Course,
    outcome: Outcome,
    request: Request,
    stopped: Stopped,
    plan: Plan,
    run: RunIdentity,
    account: Account,
    found: Found,
    started: datetime,
    begun: float,
) -> Report:
    assert outcome.bill is not None
    steps: list[Step] = course.loop.steps if course.loop is not None else []
    final_plan = course.loop.plan if course.loop is not None else plan
    stops = [f"cancelled job {one}" for one in stopped.cancelled]
    stops += [f"deleted endpoint {one}" for one in stopped.deleted]
    return Report(
        id=run.id,
        result=outcome.result,
        sandbox=account.sandbox,
        started=started,
        seconds=time.monotonic() - begun,
        cap=str(request.cap),
        choices=asdict(request.choices),
        plan=tuple(final_plan.lines()),
        steps=steps,
        prices=price_differences(found.hardware, found.provider),
        bill=outcome.bill,
        stopped=tuple(stops),
        left=stopped.left,
        kept=outcome.kept,
        observations=course.seen,
    )


def _settle_seconds(account: Account) -> float:
    """How long a job may be missing from a list: the operator's settle period."""
    given = os.environ.get("MODELOPS_SETTLE_SECONDS", "")
    return float(given) if account.sandbox and given else SETTLE_SECONDS


@contextmanager
def _undisturbed(progress: Progress) -> Iterator[None]:
    """Inside the block a signal is answered and changes nothing: stopping what bills must not be interrupted."""

    def answer(*_: object) -> None:
        progress("please wait: what bills is being stopped")

    before = {number: signal.signal(number, answer) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
