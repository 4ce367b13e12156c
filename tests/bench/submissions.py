"""Row 2: from the creation of a TrainingRun to the submission of its job, at 20 creations a second."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from datetime import datetime
from typing import Any

from tests.bench.operators import INSTANT, operator
from tests.bench.processor import each, processor_seconds
from tests.bench.stage import ORG, Stage, eventually, training_run_spec
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import TRAINING_RUNS

RATE = 20
CALM_RATE = 1
SECONDS = 10
AGENTS = 4
WARM_UP = 2
P50_SECONDS, P99_SECONDS = 0.05, 0.25


async def measure(stage: Stage, environ: dict[str, str] | None = None) -> list[Row]:
    """The rows of create -> job POST."""
    agents = [f"agent{number}" for number in range(AGENTS)]
    stage.sandbox.hold_jobs()
    async with operator(stage, module=INSTANT, environ=environ) as running:
        for agent in agents:
            await stage.add_agent(agent)
        await eventually(lambda: _records(stage, agents), what="the records of the AgentModels")
        for number in range(WARM_UP * AGENTS):
            await _create(stage, f"warm-{number}", agents[number % AGENTS])
        await eventually(lambda: _submitted(stage, WARM_UP * AGENTS), what="the first submissions")
        await asyncio.sleep(2)
        calm = await _creations(stage, agents, rate=CALM_RATE, prefix="calm")
        await eventually(lambda: _submitted(stage, WARM_UP * AGENTS + len(calm)), what="calm submissions")
        stage.sandbox.forget_requests()
        before = processor_seconds(stage, running.process.pid)
        created = await _creations(stage, agents, rate=RATE, prefix="run")
        await eventually(lambda: _submitted(stage, len(created)), what=f"{len(created)} submissions")
        after = processor_seconds(stage, running.process.pid)
        posts = await asyncio.to_thread(_posts, stage)
        jobs = await asyncio.to_thread(_jobs, stage)
    taken = [jobs[uid] - at for uid, at in created.items()]
    over = quantile(taken, 0.5) >= P50_SECONDS or quantile(taken, 0.99) >= P99_SECONDS
    return [
        Row(
            what=f"create -> job POST, {RATE} creations/s for {SECONDS} s",
            measured=milliseconds(taken),
            limit="p50 < 50 ms, p99 < 250 ms",
            over=over,
            notes=(
                f"{AGENTS} agents, {len(created)} TrainingRuns, {len(posts)} POSTs; jobs held in scheduling, "
                "the dataset program replaced by one that has finished when started",
                f"processor time of one run: {each(before, after, len(created))}",
            ),
        ),
        Row(
            what=f"the same at {CALM_RATE} creations/s",
            measured=milliseconds([jobs[uid] - at for uid, at in calm.items()]),
        ),
    ]


async def _creations(stage: Stage, agents: list[str], *, rate: int, prefix: str) -> dict[str, float]:
    """Unix time of each creation's request, by uid; `rate` a second."""
    begun = time.monotonic()

    async def one(number: int) -> tuple[str, float]:
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        at = time.time()
        uid = await _create(stage, f"{prefix}-{number:03}", agents[number % len(agents)])
        return uid, at

    return dict(await asyncio.gather(*(one(number) for number in range(rate * SECONDS))))


async def _create(stage: Stage, name: str, agent: str) -> str:
    made = await stage.create(TRAINING_RUNS, name, spec=training_run_spec(agent))
    return str(made["metadata"]["uid"])


async def _records(stage: Stage, agents: list[str]) -> bool:
    names = {item["metadata"]["name"] for item in await stage.items(CONFIG_MAPS)}
    return names >= {record_name(agent) for agent in agents}


async def _submitted(stage: Stage, count: int) -> bool:
    await asyncio.sleep(0.5)
    return len(await asyncio.to_thread(_posts, stage)) >= count


def _posts(stage: Stage) -> list[dict[str, Any]]:
    return stage.sandbox.requests(service="hub", method="POST", path_regex=r"^/api/jobs/[^/]+$")


def _jobs(stage: Stage) -> dict[str, float]:
    """When the sandbox took each job in, Unix seconds, by the run's uid in the label."""
    found: list[dict[str, Any]] = []
    url: str | None = f"{stage.sandbox.hub}/api/jobs/{ORG}"
    while url:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {stage.sandbox.hf_token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found += json.load(answer)
            link = answer.headers.get("Link", "")
        url = link[1 : link.index(">")] if 'rel="next"' in link else None
    # The label is <8 hex digits>-<uid>-<attempt>.
    return {job["labels"]["modelops-attempt"][9:-2]: _unix(job["createdAt"]) for job in found}


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
