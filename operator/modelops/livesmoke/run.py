"""Runs a live smoke run from the first check to the report."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from modelops.demo.cluster_access import KubectlError
from modelops.demo.interruption import Interruption
from modelops.demo.processes import EnvironmentFailedError
from modelops.livesmoke.account import Account
from modelops.livesmoke.billing import Ledger
from modelops.livesmoke.cap import CapRefusedError
from modelops.livesmoke.checks import Found, examine_account
from modelops.livesmoke.ending import Course, conclude
from modelops.livesmoke.environment import SmokeEnvironment, open_environment
from modelops.livesmoke.following import Following, Step, StepFailedError
from modelops.livesmoke.loop import Loop
from modelops.livesmoke.manifests import Choices
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.plan import Plan
from modelops.livesmoke.request import Outcome, Request
from modelops.livesmoke.run_file import RunFile, RunIdentity, locked
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services
from modelops.localcluster import ClusterError
from modelops.tools.doctor import State

Progress = Callable[[str], None]
EXPECTED: Final = (
    *(StepFailedError, EnvironmentFailedError, CapRefusedError, KubectlError, ClusterError),
    *(*ServiceError, *UNREADABLE, OSError, subprocess.SubprocessError),
)
"""Ends of a run that are reported in a sentence."""


class NotReadyError(Exception):
    """A check of the account has failed; nothing was created."""


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
        seen, ledger, found = Observations(), Ledger(), Found()
        _examine(services, seen, found, request.choices, progress)
        assert found.endpoint_price is not None
        account_step = Step("account", outcome="as expected", seconds=time.monotonic() - begun)
        account_step.same, account_step.differ = seen.take_recent()
        ledger.use_prices(found.hardware, found.provider)
        pause = request.choices.pause_seconds
        plan = Plan(cap=request.cap, endpoint_per_hour=found.endpoint_price, pause_seconds=pause)
        plan.require_fit()
        run = RunIdentity.new(found.org)
        RunFile(identity=run).write(request.folder)
        course = Course(
            request=request,
            run=run,
            found=found,
            plan=plan,
            seen=seen,
            ledger=ledger,
            started=started,
            begun=begun,
            steps=[account_step],
        )
        outcome = course.outcome
        try:
            progress(f"run {run.id}: agent {run.agent}, namespace {run.org}, cap ${request.cap}")
            _go(course, services, interruption, progress)
            outcome.exit_code = 0
            outcome.result = "the estimate alone, as asked" if request.plan_only else "as expected"
        except KeyboardInterrupt:
            outcome.exit_code, outcome.result = 130, "interrupted"
            progress("interrupted")
        except EXPECTED as error:
            outcome.exit_code = 2 if isinstance(error, CapRefusedError) else 1
            words = f"{type(error).__name__}: {error}" if isinstance(error, UNREADABLE) else str(error)
            outcome.result = f"failed: {words}"
            progress(words)
        finally:
            conclude(course, services, progress)
    return outcome


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


def _go(course: Course, services: Services, interruption: Interruption, progress: Progress) -> None:
    """Everything between the checks and the end. `course` keeps what is known whenever this raises."""
    request = course.request
    opened = open_environment(request.folder, services.account, course.run, interruption, progress)
    with opened as environment:
        following = Following(
            environment=environment,
            services=services,
            seen=course.seen,
            ledger=course.ledger,
            folder=request.folder,
            progress=progress,
            file=RunFile(identity=course.run),
            steps=course.steps,
            deadline=time.monotonic() + request.minutes * 60,
        )
        loop = course.loop = Loop(following, request.choices, course.plan, request.end_seconds)
        with _record_kept(course, environment):
            loop.prepare()
            for line in loop.plan.lines():
                progress(line)
            loop.plan.require_fit()
            if not request.plan_only:
                loop.spend()
                course.ended_itself = request.end_seconds > 0


@contextmanager
def _record_kept(course: Course, environment: SmokeEnvironment) -> Iterator[None]:
    """At the end of the block the operator is stopped, and its record read before the control plane ends."""
    try:
        yield
    finally:
        environment.stop_processes()
        course.record = environment.record()
