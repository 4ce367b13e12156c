"""Log streams that replay, fall silent on an open connection, or send only keep-alives."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.loopback_server import serving
from tests.patience import deadline_after, patient

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceHub, HuggingFaceJobs, files
from modelops.adapters.huggingface.log_tail import MAX_SECONDS
from modelops.engine import poller as polling
from modelops.engine.clock import SystemClock
from modelops.engine.poller import SharedJobPoller
from modelops.engine.watched_job import JobObservation, WatchedJob
from modelops.ports import Job, JobRequest, Unavailable
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

NONCE = "n0nce"
TRAINS = """
import json, time
def say(kind, **fields):
    print("@@modelops:n0nce@@ " + json.dumps({"v": 1, "kind": kind, "t": time.time(), **fields}), flush=True)
say("begin", max_steps=4)
say("log", step=1, max_steps=4, metrics={"loss": 2.5})
say("log", step=2, max_steps=4, metrics={"loss": 1.5})
print("that was all", flush=True)
time.sleep(60)
"""
LINES = 4
SILENT_AFTER_THE_FIRST = 2
"""Number of events: the first line of the service, and `begin`."""


@pytest.fixture
async def jobs(sandbox: SandboxInfo) -> AsyncIterator[HuggingFaceJobs]:
    connection = HuggingFaceConnection(hub_url=sandbox.hub, endpoints_url=sandbox.endpoints)
    yield HuggingFaceJobs(connection)
    connection.close()


@pytest.fixture
def token(sandbox: SandboxInfo) -> str:
    return sandbox.hf_token


@pytest.fixture
async def submit(
    jobs: HuggingFaceJobs, token: str, unique: Callable[[str], str]
) -> AsyncIterator[Callable[[], Any]]:
    """Starts a job that runs until the test cancels it."""
    made: list[Job] = []

    async def submit() -> Job:
        request = JobRequest(
            namespace=USER,
            label=unique("attempt"),
            flavor="cpu-basic",
            timeout_seconds=60,
            image="python:3.11",
            command=("python", "-c", TRAINS),
            environment={},
            secrets={},
        )
        made.append(await jobs.submit(token, request))
        return made[-1]

    yield submit
    await asyncio.gather(*(jobs.cancel(token, USER, job.id) for job in made))


async def said_all(jobs: HuggingFaceJobs, token: str, job: Job) -> None:
    deadline = deadline_after(20)
    while len(await jobs.tail(token, USER, job.id, 100)) < LINES:
        assert time.monotonic() < deadline


def watched(jobs: HuggingFaceJobs, told: list[Hashable], **more: Any) -> SharedJobPoller:
    return SharedJobPoller(jobs, clock=SystemClock(), changed=told.append, **{"report_seconds": 0, **more})


def watch(token: str, job: Job) -> WatchedJob:
    return WatchedJob(key=job.label, token=token, namespace=USER, job_id=job.id, nonce=NONCE)


def seen(poller: SharedJobPoller, job: Job) -> JobObservation:
    found = poller.observe(job.label)
    assert found is not None
    return found


async def test_keep_alives_do_not_block_the_reader(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo, submit: Callable[[], Any]
) -> None:
    job = await submit()
    await said_all(jobs, token, job)
    sandbox.log_streams(keep_alive=0.05)
    began = time.monotonic()
    assert len(await jobs.tail(token, USER, job.id, 100)) == LINES
    assert time.monotonic() - began < MAX_SECONDS + 1


async def test_a_half_open_stream_gives_the_lines_so_far_and_the_next_poll_the_rest(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo, submit: Callable[[], Any]
) -> None:
    job = await submit()
    await said_all(jobs, token, job)
    sandbox.log_streams(silent_after=SILENT_AFTER_THE_FIRST)
    poller = watched(jobs, [])
    poller.watch(watch(token, job))
    began = time.monotonic()
    await poller.poll()
    assert time.monotonic() - began < 3
    first = seen(poller, job)
    assert (first.job.stage, first.problem) == ("RUNNING", "")  # type: ignore[union-attr]
    assert (first.report.kind, first.report.step) == ("begin", 0)  # type: ignore[union-attr]
    sandbox.log_streams()
    await poller.poll()
    assert seen(poller, job).report.step == 2  # type: ignore[union-attr]


async def test_progress_does_not_go_back_when_a_later_stream_is_shorter(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo, submit: Callable[[], Any]
) -> None:
    job, told = await submit(), []  # type: ignore[var-annotated]
    await said_all(jobs, token, job)
    poller = watched(jobs, told)
    poller.watch(watch(token, job))
    await poller.poll()
    whole = seen(poller, job).report
    assert whole is not None
    assert whole.step == 2
    times = len(told)
    for events in (0, SILENT_AFTER_THE_FIRST, SILENT_AFTER_THE_FIRST + 1):
        sandbox.log_streams(silent_after=events)
        await poller.poll()
        assert seen(poller, job).report == whole
    assert len(told) == times


async def test_a_replayed_log_is_reported_once(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo, submit: Callable[[], Any]
) -> None:
    job, told = await submit(), []  # type: ignore[var-annotated]
    await said_all(jobs, token, job)
    poller = watched(jobs, told)
    poller.watch(watch(token, job))
    await poller.poll()
    once, times = seen(poller, job).report, len(told)
    sandbox.log_streams(replays=3)
    assert len(await jobs.tail(token, USER, job.id, 100)) == 3 * LINES
    await poller.poll()
    assert seen(poller, job).report == once
    assert len(told) == times


async def test_a_rate_limit_of_a_log_pauses_all_requests_of_the_account(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo, submit: Callable[[], Any]
) -> None:
    made = [await submit(), await submit()]
    for job in made:
        await said_all(jobs, token, job)
    poller = watched(jobs, [])
    for job in made:
        poller.watch(watch(token, job))
    sandbox.fault("hub", "status", status=429, retry_after=60, times=None, path_regex="/logs$")
    sandbox.forget_requests()
    await poller.poll()
    asked = len(sandbox.requests(service="hub"))
    assert "429" in seen(poller, made[0]).problem
    await poller.poll()
    assert len(sandbox.requests(service="hub")) == asked <= 1 + polling.TAILS_AT_ONCE
    assert all(seen(poller, job).job.stage == "RUNNING" for job in made)  # type: ignore[union-attr]


async def test_logs_are_read_in_turns_and_not_all_in_one_poll(
    jobs: HuggingFaceJobs,
    token: str,
    sandbox: SandboxInfo,
    submit: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "READS_PER_POLL", 2)
    made = [await submit() for _ in range(3)]
    for job in made:
        await said_all(jobs, token, job)
    poller = watched(jobs, [], report_seconds=3600)
    for job in made:
        poller.watch(watch(token, job))
    sandbox.forget_requests()
    known, moments = [], []
    for _ in range(3):
        await poller.poll()
        known.append(sum(seen(poller, job).report is not None for job in made))
        moments.append([seen(poller, job).report_read_at for job in made])
    assert known == [2, 3, 3]
    assert moments[1] == moments[2]
    assert moments[0][:2] == moments[1][:2]
    lists = sandbox.requests(service="hub", path_regex=rf"^/api/jobs/{USER}\?")
    assert len(lists) == 3


class Endless(BaseHTTPRequestHandler):
    """Sends one event, and then bytes of a line that never ends, so that neither a line nor a silence comes."""

    stop = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self.wfile.write(b'data: {"data": "the first line"}\n\ndata: {"data": "')
            while not self.stop.wait(0.05):
                self.wfile.write(b"x" * 1000)
        except OSError:
            return


@contextmanager
def connected(handler: type[Endless]) -> Iterator[HuggingFaceConnection]:
    """A connection to a server that answers by the handler."""
    Endless.stop.clear()
    with serving(handler) as url:
        connection = HuggingFaceConnection(hub_url=url, endpoints_url=url)
        try:
            yield connection
        finally:
            Endless.stop.set()
            connection.close()


async def test_a_line_that_never_ends_does_not_block_the_reader() -> None:
    with connected(Endless) as connection:
        began = time.monotonic()
        assert await HuggingFaceJobs(connection).tail("t", "org", "0" * 24, 10) == ("the first line",)
        assert time.monotonic() - began < patient(MAX_SECONDS + 1)


async def test_a_log_that_ends_inside_an_event_gives_the_lines_before() -> None:
    class Cut(Endless):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            odd = b'data: {"data": "two", "timestamp": "yesterday"}\n\ndata: {"data": "thr'
            self.wfile.write(b'data: {"data": "one", "timestamp": null}\n\n' + odd)

    with connected(Cut) as connection:
        jobs = HuggingFaceJobs(connection)
        assert await jobs.tail("t", "org", "0" * 24, 10) == ("one", "two")
        assert await jobs.end_of_log("t", "org", "0" * 24, 10) == ("one", "two")


async def test_a_file_that_never_ends_does_not_block_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_SECONDS", 0.5)
    with connected(Endless) as connection, pytest.raises(Unavailable, match="not sent within"):
        await HuggingFaceHub(connection).read_json("t", "org/m", "main", "modelops.json")
