"""One poller for all runs: the requests that it sends, and the runs that it notifies."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import pytest
from tests.patience import deadline_after

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceJobs
from modelops.engine.clock import SystemClock
from modelops.engine.poller import SharedJobPoller
from modelops.engine.watched_job import WatchedJob
from modelops.ports import Job, JobRequest
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

LISTING = rf"^/api/jobs/{USER}$"
NONCE = "n0nce"
TRAINS = """
import json, pathlib, sys, time
def say(kind, **fields):
    print("@@modelops:n0nce@@ " + json.dumps({"v": 1, "kind": kind, "t": time.time(), **fields}), flush=True)
say("begin", max_steps=4)
say("log", step=2, max_steps=4, metrics={"loss": 1.5})
"""
WAITS = TRAINS + "time.sleep(60)"
EXITS = "raise SystemExit(1)"
FAILS = TRAINS + "say('error', reason='OutOfMemory', message='too large', exit_code=42); sys.exit(42)"


@pytest.fixture
def jobs(sandbox: SandboxInfo) -> Any:
    connection = HuggingFaceConnection(hub_url=sandbox.hub, endpoints_url=sandbox.endpoints)
    yield HuggingFaceJobs(connection)
    connection.close()


@pytest.fixture
def told() -> list[Hashable]:
    return []


@pytest.fixture
def poller(jobs: HuggingFaceJobs, told: list[Hashable]) -> SharedJobPoller:
    return SharedJobPoller(jobs, clock=SystemClock(), changed=told.append, report_seconds=0)


@pytest.fixture
def token(sandbox: SandboxInfo) -> str:
    return sandbox.hf_token


@pytest.fixture
def request_of(unique: Callable[[str], str]) -> Callable[[str], JobRequest]:
    return lambda code: JobRequest(
        namespace=USER,
        label=unique("attempt"),
        flavor="cpu-basic",
        timeout_seconds=60,
        image="python:3.11",
        command=("python", "-c", code),
        environment={},
        secrets={},
    )


def watch(token: str, job: Job) -> WatchedJob:
    return WatchedJob(key=job.label, token=token, namespace=USER, job_id=job.id, nonce=NONCE)


async def poll_until(poller: SharedJobPoller, condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = deadline_after(seconds)
    while not condition():
        assert time.monotonic() < deadline
        await poller.poll()
        await asyncio.sleep(0.02)


async def poll_until_ended(poller: SharedJobPoller, job: Job) -> None:
    def ended() -> bool:
        seen = poller.observe(job.label)
        return seen is not None and seen.job is not None and seen.job.ended

    await poll_until(poller, ended)


async def poll_until_settled(poller: SharedJobPoller, job: Job) -> None:
    def settled() -> bool:
        seen = poller.observe(job.label)
        return seen is not None and seen.settled

    await poll_until(poller, settled)


async def test_a_hundred_waiting_jobs_are_one_call_per_poll(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    sandbox: SandboxInfo,
    request_of: Callable[[str], JobRequest],
) -> None:
    sandbox.hold_jobs()
    request = request_of("pass")
    made = await asyncio.gather(
        *(jobs.submit(token, replace(request, label=f"{request.label}-{number}")) for number in range(100))
    )
    sandbox.forget_requests()
    for job in made:
        poller.watch(watch(token, job))
    await poller.poll()
    await poller.poll()
    paths = [call["path"] for call in sandbox.requests(service="hub")]
    assert paths == [f"/api/jobs/{USER}?stage=SCHEDULING&stage=RUNNING"] * 2
    assert all(poller.observe(job.label).job.stage == "SCHEDULING" for job in made)  # type: ignore[union-attr]
    await asyncio.gather(*(jobs.cancel(token, USER, job.id) for job in made))


async def test_without_watched_jobs_no_request_is_sent(poller: SharedJobPoller, sandbox: SandboxInfo) -> None:
    await poller.poll()
    assert sandbox.requests(service="hub") == []


async def test_a_refused_token_is_reported_at_once_and_forgotten_with_a_good_one(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    told: list[Hashable],
    request_of: Callable[[str], JobRequest],
) -> None:
    job = await jobs.submit(token, request_of(WAITS))
    poller.watch(watch("hf_a_revoked_token", job), known=job)
    await poller.poll()
    refused = poller.observe(job.label)
    assert refused is not None
    assert "401" in refused.token_refusal
    assert told == [job.label]
    poller.watch(watch(token, job))
    await poll_until(poller, lambda: told == [job.label] * 2)
    accepted = poller.observe(job.label)
    assert accepted is not None
    assert accepted.token_refusal == ""
    await jobs.cancel(token, USER, job.id)


async def test_progress_of_a_running_job_is_reported_once(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    told: list[Hashable],
    request_of: Callable[[str], JobRequest],
) -> None:
    job = await jobs.submit(token, request_of(WAITS))
    poller.watch(watch(token, job))

    def reported() -> bool:
        seen = poller.observe(job.label)
        return seen is not None and seen.report is not None and seen.report.step == 2

    await poll_until(poller, reported)
    assert poller.labelled(token, USER, job.label)[0].id == job.id
    times = len(told)
    await poller.poll()
    assert len(told) == times
    await jobs.cancel(token, USER, job.id)


async def test_a_failed_job_is_reported_with_its_error_and_then_not_read_again(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    told: list[Hashable],
    sandbox: SandboxInfo,
    request_of: Callable[[str], JobRequest],
) -> None:
    job = await jobs.submit(token, request_of(FAILS))
    poller.watch(watch(token, job))
    await poll_until_ended(poller, job)
    seen = poller.observe(job.label)
    assert seen is not None
    assert seen.report is not None
    assert (seen.report.failure, seen.report.error) == ("out_of_memory", "OutOfMemory: too large")
    assert told[-1] == job.label
    sandbox.forget_requests()
    await poller.poll()
    assert sandbox.requests(service="hub") == []


async def test_a_job_that_the_service_does_not_know_is_missing_after_three_polls_at_least(
    jobs: HuggingFaceJobs, token: str, told: list[Hashable]
) -> None:
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=told.append, missing_seconds=0)
    observation = poller.watch(WatchedJob(key="k", token=token, namespace=USER, job_id="0" * 24))
    assert observation.job is None
    await poller.poll()
    assert told == []
    await poller.poll()
    await poller.poll()
    seen = poller.observe("k")
    assert seen is not None
    assert seen.not_found
    assert told == ["k"]


async def test_a_rate_limit_is_respected_and_reported(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    sandbox: SandboxInfo,
    request_of: Callable[[str], JobRequest],
) -> None:
    sandbox.hold_jobs()
    job = await jobs.submit(token, request_of("pass"))
    poller.watch(watch(token, job))
    sandbox.fault("hub", "status", status=429, retry_after=60, path_regex=LISTING, method="GET")
    sandbox.forget_requests()
    await poller.poll()
    await poller.poll()
    assert len(sandbox.requests(service="hub", path_regex="stage=RUNNING")) == 1
    seen = poller.observe(job.label)
    assert seen is not None
    assert "429" in seen.problem
    await jobs.cancel(token, USER, job.id)


async def test_an_unreadable_log_delays_the_end_only_for_a_while(
    jobs: HuggingFaceJobs,
    token: str,
    told: list[Hashable],
    sandbox: SandboxInfo,
    request_of: Callable[[str], JobRequest],
) -> None:
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=told.append, final_seconds=1.0)
    job = await jobs.submit(token, request_of(EXITS))
    sandbox.fault("hub", "status", status=503, times=None, path_regex="/logs$")
    poller.watch(watch(token, job))
    await poll_until_settled(poller, job)
    seen = poller.observe(job.label)
    assert seen is not None
    assert seen.report is None
    assert len(sandbox.requests(service="hub", path_regex="/logs")) >= 3


async def test_the_end_of_a_log_that_is_late_is_read_again(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    told: list[Hashable],
    sandbox: SandboxInfo,
    request_of: Callable[[str], JobRequest],
) -> None:
    """Half-open streams: the first readings end before the line that says what happened."""
    sandbox.log_streams(silent_after=2, keep_alive=60)
    job = await jobs.submit(
        token, request_of(FAILS.replace("exit_code=42); sys.exit(42)", "exit_code=42); sys.exit(1)"))
    )
    poller.watch(watch(token, job))
    await poll_until_ended(poller, job)
    early = poller.observe(job.label)
    assert early is not None
    assert not early.settled
    assert early.report is None or not early.report.ended
    sandbox.log_streams()
    await poller.poll()
    seen = poller.observe(job.label)
    assert seen is not None
    assert seen.settled
    assert seen.report is not None
    assert seen.report.failure == "out_of_memory"
    assert told[-1] == job.label


async def test_an_exit_code_of_the_trainer_needs_no_log(
    jobs: HuggingFaceJobs,
    poller: SharedJobPoller,
    token: str,
    request_of: Callable[[str], JobRequest],
) -> None:
    job = await jobs.submit(token, request_of("raise SystemExit(44)"))
    poller.watch(watch(token, job))
    await poll_until_settled(poller, job)
    seen = poller.observe(job.label)
    assert seen is not None
    assert seen.job is not None
    assert seen.job.exit_code == 44


async def test_a_requested_poll_does_not_wait_for_the_interval(
    jobs: HuggingFaceJobs, token: str, told: list[Hashable], request_of: Callable[[str], JobRequest]
) -> None:
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=told.append, interval_seconds=600)
    job = await jobs.submit(token, request_of("pass"))
    loop = asyncio.create_task(poller.run())
    try:
        await asyncio.sleep(0)
        poller.watch(watch(token, job))
        deadline = deadline_after(15)
        while not told:
            assert time.monotonic() < deadline
            poller.poll_soon()
            await asyncio.sleep(0.05)
    finally:
        loop.cancel()


async def test_a_forgotten_watch_is_not_notified(
    poller: SharedJobPoller, token: str, told: list[Hashable]
) -> None:
    poller.watch(WatchedJob(key="k", token=token, namespace=USER, job_id="0" * 24))
    poller.forget("k")
    for _ in range(3):
        await poller.poll()
    assert (poller.observe("k"), told) == (None, [])


def test_tokens_and_nonces_are_not_shown() -> None:
    shown = repr(WatchedJob(key="k", token="hf_secret", namespace="n", job_id="j", nonce="n0nce"))
    assert "hf_secret" not in shown
    assert "n0nce" not in shown
