"""The row following: the whole operator follows a thousand running jobs."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.bench.environment import ORG, Environment, training_run_spec, wait_until
from tests.bench.operators import INSTANT_PROGRAMS, Operator, operator
from tests.bench.processor import per_item, processor_seconds
from tests.bench.table import Row, milliseconds, quantile

from modelops.engine.poller import READS_PER_POLL
from modelops.engine.resources import TRAINING_RUNS

SANDBOX = "tests.bench.quiet_sandbox"
RUNS = 1000
AGENTS = 10
PARALLEL = 16
POLL_SECONDS = 2.0
"""Usually 15 s; with 2 s a minute has as many polls as seven minutes have."""
SETTLING_SECONDS = 110.0
"""Time in which each log is read once, so that the memory for it is allocated before the first sample."""
WINDOW_SECONDS = 40.0
PAGE = 100
LISTS, LAG_SECONDS, GROWTH = 2, 0.05, 0.05


@dataclass(frozen=True)
class Sample:
    """Counters at one time. `resident` is in bytes, `processor` in seconds by part."""

    at: float
    calls: dict[str, float]
    resident: float
    processor: dict[str, float]


async def measure(env: Environment) -> list[Row]:
    """The operator submits all runs; then it follows them, and two samples are compared."""
    agents, lag = [f"agent{number}" for number in range(AGENTS)], env.folder / "lag.jsonl"
    environ = {
        "MODELOPS_BENCH_LAG": str(lag),
        "MODELOPS_POLL_SECONDS": str(POLL_SECONDS),
        "MODELOPS_PROGRESS_SECONDS": "10",
    }
    async with operator(env, module=INSTANT_PROGRAMS, environ=environ) as running:
        for agent in agents:
            await env.add_agent(agent)
        creation_started, gate = time.monotonic(), asyncio.Semaphore(PARALLEL)

        async def create(number: int) -> None:
            async with gate:
                spec = training_run_spec(agents[number % AGENTS])
                await env.create(TRAINING_RUNS, f"run-{number:04}", spec=spec)

        await asyncio.gather(*(create(number) for number in range(RUNS)))
        await wait_until(lambda: _all_running(env), expected=f"{RUNS} running TrainingRuns", seconds=200)
        started = time.monotonic() - creation_started
        await asyncio.sleep(SETTLING_SECONDS)
        env.sandbox.forget_requests()
        before = await _take_sample(env, running)
        await asyncio.sleep(WINDOW_SECONDS)
        after = await _take_sample(env, running)
        pages = await asyncio.to_thread(_count_list_pages, env)
        progress = await _count_with_progress(env)
    return _rows(
        before,
        after,
        lags=_read_lags(lag, before.at, after.at),
        pages=pages,
        started=started,
        progress=progress,
    )


def _rows(
    before: Sample, after: Sample, *, lags: list[float], pages: int, started: float, progress: int
) -> list[Row]:
    polls = (after.at - before.at) / POLL_SECONDS
    called = {name: count - before.calls.get(name, 0) for name, count in after.calls.items()}
    lists = sum(count for name, count in called.items() if name.startswith("list_")) / polls
    polls_of_accounts = max(1.0, called.get("list_active", 0))
    reads, others = called.get("tail", 0) / polls_of_accounts, called.get("inspect", 0) / polls_of_accounts
    growth = after.resident / before.resident - 1
    jobs = f"{RUNS} running jobs"
    return [
        Row(
            name=f"{jobs}: calls per poll",
            measured=f"{lists:.1f} lists, {reads:.0f} logs, {others:.1f} others",
            limit=f"<= {LISTS} lists, <= {READS_PER_POLL} logs",
            peer=f"a call for each job: {RUNS}",
            limit_missed=lists > LISTS or reads > READS_PER_POLL + 1 or others > 1,
            notes=(
                f"{polls:.0f} polls, one in {POLL_SECONDS:.0f} s; a list has {pages / max(1, lists * polls):.0f} pages "
                f"of {PAGE} jobs here; {AGENTS} agents",
                f"all were created, submitted and running after {started:.0f} s; {progress} show progress at the end",
                f"processor time of {WINDOW_SECONDS:.0f} s: {per_item(before.processor, after.processor, 1)}",
            ),
        ),
        Row(
            name=f"{jobs}: event loop late by",
            measured=milliseconds(lags),
            limit=f"p99 < {LAG_SECONDS * 1000:.0f} ms",
            limit_missed=quantile(lags, 0.99) >= LAG_SECONDS,
            notes=(f"the worst: {max(lags) * 1000:.0f} ms",),
        ),
        Row(
            name=f"{jobs}: RSS of the operator",
            measured=f"{before.resident / 1e6:.0f} MB, {growth:+.1%} in {polls:.0f} polls",
            limit=f"< +{GROWTH:.0%}",
            limit_missed=growth >= GROWTH,
        ),
    ]


async def _all_running(env: Environment) -> bool:
    await asyncio.sleep(2)
    items = await env.items(TRAINING_RUNS)
    return sum((item.get("status") or {}).get("phase") == "Running" for item in items) >= RUNS


async def _count_with_progress(env: Environment) -> int:
    items = await env.items(TRAINING_RUNS)
    return sum(bool((item.get("status") or {}).get("progress")) for item in items)


async def _take_sample(env: Environment, running: Operator) -> Sample:
    calls = await asyncio.to_thread(_calls_by_operation, str(running.addresses["metrics"]))
    pid = running.process.pid
    resident = float(psutil.Process(pid).memory_info().rss)
    return Sample(time.time(), calls, resident, processor_seconds(env, pid))


def _calls_by_operation(metrics: str) -> dict[str, float]:
    """Calls to the Jobs service by operation, as the operator counts them."""
    with urllib.request.urlopen(f"{metrics}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if line.startswith("modelops_external_calls_total{") and 'api="jobs"' in line:
            operation = line.partition('operation="')[2].partition('"')[0]
            found[operation] = found.get(operation, 0) + float(line.rpartition(" ")[2])
    return found


def _count_list_pages(env: Environment) -> int:
    return len(env.sandbox.requests(service="hub", path_regex=rf"^/api/jobs/{ORG}\?"))


def _read_lags(file: Path, since: float, until: float) -> list[float]:
    lines = (json.loads(line) for line in file.read_text().splitlines())
    return [late for at, lates in lines if since <= at <= until for late in lates]
