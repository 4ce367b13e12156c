"""Executes a plan: step by step, each write conditional on the version that was decided from, until one fails.

The executor never sends a write again; only a new decision does. After a definite conflict, and after a lost answer,
it reads exactly that object live into the cache, so that the next decision is made from its newest version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar, assert_never

from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL
from modelops.domain.plan import (
    Action,
    Announce,
    Fact,
    Plan,
    Write,
    WriteFile,
    WriteFinalizers,
    WriteRecord,
    WriteRolloutStatus,
    WriteStatus,
)
from modelops.domain.record import Record
from modelops.domain.record_bound import bounded_data
from modelops.engine import resources
from modelops.engine.action_log import ActionLog
from modelops.engine.cache import ObjectCache, version_of
from modelops.engine.clock import SystemClock
from modelops.engine.resources import ROLLOUTS
from modelops.engine.stops import StopReader
from modelops.ports import (
    Clock,
    Conflict,
    Json,
    Kube,
    Missing,
    Refused,
    Resource,
    Traces,
    Unavailable,
    Uncertain,
)

CONFIG_MAPS: Final = resources.CONFIG_MAPS

ActionT = TypeVar("ActionT", bound=Action)
FactT = TypeVar("FactT", bound=Fact)

Part = Literal["object", "record", "file", "rollout"]
RecordRef = tuple[str, str, Mapping[str, str]]
"""Namespace, name and labels of an AgentModel's record."""
FileRef = tuple[str, str, str]
"""Namespace and name of the ConfigMap with the agents' file, and its key there."""

_RETRY_SECONDS = 1.0
_LARGE_RECORD = 300
"""Finished objects and versions of a record whose form is made in a thread."""
_log = logging.getLogger(__name__)


@dataclass
class WriteBase:
    """The objects that a decision was made from, with metadata.resourceVersion; answers to our own writes replace them.

    `object`: of our kind. `record`, `file`: ConfigMaps, None where there is none.
    """

    object: Json
    record: Json | None = None
    file: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Executed:
    """How much of a plan was executed.

    `done`: all of it. `conflict`: this object is not what the decision was made from (now it is read live):
    decide again at once. `rebase`: the intent whose file write met a definite conflict after being sent once.
    `retry_after`: seconds, where something was unavailable (0: the answer was lost; decide again at once).
    `wrote`: writes that were carried out.
    `file_written_at`: when the agents' file was written, on the monotonic clock.
    """

    done: bool
    conflict: Part | None = None
    rebase: tuple[str, Any] | None = None
    retry_after: float | None = None
    wrote: int = 0
    file_written_at: float | None = None


class FileWriteRefused(Refused):
    """The API server refused the write of the agents' file, as a webhook or missing rights make it do."""


class _Overtaken(Exception):
    """The cache already has the newer object, so nothing was sent and no live read is needed."""


@dataclass(frozen=True, kw_only=True)
class _Target:
    """Where the steps of one plan go."""

    resource: Resource
    record: RecordRef
    file: FileRef | None
    agent: str


class Executor:
    """Executes plans with the Kubernetes API; shared by the reconcilers of all kinds."""

    def __init__(
        self,
        kube: Kube,
        cache: ObjectCache,
        *,
        traces: Traces | None = None,
        clock: Clock | None = None,
        stops: StopReader | None = None,
    ) -> None:
        self._kube = kube
        self._stops = stops or StopReader(kube, cache)
        self._cache = cache
        self._log = ActionLog(traces)
        self._record_locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._records_written: dict[tuple[str, str], str] = {}
        self._clock = clock or SystemClock()

    async def execute(
        self,
        plan: Plan[ActionT, FactT],
        write_base: WriteBase,
        *,
        resource: Resource,
        record_ref: RecordRef,
        file_ref: FileRef | None,
        perform: Callable[[ActionT], Awaitable[Mapping[str, Any] | None]],
        agent: str = "",
    ) -> Executed:
        """Executes the plan's steps in order; `perform` executes an action, `agent` names the traces.

        Raises:
            NotLeader: nothing more may be written.
            Refused: the API server will not take a write as it is (FileWriteRefused: that of the agents' file); or
            `perform` raised it, or anything else of its own.
            Unavailable: the live read after a conflict or a lost answer failed.
        """
        target = _Target(resource=resource, record=record_ref, file=file_ref, agent=agent)
        wrote = 0
        failed: Executed | None = None
        refused: Refused | None = None
        file_written_at: float | None = None
        for step in plan.steps:
            part = _part(step)
            try:
                wrote += await self._execute_step(step, write_base, target, perform)
                if isinstance(step, WriteFile):
                    file_written_at = self._clock.monotonic()
                if not isinstance(step, Action):
                    self._log.note(step, write_base.object, agent=agent, outcome="done")
            except _Overtaken as error:
                _log.debug("%s changed after the decision: %s", part, error, extra=_who(write_base.object))
                return Executed(done=False, conflict=part, wrote=wrote, file_written_at=file_written_at)
            except (Conflict, Missing) as error:
                _log.info("%s changed after the decision: %s", part, error, extra=_who(write_base.object))
                if part is None:
                    return Executed(done=False, retry_after=0.0, wrote=wrote, file_written_at=file_written_at)
                await self._read(part, write_base, target, step)
                sent_once = isinstance(step, WriteFile) and isinstance(error, Conflict)
                rebase = step.intended if sent_once and isinstance(step, WriteFile) else None
                return Executed(
                    done=False, conflict=part, rebase=rebase, wrote=wrote, file_written_at=file_written_at
                )
            except Uncertain as error:
                _log.warning("an answer was lost: %s", error, extra=_who(write_base.object))
                self._log.note(step, write_base.object, agent=agent, outcome=f"answer lost: {error}")
                if part is not None:
                    await self._read(part, write_base, target, step)
                retry_after = 0.0 if part else _RETRY_SECONDS
            except Unavailable as error:
                _log.warning("unavailable: %s", error, extra=_who(write_base.object))
                self._log.note(step, write_base.object, agent=agent, outcome=f"not done: {error}")
                retry_after = error.retry_after or _RETRY_SECONDS
            except Refused as error:
                self._log.note(step, write_base.object, agent=agent, outcome=f"refused: {error}")
                if not _is_independent(step):
                    raise
                refused = refused or error
                continue
            else:
                continue
            ended = Executed(
                done=False, retry_after=retry_after, wrote=wrote, file_written_at=file_written_at
            )
            if not _is_independent(step):
                return ended
            failed = failed or ended
        if refused is not None:
            raise refused
        if failed is not None:
            return replace(failed, wrote=wrote, file_written_at=file_written_at)
        return Executed(done=True, wrote=wrote, file_written_at=file_written_at)

    def wrote_record(self, record: Json | None) -> bool:
        """Whether this process made this version of a record: then its copy was the newest, and no old leader's."""
        if record is None:
            return False
        metadata = record["metadata"]
        written = self._records_written.get((metadata["namespace"], metadata["name"]))
        return written is not None and written == metadata["resourceVersion"]

    async def announce(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        """An Event for people; best effort."""
        await self._kube.event(regarding, reason=reason, message=message, warning=warning)

    async def delete(self, resource: Resource, item: Json) -> None:
        """Deletes exactly this version of the object; a deleted object is no error."""
        metadata = item["metadata"]
        await self._kube.delete(
            resource,
            metadata["namespace"],
            metadata["name"],
            resource_version=metadata["resourceVersion"],
        )

    async def _execute_step(
        self,
        step: Write | ActionT,
        write_base: WriteBase,
        target: _Target,
        perform: Callable[[ActionT], Awaitable[Mapping[str, Any] | None]],
    ) -> int:
        """One step; returns how many writes to the Kubernetes API it took."""
        if isinstance(step, Action):
            outcome = await perform(step)
            self._log.note(step, write_base.object, agent=target.agent, outcome="done", details=outcome)
            return 0
        match step:
            case WriteStatus():
                return await self._write_status(step, write_base, target)
            case WriteRolloutStatus():
                return await self._write_rollout_status(step, write_base)
            case WriteFinalizers():
                return await self._write_finalizers(step, write_base, target)
            case WriteRecord():
                return await self._write_record(step, write_base, target)
            case WriteFile():
                return await self._write_file(step, write_base, target)
            case Announce():
                await self._kube.event(
                    write_base.object, reason=step.reason, message=step.message, warning=step.warning
                )
                return 0
            case _:
                assert_never(step)

    async def _write_status(self, step: WriteStatus, write_base: WriteBase, target: _Target) -> int:
        status = step.status.wire()
        if write_base.object.get("status", {}) == status:
            return 0
        answer = await self._kube.replace_status(target.resource, {**write_base.object, "status": status})
        write_base.object = self._take_in(target.resource, answer)
        return 1

    async def _write_rollout_status(self, step: WriteRolloutStatus, write_base: WriteBase) -> int:
        namespace = write_base.object["metadata"]["namespace"]
        item = self._cache.get(ROLLOUTS, namespace, step.name)
        if item is None or (item["metadata"]["uid"], item["metadata"]["resourceVersion"]) != (
            step.uid,
            step.resource_version,
        ):
            raise _Overtaken(f"Rollout {step.name} changed since it was read")
        answer = await self._kube.replace_status(ROLLOUTS, {**item, "status": step.status.wire()})
        self._take_in(ROLLOUTS, answer)
        return 1

    async def _write_finalizers(self, step: WriteFinalizers, write_base: WriteBase, target: _Target) -> int:
        metadata = write_base.object["metadata"]
        if tuple(metadata.get("finalizers", ())) == step.finalizers:
            return 0
        namespace, name = metadata["namespace"], metadata["name"]
        merge = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": list(step.finalizers)}
        }
        answer = await self._kube.patch(target.resource, namespace, name, merge)
        write_base.object = self._take_in(target.resource, answer)
        if answer["metadata"].get("deletionTimestamp") and not answer["metadata"].get("finalizers"):
            self._cache.remove(target.resource, namespace, name, version=version_of(answer))
        return 1

    async def _write_record(self, step: WriteRecord, write_base: WriteBase, target: _Target) -> int:
        """One write at a time for each record. If this process wrote it since it was read, nothing is sent."""
        namespace, name, _ = target.record
        lock = self._record_locks.setdefault((namespace, name), asyncio.Lock())
        async with lock:
            newest = self._cache.get(CONFIG_MAPS, namespace, name)
            if newest is not None and (
                write_base.record is None or version_of(newest) > version_of(write_base.record)
            ):
                write_base.record = newest
                raise _Overtaken(f"{name} was written since it was read")
            return await self._send_record(step, write_base, target)

    async def _send_record(self, step: WriteRecord, write_base: WriteBase, target: _Target) -> int:
        namespace, name, labels = target.record
        data = await _record_data(step.record)
        if write_base.record is None:
            body: Json = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "namespace": namespace,
                    "name": name,
                    "labels": {**labels, MANAGED_LABEL: "true"},
                },
                "data": data,
            }
            answer = await self._kube.create(CONFIG_MAPS, body)
        else:
            version = write_base.record["metadata"]["resourceVersion"]
            merge = {"metadata": {"resourceVersion": version}, "data": data}
            answer = await self._kube.patch(CONFIG_MAPS, namespace, name, merge)
        write_base.record = self._take_in(CONFIG_MAPS, answer)
        self._records_written[namespace, name] = str(answer["metadata"]["resourceVersion"])
        _log.info("record written: %s", step.purpose, extra=_who(write_base.object))
        return 1

    async def _write_file(self, step: WriteFile, write_base: WriteBase, target: _Target) -> int:
        if target.file is None or write_base.file is None:
            raise ValueError(
                f"a plan writes the agents' file ({step.purpose}), but the agents' file was not read"
            )
        namespace, name, key = target.file
        if step.raises and await self._stops.forbids_raise(namespace, target.record[2][RECORD_LABEL]):
            raise _Overtaken(f"an emergency stop was set before the write of the file ({step.purpose})")
        version = write_base.file["metadata"]["resourceVersion"]
        merge = {"metadata": {"resourceVersion": version}, "data": {key: step.text}}
        try:
            answer = await self._kube.patch(CONFIG_MAPS, namespace, name, merge)
        except Refused as error:
            raise FileWriteRefused(str(error)) from error
        write_base.file = self._take_in(CONFIG_MAPS, answer)
        _log.info("agents' file written: %s", step.purpose, extra=_who(write_base.object))
        return 1

    def _take_in(self, resource: Resource, answer: Json) -> Json:
        self._cache.put(resource, answer)
        return answer

    async def _read(self, part: Part, write_base: WriteBase, target: _Target, step: Write | Action) -> None:
        """Reads one object live, into the cache and the write base."""
        if isinstance(step, WriteRolloutStatus):
            resource, name = ROLLOUTS, step.name
            namespace = write_base.object["metadata"]["namespace"]
        elif part == "object":
            resource = target.resource
            namespace, name = (
                write_base.object["metadata"]["namespace"],
                write_base.object["metadata"]["name"],
            )
        else:
            resource = CONFIG_MAPS
            namespace, name, _ = target.record if part == "record" else target.file or ("", "", "")
        before = self._cache.get(resource, namespace, name)
        live = await self._kube.get(resource, namespace, name)
        if live is None:
            self._cache.confirm_absent(resource, namespace, name, before=before)
        else:
            self._cache.put(resource, live)
        if part == "record":
            write_base.record = live
        elif part == "file":
            write_base.file = live
        elif part == "object" and live is not None:
            write_base.object = live


def _is_independent(step: Write | Action) -> bool:
    return isinstance(step, Action) and step.independent


def _part(step: Write | Action) -> Part | None:
    match step:
        case WriteStatus() | WriteFinalizers():
            return "object"
        case WriteRolloutStatus():
            return "rollout"
        case WriteRecord():
            return "record"
        case WriteFile():
            return "file"
    return None


async def _record_data(record: Record) -> dict[str, str]:
    """The data of the record's ConfigMap; that of a large record takes seconds and is made in a thread."""
    if len(record.completed) + len(record.history) < _LARGE_RECORD:
        return bounded_data(record)
    return await asyncio.to_thread(bounded_data, record)


def _who(item: Json) -> dict[str, str]:
    """The fields that a log line has for the object."""
    metadata = item["metadata"]
    return {
        "kind": item.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "object": metadata["name"],
        "uid": metadata.get("uid", ""),
    }
