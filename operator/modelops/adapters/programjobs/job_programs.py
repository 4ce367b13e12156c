"""`ports.Programs` as Kubernetes Jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs.code_test_jobs import CodeTestJobs
from modelops.adapters.programjobs.job_observer import (
    NOT_RUNNING,
    JobObserver,
    OtherInputError,
    Reading,
    explained_refusals,
    not_running,
)
from modelops.adapters.programjobs.job_reading import is_being_deleted, is_unfinished
from modelops.adapters.programjobs.manifests import (
    CLAIMS,
    DIGEST_ANNOTATION,
    INSTALLATION_LABEL,
    JOBS,
    MAX_INPUT_BYTES,
    PROGRAM_LABEL,
    ProgramRun,
    object_name,
    program_job,
    work_claim,
)
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.adapters.programs.folder import NAME, failure_result
from modelops.ports import (
    Clock,
    Conflict,
    Json,
    ProgramOwner,
    ProgramSecret,
    ProgramState,
    Refused,
    Resource,
)

READ_SECONDS: Final = 2.0
"""For how long a reading of a Job is not repeated: decisions ask several times in a second."""
LIST_SECONDS: Final = 300.0
"""For how long a listing of this installation's programs is used; what this process starts and stops is added."""

logger = logging.getLogger(__name__)


class JobPrograms:
    """One Job for each program, in the namespace of its owner.

    All objects of a program have one name, so the API server refuses to make them twice. Another operator that becomes
    the leader finds them by their labels. At most `max_running` Jobs of this installation run at a time, without those
    that are blocked; a further `start` does nothing, and the next reconcile repeats it.
    A Job that cannot be created or cannot run is a transient result with the reason `ProgramNotRunning`.
    """

    def __init__(
        self,
        kube: KubeClient,
        settings: ProgramPodSettings,
        *,
        installation: str,
        clock: Clock,
        namespaces: Sequence[str] = (),
        max_running: int = 4,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._kube = kube
        self._observer = JobObserver(kube, clock)
        self._code_tests = CodeTestJobs(kube, self._observer, settings)
        self._settings = settings
        self._claims = (CLAIMS,) if settings.volume_size else ()
        self._installation = installation
        self._clock = clock
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._max_running = max_running
        self._read_seconds = read_seconds
        self._starting = asyncio.Lock()
        self._known: dict[str, str] = {}
        self._listed_at: float | None = None
        self._readings: dict[str, Reading] = {}
        self._unstartable: dict[str, Json] = {}

    async def observe(self, name: str) -> ProgramState | None:
        """The program's state; a result is kept, and anything else is read again after `read_seconds`."""
        if name in self._unstartable:
            return ProgramState(result=self._unstartable[name])
        now, known = self._clock.monotonic(), self._readings.get(name)
        if known is not None and (known.ended or now - known.at < self._read_seconds):
            return known.state
        try:
            namespace = await self._namespace_of(name)
            found = await self._observer.read(namespace, name) if namespace is not None else None
            if found is not None and namespace is not None:
                found = await self._code_tests.reading(namespace, name, found)
        except Refused as error:
            found = Reading(at=now, state=ProgramState(result=not_running(str(error))))
        self._readings[name] = found or Reading(at=now, state=None)
        return self._readings[name].state

    async def start(
        self,
        name: str,
        module: str,
        program_input: Json,
        environment: Mapping[str, str],
        *,
        secrets: Mapping[str, ProgramSecret],
        owner: ProgramOwner,
    ) -> None:
        """Creates the claim and the Job, unless it exists.

        Does nothing while objects of an earlier Job of this name are being deleted.
        """
        if not NAME.fullmatch(name):
            raise Refused(f"program name {name!r} is not valid: it must match {NAME.pattern}")
        run = ProgramRun(
            name=name,
            module=module,
            input=program_input,
            environment=environment,
            secrets=secrets,
            owner=owner,
            installation=self._installation,
        )
        async with self._starting:
            try:
                async with explained_refusals(owner.namespace):
                    await self._start(run)
            except OtherInputError:
                raise
            except Refused as error:
                self._unstartable[name] = not_running(str(error))
            finally:
                self._readings.pop(name, None)

    async def retry(self, name: str) -> None:
        """Deletes the Job of a transient result; its claim stays. A Job that is only blocked goes on by itself."""
        if self._unstartable.pop(name, None) is not None:
            return
        state = await self.observe(name)
        result = state.result if state is not None else None
        if result is None or result["ok"] or not result.get("transient"):
            return
        namespace, reading = await self._namespace_of(name), self._readings.pop(name)
        if namespace is not None and reading.ended:
            await self._kube.delete(JOBS, namespace, object_name(reading.of))

    async def stop(self, name: str) -> None:
        """Deletes the Job, and with it the Pod, and then the work folder."""
        self._unstartable.pop(name, None)
        try:
            namespace = await self._namespace_of(name)
        except Refused as error:
            logger.warning("program %s was not looked for: %s", name, error)
            return
        if namespace is None:
            return
        await self._code_tests.delete(namespace, name)
        for resource in (JOBS, *self._claims):
            await self._kube.delete(resource, namespace, object_name(name))
        self._known.pop(name, None)
        self._readings.pop(name, None)

    async def _start(self, run: ProgramRun) -> None:
        name, namespace = object_name(run.name), run.owner.namespace
        size = len(run.input_text.encode())
        if size > MAX_INPUT_BYTES:
            self._unstartable[run.name] = failure_result(
                "InputTooLarge",
                f"the input of program {run.name} has {size} bytes, and an annotation holds "
                f"{MAX_INPUT_BYTES}: shorten spec.prompt of the AgentModel",
            )
            return
        job = await self._kube.get(JOBS, namespace, name)
        if job is not None:
            self._known[run.name] = namespace
            _require_same_input(job, run)
            await self._code_tests.go_on(run, has_room=self._has_room)
            return
        if not await self._has_room():
            return
        self._known[run.name] = namespace
        for resource in self._claims:
            if not await self._ensure(resource, work_claim(run, self._settings), run):
                return
        with suppress(Conflict):  # An earlier start made it, and its answer was lost.
            await self._kube.create(JOBS, program_job(run, self._settings))

    async def _ensure(self, resource: Resource, body: Json, run: ProgramRun) -> bool:
        """Creates the object unless it exists; False where it is being deleted. Raises OtherInputError."""
        try:
            await self._kube.create(resource, body)
        except Conflict:
            found = await self._kube.get(resource, run.owner.namespace, body["metadata"]["name"])
            if found is None or is_being_deleted(found):
                return False
            _require_same_input(found, run)
        return True

    async def _has_room(self) -> bool:
        blocked = {name for name, reading in self._readings.items() if _is_blocked(reading)}
        running = sum(is_unfinished(job) and _program_of(job) not in blocked for job in await self._jobs())
        return running < self._max_running

    async def _namespace_of(self, name: str) -> str | None:
        """The namespace of the program's objects; None where it has none. Their Jobs are listed now and then.

        One that is known stays known until `stop`: its claim may be there although its Job was refused, or is gone.
        """
        if self._listing_is_old():
            async with self._starting:
                if self._listing_is_old():
                    items = await self._jobs()
                    self._known |= {_program_of(item): item["metadata"]["namespace"] for item in items}
                    self._listed_at = self._clock.monotonic()
        return self._known.get(name)

    def _listing_is_old(self) -> bool:
        return self._listed_at is None or self._clock.monotonic() - self._listed_at > LIST_SECONDS

    async def _jobs(self) -> list[Json]:
        """The Jobs of this installation's programs. A namespace that was deleted hides none of the others."""
        selector = f"{PROGRAM_LABEL},{INSTALLATION_LABEL}={self._installation}"
        found: list[Json] = []
        refusals: list[Refused] = []
        for namespace in self._namespaces:
            try:
                items, _ = await self._kube.list(JOBS, namespace=namespace, label_selector=selector)
            except Refused as error:
                refusals.append(error)
            else:
                found += items
        if len(refusals) == len(self._namespaces):
            raise refusals[0]
        return found


def _is_blocked(reading: Reading) -> bool:
    result = reading.state.result if reading.state is not None else None
    return result is not None and result.get("reason") == NOT_RUNNING


def _require_same_input(item: Json, run: ProgramRun) -> None:
    found = (item["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION)
    if found != run.digest:
        raise OtherInputError(
            f"{item.get('kind', 'object')} {item['metadata']['name']} of namespace {run.owner.namespace} belongs to a "
            "program with another input; stop that program, or use another name"
        )


def _program_of(item: Json) -> str:
    return str(item["metadata"]["labels"][PROGRAM_LABEL])
