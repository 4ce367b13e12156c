"""The row submissions: time from the creation of a TrainingRun to the submission of its job, at 20 creations a second."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from datetime import datetime
from typing import Any

from tests.bench.environment import ORG, Environment, training_run_spec, wait_until
from tests.bench.operators import INSTANT_PROGRAMS, operator
from tests.bench.processor import per_item, processor_seconds
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import TRAINING_RUNS

RATE = 20
SLOW_RATE = 1
SECONDS = 10
AGENTS = 4
WARM_UP = 2
P50_SECONDS, P99_SECONDS = 0.05, 0.25


async def measure(env: Environment, environ: dict[str, str] | None = None) -> list[Row]:
    """The rows of create -> job POST."""
    agents = [f"agent{number}" for number in range(AGENTS)]
    env.sandbox.hold_jobs()
    async with operator(env, module=INSTANT_PROGRAMS, environ=environ) as running:
        for agent in agents:
            await env.add_agent(agent)
        await wait_until(lambda: _have_records(env, agents), expected="the records of the AgentModels")
        for number in range(WARM_UP * AGENTS):
            await _create(env, f"warm-{number}", agents[number % AGENTS])
        await wait_until(lambda: _have_submitted(env, WARM_UP * AGENTS), expected="the first submissions")
        await asyncio.sleep(2)
        slow = await _create_at_rate(env, agents, rate=SLOW_RATE, prefix="slow")
        await wait_until(
            lambda: _have_submitted(env, WARM_UP * AGENTS + len(slow)),
            expected="submissions at the slow rate",
        )
        env.sandbox.forget_requests()
        before = processor_seconds(env, running.process.pid)
        created = await _create_at_rate(env, agents, rate=RATE, prefix="run")
        await wait_until(lambda: _have_submitted(env, len(created)), expected=f"{len(created)} submissions")
        after = processor_seconds(env, running.process.pid)
        posts = await asyncio.to_thread(_job_posts, env)
        jobs = await asyncio.to_thread(_jobs_accepted_at, env)
    durations = [jobs[uid] - requested_at for uid, requested_at in created.items()]
    limit_missed = quantile(durations, 0.5) >= P50_SECONDS or quantile(durations, 0.99) >= P99_SECONDS
    return [
        Row(
            name=f"create -> job POST, {RATE} creations/s for {SECONDS} s",
            measured=milliseconds(durations),
            limit="p50 < 50 ms, p99 < 250 ms",
            limit_missed=limit_missed,
            notes=(
                f"{AGENTS} agents, {len(created)} TrainingRuns, {len(posts)} POSTs; jobs held in scheduling, "
                "the dataset program replaced by one that has finished when started",
                f"processor time of one run: {per_item(before, after, len(created))}",
            ),
        ),
        Row(
            name=f"the same at {SLOW_RATE} creations/s",
            measured=milliseconds([jobs[uid] - requested_at for uid, requested_at in slow.items()]),
        ),
    ]


async def _create_at_rate(env: Environment, agents: list[str], *, rate: int, prefix: str) -> dict[str, float]:
    """Creates `rate` runs a second; returns the Unix time just before each request, by uid."""
    started = time.monotonic()

    async def create_one(number: int) -> tuple[str, float]:
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        requested_at = time.time()
        uid = await _create(env, f"{prefix}-{number:03}", agents[number % len(agents)])
        return uid, requested_at

    return dict(await asyncio.gather(*(create_one(number) for number in range(rate * SECONDS))))


async def _create(env: Environment, name: str, agent: str) -> str:
    made = await env.create(TRAINING_RUNS, name, spec=training_run_spec(agent))
    return str(made["metadata"]["uid"])


async def _have_records(env: Environment, agents: list[str]) -> bool:
    names = {item["metadata"]["name"] for item in await env.items(CONFIG_MAPS)}
    return names >= {record_name(agent) for agent in agents}


async def _have_submitted(env: Environment, count: int) -> bool:
    await asyncio.sleep(0.5)
    return len(await asyncio.to_thread(_job_posts, env)) >= count


def _job_posts(env: Environment) -> list[dict[str, Any]]:
    return env.sandbox.requests(service="hub", method="POST", path_regex=r"^/api/jobs/[^/]+$")


def _jobs_accepted_at(env: Environment) -> dict[str, float]:
    """When the sandbox accepted each job, in Unix seconds, by the run's uid in the label."""
    found: list[dict[str, Any]] = []
    url: str | None = f"{env.sandbox.hub}/api/jobs/{ORG}"
    while url:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {env.sandbox.hf_token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found += json.load(answer)
            link = answer.headers.get("Link", "")
        url = link[1 : link.index(">")] if 'rel="next"' in link else None
    # The label is <8 hex digits>-<uid>-<attempt>.
    return {job["labels"]["modelops-attempt"][9:-2]: _unix_seconds(job["createdAt"]) for job in found}


def _unix_seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
