"""Progress notifications while a call waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.mcp_server.services import Ctx

_HEARTBEAT_SECONDS: Final = 10.0
"""A client's time limit for a call begins anew with each notification; the shortest default is 30 s."""


@asynccontextmanager
async def reported(ctx: Ctx, wait_seconds: float) -> AsyncIterator[Callable[[Any], None]]:
    """Yields a function to be told of each change of a TrainingRun or Rollout.

    The progress is the waiting time, which always grows; the message says how far the training or rollout is.
    """
    said: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.create_task(_report(ctx, said, wait_seconds))
    try:
        yield lambda value: said.put_nowait(line(value))
    finally:
        said.put_nowait(None)
        await task


async def _report(ctx: Ctx, said: asyncio.Queue[str | None], wait_seconds: float) -> None:
    """Report what is said, and the last of it again and again, until None is said."""
    begun, last, message = time.monotonic(), -1.0, "waiting"
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                heard = await said.get()
            if heard is None:
                return
            message = heard
        last = max(last + 0.001, time.monotonic() - begun)
        await ctx.report_progress(last, max(wait_seconds, last), message)


def line(value: TrainingRun | Rollout) -> str:
    """The state in one line: `Running, 45 %, loss 0.42, 12 minutes left`."""
    parts = [value.status.phase.value]
    if isinstance(value, TrainingRun) and value.status.progress is not None:
        progress = value.status.progress
        parts.append(f"{progress.percent} %")
        parts += [f"loss {progress.loss}"] if progress.loss else []
        parts += [f"{progress.eta_minutes} minutes left"] if progress.eta_minutes is not None else []
    if isinstance(value, Rollout) and value.status.weight:
        parts.append(f"{value.status.weight} % of the sessions")
    return ", ".join(parts)
