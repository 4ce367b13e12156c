"""Row: a thousand running jobs, followed by the whole operator."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.bench.operators import INSTANT, Operator, operator
from tests.bench.processor import each, processor_seconds
from tests.bench.stage import ORG, Stage, eventually, training_run_spec
from tests.bench.table import Row, milliseconds, quantile

from modelops.engine.poller import READS_PER_POLL
from modelops.engine.resources import TRAINING_RUNS

SANDBOX = "tests.bench.quiet_sandbox"
RUNS = 1000
AGENTS = 10
AT_ONCE = 16
POLL_SECONDS = 2.0
"""Of usually 15, so that a minute has as many polls as seven have."""
SETTLING_SECONDS = 110.0
"""Each log is read once, and what memory this takes is taken."""
WINDOW_SECONDS = 40.0
PAGE = 100
LISTS, LAG_SECONDS, GROWTH = 2, 0.05, 0.05


@dataclass(frozen=True)
class Moment:
    """What is counted, at one time."""

    at: float
    calls: dict[str, float]
    resident: float
    processor: dict[str, float]


async def measure(stage: Stage) -> list[Row]:
    """Every run is created and submitted by the operator; then they are followed for a minute."""
    agents, lag = [f"agent{number}" for number in range(AGENTS)], stage.folder / "lag.jsonl"
    environ = {
        "MODELOPS_BENCH_LAG": str(lag),
        "MODELOPS_POLL_SECONDS": str(POLL_SECONDS),
        "MODELOPS_PROGRESS_SECONDS": "10",
    }
    async with operator(stage, module=INSTANT, environ=environ) as running:
        for agent in agents:
            await stage.add_agent(agent)
        begun, gate = time.monotonic(), asyncio.Semaphore(AT_ONCE)

        async def create(number: int) -> None:
            async with gate:
                spec = training_run_spec(agents[number % AGENTS])
                await stage.create(TRAINING_RUNS, f"run-{number:04}", spec=spec)

        await asyncio.gather(*(create(number) for number in range(RUNS)))
        await eventually(lambda: _running(stage), what=f"{RUNS} running TrainingRuns", seconds=200)
        started = time.monotonic() - begun
        await asyncio.sleep(SETTLING_SECONDS)
        stage.sandbox.forget_requests()
        before = await _moment(stage, running)
        await asyncio.sleep(WINDOW_SECONDS)
        after = await _moment(stage, running)
        pages = await asyncio.to_thread(_pages, stage)
        progress = await _progress(stage)
    return _rows(
        before, after, lags=_lags(lag, before.at, after.at), pages=pages, started=started, progress=progress
    )


def _rows(
    before: Moment, after: Moment, *, lags: list[float], pages: int, started: float, progress: int
) -> list[Row]:
    polls = (after.at - before.at) / POLL_SECONDS
    called = {name: count - before.calls.get(name, 0) for name, count in after.calls.items()}
    lists = sum(count for name, count in called.items() if name.startswith("list_")) / polls
    looks = max(1.0, called.get("list_active", 0))
    reads, others = called.get("tail", 0) / looks, called.get("inspect", 0) / looks
    growth = after.resident / before.resident - 1
    what = f"{RUNS} running jobs"
    return [
        Row(
            what=f"{what}: calls per poll",
            measured=f"{lists:.1f} lists, {reads:.0f} logs, {others:.1f} others",
            limit=f"<= {LISTS} lists, <= {READS_PER_POLL} logs",
            peer=f"a call for each job: {RUNS}",
            over=lists > LISTS or reads > READS_PER_POLL + 1 or others > 1,
            notes=(
                f"{polls:.0f} polls, one in {POLL_SECONDS:.0f} s; a list has {pages / max(1, lists * polls):.0f} pages "
                f"of {PAGE} jobs here; {AGENTS} agents",
                f"all were created, submitted and running after {started:.0f} s; {progress} show progress at the end",
                f"processor time of {WINDOW_SECONDS:.0f} s: {each(before.processor, after.processor, 1)}",
            ),
        ),
        Row(
            what=f"{what}: event loop late by",
            measured=milliseconds(lags),
            limit=f"p99 < {LAG_SECONDS * 1000:.0f} ms",
            over=quantile(lags, 0.99) >= LAG_SECONDS,
            notes=(f"the worst: {max(lags) * 1000:.0f} ms",),
        ),
        Row(
            what=f"{what}: RSS of the operator",
            measured=f"{before.resident / 1e6:.0f} MB, {growth:+.1%} in {polls:.0f} polls",
            limit=f"< +{GROWTH:.0%}",
            over=growth >= GROWTH,
        ),
    ]


async def _running(stage: Stage) -> bool:
    await asyncio.sleep(2)
    items = await stage.items(TRAINING_RUNS)
    return sum((item.get("status") or {}).get("phase") == "Running" for item in items) >= RUNS


async def _progress(stage: Stage) -> int:
    items = await stage.items(TRAINING_RUNS)
    return sum(bool((item.get("status") or {}).get("progress")) for item in items)


async def _moment(stage: Stage, running: Operator) -> Moment:
    calls = await asyncio.to_thread(_calls, str(running.addresses["metrics"]))
    pid = running.process.pid
    resident = float(psutil.Process(pid).memory_info().rss)
    return Moment(time.time(), calls, resident, processor_seconds(stage, pid))


def _calls(metrics: str) -> dict[str, float]:
    """Calls to the Jobs service by operation, as the operator counts them."""
    with urllib.request.urlopen(f"{metrics}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if line.startswith("modelops_external_calls_total{") and 'service="jobs"' in line:
            operation = line.partition('operation="')[2].partition('"')[0]
            found[operation] = found.get(operation, 0) + float(line.rpartition(" ")[2])
    return found


def _pages(stage: Stage) -> int:
    return len(stage.sandbox.requests(service="hub", path_regex=rf"^/api/jobs/{ORG}\?"))


def _lags(file: Path, since: float, until: float) -> list[float]:
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return [late for at, lates in lines if since <= at <= until for late in lates]
