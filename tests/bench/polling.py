"""Row 5: what following a hundred running jobs asks of the service."""

from __future__ import annotations

import asyncio

from tests.bench.stage import ORG, Stage, eventually
from tests.bench.table import Row

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceJobs
from modelops.engine.clock import SystemClock
from modelops.engine.poller import SharedJobPoller, Watch
from modelops.ports import JobRequest

JOBS = 100
POLLS = 5
AT_ONCE = 8


async def measure(stage: Stage) -> list[Row]:
    """The poller and the SDK's adapter as the operator has them, over jobs that really run."""
    connection = HuggingFaceConnection(hub_url=stage.sandbox.hub, endpoints_url=stage.sandbox.endpoints)
    try:
        return await _measured(stage, HuggingFaceJobs(connection))
    finally:
        connection.close()


async def _measured(stage: Stage, jobs: HuggingFaceJobs) -> list[Row]:
    token, gate = stage.sandbox.hf_token, asyncio.Semaphore(AT_ONCE)

    async def submit(number: int) -> str:
        async with gate:
            return (await jobs.submit(token, _request(number))).id

    ids = await asyncio.gather(*(submit(number) for number in range(JOBS)))

    async def running() -> bool:
        await asyncio.sleep(0.5)
        return sum(job.stage == "RUNNING" for job in await jobs.list_active(token, ORG)) >= JOBS

    await eventually(running, what=f"{JOBS} running jobs")
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=lambda _: None)
    for job_id in ids:
        poller.watch(Watch(key=job_id, token=token, namespace=ORG, job_id=job_id, nonce="0" * 20))
    first = await _calls(stage, poller)
    later = [await _calls(stage, poller) for _ in range(POLLS)]
    lists = [calls[0] for calls in (first, *later)]
    return [
        Row(
            what=f"external calls per poll for {JOBS} running jobs",
            measured=f"{max(lists)} list, {max(other for _, other in later)} others",
            limit="1 list",
            peer=f"a call for each job: {JOBS}",
            over=max(lists) > 1 or any(other for _, other in later),
            notes=(
                f"{POLLS} polls; beside them each running job's log is read once in 30 s, four at a time "
                f"(first poll: {first[1]} logs)",
            ),
        )
    ]


async def _calls(stage: Stage, poller: SharedJobPoller) -> tuple[int, int]:
    """Lists, and other calls, of one poll."""
    stage.sandbox.forget_requests()
    await poller.poll()
    calls = await asyncio.to_thread(stage.sandbox.requests)
    lists = sum(str(call["path"]).startswith(f"/api/jobs/{ORG}?") for call in calls)
    return lists, len(calls) - lists


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
