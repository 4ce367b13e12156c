"""Tests of code in a Pod of their own: a program ends and asks for them, their Job runs, and it is started again.

Everything is read from the two Jobs, so another leader goes on wherever this one was. The program is neither running
nor ended while it asks, so that each reconcile starts it, which takes the next step.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs.code_test_manifests import (
    NETWORK_POLICIES,
    Wanted,
    code_tests_digest,
    code_tests_job,
    code_tests_name,
    code_tests_policy,
)
from modelops.adapters.programjobs.job_observer import JobObserver, Reading
from modelops.adapters.programjobs.manifests import JOBS, ProgramRun, object_name
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.ports import Conflict, Json, ProgramState

WANTED: Final = "CodeTestsWanted"
"""Reason of a result that asks for tests; no decision sees it."""
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")
_MOST_JOBS: Final = 1_000_000


class CodeTestJobs:
    """The Job for the tests of each program that asks for some."""

    def __init__(self, kube: KubeClient, observer: JobObserver, settings: ProgramPodSettings) -> None:
        self._kube = kube
        self._observer = observer
        self._settings = settings

    async def reading(self, namespace: str, name: str, program: Reading) -> Reading:
        """The program's own reading, unless it asks for tests: then that of their Job.

        Tests that have passed or failed are no result of the program. What keeps them from running is.
        """
        wanted = wanted_code_tests(program)
        if wanted is None:
            return program
        asking = ProgramState(progress=_progress(program))
        tests = await self._observer.read(namespace, code_tests_name(name))
        if tests is None or tests.state is None or tests.input != code_tests_digest(wanted):
            return Reading(at=program.at, state=asking)
        if tests.state.running:
            running = replace(asking, running=True, progress={**asking.progress, **tests.state.progress})
            return replace(tests, state=running)
        result = tests.state.result
        if result is None or result["ok"]:
            return Reading(at=program.at, state=asking)
        return replace(tests, state=replace(asking, result=result))

    async def go_on(self, run: ProgramRun, *, has_room: Callable[[], Awaitable[bool]]) -> None:
        """The next step for a program whose Job exists; none where it does not ask for tests, or waits for them.

        `has_room`: whether another Job may run.
        """
        namespace = run.owner.namespace
        program = await self._observer.read(namespace, run.name)
        wanted = wanted_code_tests(program) if program is not None else None
        if wanted is None:
            return
        tests = await self._observer.read(namespace, code_tests_name(run.name))
        if tests is None or tests.state is None:
            if await has_room():
                await self._create(run, wanted)
        elif tests.input != code_tests_digest(wanted):
            await self.delete(namespace, run.name)
        elif tests.state.result is not None and tests.state.result["ok"]:
            # The program finds the verdicts on its volume. The tests' Job stays until it asks for others.
            await self._kube.delete(JOBS, namespace, object_name(run.name))

    async def delete(self, namespace: str, name: str) -> None:
        """Deletes the Job, and with it its Pod."""
        await self._kube.delete(JOBS, namespace, object_name(code_tests_name(name)))

    async def _create(self, run: ProgramRun, wanted: Wanted) -> None:
        with suppress(Conflict):  # An earlier request of the program has made it.
            await self._kube.create(NETWORK_POLICIES, code_tests_policy(run, self._settings))
        with suppress(
            Conflict
        ):  # An earlier start made it, and its answer was lost; or one is being deleted.
            await self._kube.create(JOBS, code_tests_job(run, wanted, self._settings))


def wanted_code_tests(program: Reading) -> Wanted | None:
    """What the result of a program's Job asks for; None where it asks for nothing."""
    result = program.state.result if program.state is not None else None
    if result is None or result.get("reason") != WANTED:
        return None
    asked = result.get("code_tests")
    digest, jobs = (asked.get("digest"), asked.get("jobs")) if isinstance(asked, dict) else (None, None)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        return None
    if not isinstance(jobs, int) or not 0 < jobs <= _MOST_JOBS:
        return None
    return Wanted(digest=digest, jobs=jobs)


def _progress(program: Reading) -> Json:
    """That of the program, with the calls of services that it has made until it asked."""
    state = program.state or ProgramState()
    calls = (state.result or {}).get("calls")
    return {**state.progress, **({"calls": calls} if calls else {})}
