"""Which moments of a life the operator is killed at, and the machinery that lives it once for each."""

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

from tests.e2e.api import Api, connected
from tests.e2e.cloud import Cloud
from tests.e2e.recording_proxy import Moment, Strike
from tests.e2e.stage import Stage, stage

from modelops.adapters.kube import Connection
from modelops.localcluster import LocalCluster

ALL = "MODELOPS_CRASH_POINTS"
"""Set to `all`: every write at every moment. Otherwise every write with its answer lost, and a third of the
writes at one of the other moments; which ones changes from day to day."""
MOST_MISSED = 3
"""So many lives may be over before their write: the number of writes varies by one or two."""
AT_ONCE = int(os.environ.get("MODELOPS_CRASH_PARALLEL", "5"))

Live = Callable[[Stage], Coroutine[Any, Any, None]]
"""Brings a life to its end, whatever was done of it before; fails where the end is not the only right one."""
Prepare = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Point:
    """The operator is killed at the moment of write `number` (from 1)."""

    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment}-{self.number}"


def points(writes: int, *, day: int | None = None) -> list[Point]:
    """All points of a life with so many writes, or the share of them that is due."""
    today = datetime.now(UTC).toordinal() if day is None else day
    every = os.environ.get(ALL) == "all"
    others = (Moment.BEFORE, Moment.ANSWERED)
    return [
        Point(number, moment)
        for moment in (Moment.LOST, *(others if every else others[today % 2 : today % 2 + 1]))
        for number in range(1, writes + 1)
        if every or moment is Moment.LOST or number % 3 == today % 3
    ]


@dataclass(frozen=True)
class Harness:
    """Lives a life once for each point, a few at a time, each in a namespace of its own."""

    cluster: LocalCluster
    cloud: Cloud
    folder: Path

    async def undisturbed(self, prepare: Prepare, end: Live) -> list[str]:
        """The writes of a life without a crash."""
        async with self._stage("undisturbed") as here:
            await prepare(here)
            await here.start()
            await end(here)
            return await here.quiet()

    async def crash_everywhere(self, due: Sequence[Point], prepare: Prepare, end: Live) -> dict[Point, str]:
        """What went wrong, by point; empty where every life ended well."""
        slots, wrong, missed = asyncio.Semaphore(AT_ONCE), dict[Point, str](), list[Point]()

        async def one(point: Point) -> None:
            async with slots:
                try:
                    if not await self._crash(point, prepare, end):
                        missed.append(point)
                except Exception as error:  # noqa: BLE001 - every point is tried, and all are told together
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    wrong[point] = f"{type(error).__name__} in {where.name}, {where.line}: {error}"

        await asyncio.gather(*(one(point) for point in due))
        if len(missed) > MOST_MISSED:
            wrong |= dict.fromkeys(missed, "the life was over before this write")
        return wrong

    async def _crash(self, point: Point, prepare: Prepare, end: Live) -> bool:
        """Whether the life came to that point at all: sometimes two status writes are one."""
        async with self._stage(str(point)) as here:
            await prepare(here)
            here.recorder.strike = Strike(
                point.moment, lambda write: write.number == point.number, act=here.kill
            )
            await here.start()
            life = asyncio.create_task(end(here))
            struck = asyncio.create_task(here.recorder.acted.wait())
            await asyncio.wait([life, struck], return_when=asyncio.FIRST_COMPLETED)
            if not struck.done():
                await life
                await here.quiet()
            life.cancel()
            struck.cancel()
            if not here.recorder.acted.is_set():
                return False
            await here.start()
            try:
                await end(here)
                settled = await here.quiet()
            except AssertionError as error:
                write = here.recorder.struck
                at = write.line if write else "nothing"
                raise AssertionError(f"killed {point.moment} {at}: {error}\n{here.log()}") from error
            assert len(settled) <= 2 * point.number + 60, f"too many writes: {settled}"
            return True

    @asynccontextmanager
    async def _stage(self, name: str) -> AsyncIterator[Stage]:
        namespace = f"crash-{uuid.uuid4().hex[:8]}"
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        connection = Connection.from_kubeconfig(self.cluster.kubeconfig)
        async with connected(connection) as session:
            api = Api(session, connection.server, namespace)
            await api.create(manifest)
            folder = self.folder / f"{name}-{namespace}"
            async with stage(self.cluster, self.cloud, namespace, folder) as here:
                yield here
            await api.delete("Namespace", namespace)
