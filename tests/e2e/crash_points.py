"""Which moments of a life the operator is killed at, and the machinery that lives it once for each."""

from __future__ import annotations

import asyncio
import os
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import Kubectl
from tests.e2e.cloud import Cloud
from tests.e2e.recording_proxy import Moment, Strike
from tests.e2e.stage import Stage, stage

from modelops.localcluster import LocalCluster

ALL = "MODELOPS_CRASH_POINTS"
"""Set to `all`: every write at every moment. Otherwise every write with its answer lost, and a third of the
others that changes from day to day."""
AT_ONCE = int(os.environ.get("MODELOPS_CRASH_PARALLEL", "5"))

Live = Callable[[Stage], Awaitable[None]]
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
    third = (datetime.now(UTC).toordinal() if day is None else day) % 3
    every = os.environ.get(ALL) == "all"
    return [
        Point(number, moment)
        for moment in (Moment.LOST, Moment.BEFORE, Moment.ANSWERED)
        for number in range(1, writes + 1)
        if every or moment is Moment.LOST or number % 3 == third
    ]


@dataclass(frozen=True)
class Harness:
    """Lives a life once for each point, a few at a time, each in a namespace of its own."""

    cluster: LocalCluster
    cloud: Cloud
    kubectl: Kubectl
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
        slots, wrong = asyncio.Semaphore(AT_ONCE), dict[Point, str]()

        async def one(point: Point) -> None:
            async with slots:
                try:
                    await self._crash(point, prepare, end)
                except Exception as error:  # noqa: BLE001 - every point is tried, and all are told together
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    wrong[point] = f"{type(error).__name__} in {where.name}, {where.line}: {error}"

        await asyncio.gather(*(one(point) for point in due))
        return wrong

    async def _crash(self, point: Point, prepare: Prepare, end: Live) -> None:
        async with self._stage(str(point)) as here:
            await prepare(here)
            here.recorder.strike = Strike(
                point.moment, lambda write: write.number == point.number, act=here.kill
            )
            await here.start()
            await here.until(lambda: here.recorder.acted.is_set(), seconds=60, say=f"struck at {point}")
            await here.start()
            try:
                await end(here)
                settled = await here.quiet()
            except AssertionError as error:
                struck = here.recorder.struck
                at = struck.line if struck else "nothing"
                raise AssertionError(f"killed {point.moment} {at}: {error}\n{here.log()}") from error
            assert len(settled) <= 3 * point.number + 60, f"too many writes: {settled}"

    @asynccontextmanager
    async def _stage(self, name: str) -> AsyncIterator[Stage]:
        namespace = f"crash-{uuid.uuid4().hex[:8]}"
        await asyncio.to_thread(self.kubectl, "create", "namespace", namespace, check=True)
        try:
            async with stage(
                self.cluster, self.cloud, namespace, self.folder / f"{name}-{namespace}"
            ) as here:
                yield here
        finally:
            await asyncio.to_thread(self.kubectl, "delete", "namespace", namespace, "--wait=false")
