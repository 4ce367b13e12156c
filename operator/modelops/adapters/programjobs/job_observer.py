"""Reads the state of a program from its Job, its Pods and the end of their log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs.job_reading import JobReading, Stage, is_being_deleted, read_job
from modelops.adapters.programjobs.manifests import (
    CONTAINER,
    DIGEST_ANNOTATION,
    EVENTS,
    JOBS,
    PODS,
    object_name,
)
from modelops.adapters.programs.folder import failure_result
from modelops.adapters.programs.in_pod import parse_report
from modelops.ports import Clock, Json, Missing, ProgramState, Refused

NOT_RUNNING: Final = "ProgramNotRunning"
"""Reason of a program whose Job or Pod does not start."""
LOG_LINES: Final = 20
"""The last report is the last line of the log, or is followed by at most ten lines about a crash."""
MAX_MESSAGE_CHARACTERS: Final = 400

logger = logging.getLogger(__name__)


class OtherInputError(Refused):
    """The program of this name was started with another input."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The state of a program at a time of the monotonic clock, in seconds; `state` is None where it has no Job."""

    at: float
    state: ProgramState | None
    ended: bool = False
    """Whether the Job has ended: then only another Job can change the state."""
    of: str = ""
    """The name in the Job's name."""
    input: str = ""
    """The digest of the Job's input."""


class JobObserver:
    """Reads one Job at a time."""

    def __init__(self, kube: KubeClient, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock

    async def read(self, namespace: str, name: str) -> Reading | None:
        """The program's reading; None where it has no Job. Raises Refused with a remedy."""
        now = self._clock.monotonic()
        async with explained_refusals(namespace):
            job = await self._kube.get(JOBS, namespace, object_name(name))
            if job is None or is_being_deleted(job):
                return None
            given = (job["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION, "")
            found = Reading(at=now, state=None, of=name, input=given)
            own = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
            pods, _ = await self._kube.list(PODS, namespace=namespace, label_selector=own)
            reading = read_job(job, pods, now=self._clock.now())
            where = f"Job {object_name(name)} of namespace {namespace}"
            match reading.stage:
                case Stage.STARTING:
                    return replace(found, state=ProgramState(running=True))
                case Stage.RUNNING:
                    report = parse_report(await self._log(namespace, reading.pod)) or {}
                    progress = report.get("progress") or {}
                    return replace(found, state=ProgramState(running=True, progress=progress))
                case Stage.BLOCKED:
                    why = await self._why_blocked(namespace, reading)
                    message = f"{where} does not run: {why}. The operator goes on once that is corrected"
                    return replace(found, state=ProgramState(result=not_running(message)))
                case Stage.DIED:
                    message = f"the Pods of {where} ended without a result; the last one: {reading.message}"
                    result = failure_result("ProgramDied", f"{message}. Remove the cause and try again")
                    return replace(found, state=ProgramState(result=result), ended=True)
                case Stage.REPORTED:
                    state = await self._reported(namespace, reading, where)
                    return replace(found, state=state, ended=True)

    async def _reported(self, namespace: str, reading: JobReading, where: str) -> ProgramState:
        """The result in the log. Where the log is gone, the next Job reports the result again: its folder has it."""
        problem = "its Pod is gone"
        if reading.pod:
            try:
                report = parse_report(await self._read_log(namespace, reading.pod)) or {}
            except Refused as error:
                if "forbidden" in str(error):
                    raise
                report, problem = {}, str(error)
            else:
                problem = f"the log of Pod {reading.pod} has none"
            result = report.get("result")
            if isinstance(result, dict) and isinstance(result.get("ok"), bool):
                if result.get("reason") == "ProgramDied" and reading.message:
                    died = f"{result.get('message')} (a Pod before this one: {reading.message})"
                    result = {**result, "message": died}
                return ProgramState(progress=report.get("progress") or {}, result=result)
        message = f"the result of {where} cannot be read: {problem}. The operator starts the Job again"
        return ProgramState(result=not_running(message))

    async def _log(self, namespace: str, pod: str) -> str:
        """The end of a running Pod's log; empty where it cannot be read, since it has only the progress."""
        try:
            return await self._read_log(namespace, pod)
        except Refused as error:
            logger.debug("the log of Pod %s of namespace %s cannot be read: %s", pod, namespace, error)
            return ""

    async def _read_log(self, namespace: str, pod: str) -> str:
        """By the container's name, because a service mesh adds containers to every Pod of a namespace."""
        return await self._kube.log(namespace, pod, lines=LOG_LINES, container=CONTAINER)

    async def _why_blocked(self, namespace: str, reading: JobReading) -> str:
        """The newest warning about the Job or the Pod, where their status has no reason."""
        if not reading.events_of:
            return f"{f'Pod {reading.pod}: ' if reading.pod else ''}{reading.message}"[
                :MAX_MESSAGE_CHARACTERS
            ]
        selector = f"involvedObject.uid={reading.events_of},type=Warning"
        events, _ = await self._kube.list(EVENTS, namespace=namespace, field_selector=selector)
        newest = max(events, key=_last_seen, default=None)
        if newest is not None:
            return f"{newest.get('reason')}: {newest.get('message')}"[:MAX_MESSAGE_CHARACTERS]
        return "its Pod does not start" if reading.pod else "it has no Pod, and no Event says why"


def not_running(message: str) -> Json:
    """The transient result of a program whose Job or Pod does not start."""
    return {"ok": False, "reason": NOT_RUNNING, "message": message, "transient": True}


def _last_seen(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


@asynccontextmanager
async def explained_refusals(namespace: str) -> AsyncIterator[None]:
    """Adds the remedy to a refusal of the API server."""
    try:
        yield
    except Missing as error:
        raise Refused(f"the program's Job cannot be created in namespace {namespace}: {error}") from error
    except Refused as error:
        if isinstance(error, OtherInputError) or "forbidden" not in str(error):
            raise
        raise Refused(
            f"{error}; give the operator the rights for programs in namespace {namespace} (rbac.create of the chart, "
            "or config/rbac/operator.yaml), or correct the quota or policy that the message names"
        ) from error
