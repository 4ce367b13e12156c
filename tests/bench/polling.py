"""The row polling: requests to the Jobs service for one poll of a hundred running jobs."""

from __future__ import annotations

import asyncio

from tests.bench.environment import ORG, Environment, wait_until
from tests.bench.table import Row

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceJobs
from modelops.engine.clock import SystemClock
from modelops.engine.poller import READS_PER_POLL, SharedJobPoller
from modelops.engine.watched_job import WatchedJob
from modelops.ports import JobRequest
from modelops.runtime.call_counter import count_calls
from modelops.runtime.metrics import Metrics

JOBS = 100
POLLS = 5
PARALLEL = 8


async def measure(env: Environment) -> list[Row]:
    """Uses the operator's poller and its adapter of the real SDK, with jobs that really run."""
    connection = HuggingFaceConnection(hub_url=env.sandbox.hub, endpoints_url=env.sandbox.endpoints)
    try:
        return await _measure(env, HuggingFaceJobs(connection))
    finally:
        connection.close()


async def _measure(env: Environment, jobs: HuggingFaceJobs) -> list[Row]:
    token, gate = env.sandbox.hf_token, asyncio.Semaphore(PARALLEL)

    async def submit(number: int) -> str:
        async with gate:
            return (await jobs.submit(token, _request(number))).id

    ids = await asyncio.gather(*(submit(number) for number in range(JOBS)))

    async def running() -> bool:
        await asyncio.sleep(0.5)
        return sum(job.stage == "RUNNING" for job in await jobs.list_active(token, ORG)) >= JOBS

    await wait_until(running, expected=f"{JOBS} running jobs")
    metrics = Metrics()
    followed = count_calls(jobs, api="jobs", metrics=metrics)
    poller = SharedJobPoller(followed, clock=SystemClock(), changed=lambda _: None)
    for job_id in ids:
        poller.watch(WatchedJob(key=job_id, token=token, namespace=ORG, job_id=job_id, nonce="0" * 20))
    first = await _calls_of_one_poll(env, poller, metrics)
    later = [await _calls_of_one_poll(env, poller, metrics) for _ in range(POLLS)]
    lists = [calls["lists"] for calls in (first, *later)]
    logs = [calls["logs"] for calls in (first, *later)]
    others = [calls["inspections"] for calls in later]
    return [
        Row(
            name=f"external calls per poll for {JOBS} running jobs",
            measured=f"{max(lists)} list, {max(logs)} logs, {max(others)} others",
            limit=f"1 list, <= {READS_PER_POLL} logs",
            peer=f"a call for each job: {JOBS}",
            limit_missed=max(lists) > 1 or max(logs) > READS_PER_POLL or any(others),
            notes=(
                f"{POLLS} polls after the first one; a running job's log is read every 30 s where its turn comes, four "
                "at a time",
            ),
        )
    ]


async def _calls_of_one_poll(env: Environment, poller: SharedJobPoller, metrics: Metrics) -> dict[str, int]:
    """Calls of one poll: the pages of lists from the sandbox's log, the other calls from the operator's metrics."""
    env.sandbox.forget_requests()
    before = _counted_calls(metrics)
    await poller.poll()
    calls = await asyncio.to_thread(env.sandbox.requests, service="hub", path_regex=rf"^/api/jobs/{ORG}\?")
    return {
        "lists": len(calls),
        **{name: count - before[name] for name, count in _counted_calls(metrics).items()},
    }


def _counted_calls(metrics: Metrics) -> dict[str, int]:
    names = {"logs": "tail", "inspections": "inspect"}
    labels_by_name = {
        name: {"api": "jobs", "operation": what, "outcome": "ok"} for name, what in names.items()
    }
    value = metrics.registry.get_sample_value
    return {
        name: int(value("modelops_external_calls_total", labels) or 0)
        for name, labels in labels_by_name.items()
    }


def _request(number: int) -> JobRequest:
    return JobRequest(
        namespace=ORG,
        label=f"bench-{number}-1",
        flavor="cpu-basic",
        timeout_seconds=600,
        image="python:3.12",
        command=("sleep", "600"),
        environment={},
        secrets={},
    )
