"""Chooses the writes at which the operator is killed, and runs a scenario once for each of them."""

from __future__ import annotations

import asyncio
import os
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.e2e.api import Api, open_session
from tests.e2e.cloud import Cloud
from tests.e2e.environment import Environment, open_environment
from tests.e2e.recording_proxy import Moment, WriteFault

from modelops.adapters.kube import Connection
from modelops.localcluster import LocalCluster

CRASH_POINTS_VARIABLE = "MODELOPS_CRASH_POINTS"
"""Environment variable. With `all` the operator is killed at every write at every moment. Otherwise it is killed at
half of the writes, whose answer is lost, and at a third of the writes at one other moment. The choice changes every day:
two days have every lost answer, and six days everything."""
MAX_MISSED = 3
"""How many scenarios may end before their crash point: the number of writes varies by one or two."""
PARALLEL = int(os.environ.get("MODELOPS_CRASH_PARALLEL", "5"))

Finish = Callable[[Environment], Coroutine[Any, Any, None]]
"""Waits for the end of the scenario, and fails where the end is not the expected one. It is called again after a crash."""
Prepare = Callable[[Environment], Awaitable[None]]


@dataclass(frozen=True)
class CrashPoint:
    """The operator is killed at this moment of write `number`, counted from 1."""

    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment}-{self.number}"


def select_crash_points(writes: int, *, day: int | None = None) -> list[CrashPoint]:
    """The crash points of a scenario with so many writes: all of them, or those of the day (see above)."""
    today = datetime.now(UTC).toordinal() if day is None else day
    every = os.environ.get(CRASH_POINTS_VARIABLE) == "all"
    others = (Moment.BEFORE, Moment.ANSWERED)
    return [
        CrashPoint(number, moment)
        for moment in (Moment.ANSWER_LOST, *(others if every else others[today % 2 : today % 2 + 1]))
        for number in range(1, writes + 1)
        if every or (number - today) % (2 if moment is Moment.ANSWER_LOST else 3) == 0
    ]


@dataclass(frozen=True)
class Harness:
    """Runs a scenario once for each crash point, a few at a time, each in its own namespace."""

    cluster: LocalCluster
    cloud: Cloud
    folder: Path

    async def writes_without_crash(self, prepare: Prepare, end: Finish) -> list[str]:
        """Runs the scenario without a crash; returns its writes."""
        async with self._environment("no-crash") as env:
            await prepare(env)
            await env.start_operator()
            await end(env)
            return await env.wait_until_quiet()

    async def crash_at_each(
        self, selected: Sequence[CrashPoint], prepare: Prepare, end: Finish
    ) -> dict[CrashPoint, str]:
        """Runs the scenario for each crash point; returns the failures, empty where every scenario ended as expected."""
        slots, failures, missed = asyncio.Semaphore(PARALLEL), dict[CrashPoint, str](), list[CrashPoint]()

        async def crash(point: CrashPoint) -> None:
            async with slots:
                try:
                    if not await self._crash_at(point, prepare, end):
                        missed.append(point)
                except Exception as error:  # noqa: BLE001 - all failures are reported together
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    failures[point] = f"{type(error).__name__} in {where.name}, {where.line}: {error}"

        await asyncio.gather(*(crash(point) for point in selected))
        if len(missed) > MAX_MISSED:
            failures |= dict.fromkeys(missed, "the scenario ended before this write")
        return failures

    async def _crash_at(self, point: CrashPoint, prepare: Prepare, end: Finish) -> bool:
        """Returns whether the scenario reached the crash point: sometimes two status writes are merged into one."""
        async with self._environment(str(point)) as env:
            await prepare(env)
            env.recorder.fault = WriteFault(
                point.moment, lambda write: write.number == point.number, action=env.kill_operator
            )
            await env.start_operator()
            scenario = asyncio.create_task(end(env))
            fault_done = asyncio.create_task(env.recorder.fault_done.wait())
            await asyncio.wait([scenario, fault_done], return_when=asyncio.FIRST_COMPLETED)
            if not fault_done.done():
                await scenario
                await env.wait_until_quiet()
            scenario.cancel()
            fault_done.cancel()
            if not env.recorder.fault_done.is_set():
                return False
            await env.start_operator()
            try:
                await end(env)
                settled = await env.wait_until_quiet()
            except AssertionError as error:
                write = env.recorder.faulted_write
                at = write.summary if write else "nothing"
                raise AssertionError(f"killed {point.moment} {at}: {error}\n{env.operator_log()}") from error
            assert len(settled) <= 2 * point.number + 60, f"too many writes: {settled}"
            return True

    @asynccontextmanager
    async def _environment(self, name: str) -> AsyncIterator[Environment]:
        namespace = f"crash-{uuid.uuid4().hex[:8]}"
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        connection = Connection.from_kubeconfig(self.cluster.kubeconfig)
        async with open_session(connection) as session:
            api = Api(session, connection.server, namespace)
            await api.create(manifest)
            folder = self.folder / f"{name}-{namespace}"
            async with open_environment(self.cluster, self.cloud, namespace, folder) as env:
                yield env
            await api.remove_namespace()
