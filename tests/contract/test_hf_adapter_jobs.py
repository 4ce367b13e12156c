"""`HuggingFaceJobs` against the sandbox: every answer, and every lost answer, becomes one error of `ports`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.patience import deadline_after

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceJobs
from modelops.adapters.huggingface.payload import PAYLOADS, job_label, payload_base64
from modelops.ports import JobRequest, Refused, Unavailable, Uncertain
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

UID = "6f1c2d3e-0000-4000-8000-000000000001"
PRINTS = "for i in range({count}): print('line', i)"


@pytest.fixture
def connection(sandbox: SandboxInfo) -> Any:
    made = HuggingFaceConnection(hub_url=sandbox.hub, endpoints_url=sandbox.endpoints)
    yield made
    made.close()


@pytest.fixture
def jobs(connection: HuggingFaceConnection) -> HuggingFaceJobs:
    return HuggingFaceJobs(connection)


@pytest.fixture
def token(sandbox: SandboxInfo) -> str:
    return sandbox.hf_token


@pytest.fixture
def wanted(unique: Callable[[str], str]) -> JobRequest:
    return JobRequest(
        namespace=USER,
        label=job_label("0badcafe", unique("u"), 1),
        flavor="cpu-basic",
        timeout_seconds=60,
        image=PAYLOADS["tiny"].image,
        command=("python", "-c", PRINTS.format(count=3)),
        environment={"GREETING": "hello"},
        secrets={"HF_TOKEN": "hf_secretsecret"},
    )


async def until(question: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    deadline = deadline_after(seconds)
    while not (answer := await question()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return answer


async def ended(jobs: HuggingFaceJobs, token: str, job_id: str) -> Any:
    async def look() -> Any:
        job = await jobs.inspect(token, USER, job_id)
        return job if job is not None and job.ended else None

    return await until(look)


async def test_a_submitted_job_carries_its_label_and_runs_to_its_end(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    job = await jobs.submit(token, wanted)
    assert (job.label, job.flavor, job.ended) == (wanted.label, "cpu-basic", False)
    assert job.created_at is not None
    done = await ended(jobs, token, job.id)
    assert (done.stage, done.id, done.url) == ("COMPLETED", job.id, job.url)
    assert await jobs.tail(token, USER, job.id, 2) == ("line 1", "line 2")


async def test_the_packaged_trainer_starts_in_a_job(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    """Without MODELOPS_RUN the trainer fails, but only after it was unpacked and imported."""
    shipped = replace(
        wanted, command=PAYLOADS["tiny"].command, environment={"MODELOPS_PAYLOAD": payload_base64("tiny")}
    )
    job = await jobs.submit(token, shipped)
    assert (await ended(jobs, token, job.id)).stage == "ERROR"
    assert "KeyError: 'MODELOPS_RUN'" in await jobs.tail(token, USER, job.id, 5)


async def test_a_lost_answer_is_uncertain_and_the_job_is_found_by_its_label(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest, sandbox: SandboxInfo
) -> None:
    sandbox.fault("hub", "lost_answer", method="POST", path_regex=r"^/api/jobs/[^/]+$")
    with pytest.raises(Uncertain) as told:
        await jobs.submit(token, wanted)
    assert token not in str(told.value)
    found = await jobs.list_labelled(token, USER, wanted.label)
    assert [job.label for job in found] == [wanted.label]


async def test_ended_jobs_are_listed_by_label(jobs: HuggingFaceJobs, token: str, wanted: JobRequest) -> None:
    made = [await jobs.submit(token, wanted), await jobs.submit(token, wanted)]
    for job in made:
        await ended(jobs, token, job.id)
    found = await jobs.list_labelled(token, USER, wanted.label)
    assert [job.id for job in found] == [job.id for job in made]
    assert all(job.ended for job in found)
    assert await jobs.list_labelled(token, USER, wanted.label + "0") == ()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "status", "status": 429, "retry_after": 7}, Unavailable),
        ({"kind": "status", "status": 503}, Uncertain),
        ({"kind": "status", "status": 500}, Uncertain),
        ({"kind": "status", "status": 402}, Refused),
        ({"kind": "status", "status": 403}, Refused),
        ({"kind": "drop_before"}, Uncertain),
    ],
)
async def test_each_failure_of_a_submission_becomes_its_error(
    jobs: HuggingFaceJobs,
    token: str,
    wanted: JobRequest,
    sandbox: SandboxInfo,
    fault: dict[str, Any],
    expected: type[Exception],
) -> None:
    await jobs.flavors(token)
    sandbox.fault("hub", method="POST", path_regex=r"^/api/jobs/[^/]+$", **fault)
    with pytest.raises(expected) as told:
        await jobs.submit(token, wanted)
    assert "submitting job" in str(told.value)
    assert await jobs.list_labelled(token, USER, wanted.label) == ()
    posts = sandbox.requests(service="hub", method="POST", path_regex=r"^/api/jobs/[^/]+$")
    assert len(posts) == 1
    if expected is Unavailable:
        assert told.value.retry_after == 7.0


async def test_a_refused_flavor_is_reported_in_the_words_of_the_service(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    with pytest.raises(Refused, match="unknown flavor 'h900'"):
        await jobs.submit(token, replace(wanted, flavor="h900"))


async def test_a_service_that_cannot_be_reached_is_unavailable(token: str, wanted: JobRequest) -> None:
    nowhere = HuggingFaceConnection(hub_url="http://127.0.0.1:9", endpoints_url="http://127.0.0.1:9/v2")
    try:
        with pytest.raises(Unavailable, match="could not be reached"):
            await HuggingFaceJobs(nowhere).submit(token, wanted)
    finally:
        nowhere.close()


async def test_a_wrong_token_is_refused_and_not_repeated_in_the_message(
    jobs: HuggingFaceJobs, wanted: JobRequest
) -> None:
    with pytest.raises(Refused, match=r"secretRefs\.huggingFace") as told:
        await jobs.submit("hf_wrongwrongwrong", wanted)
    assert "wrongwrong" not in str(told.value)


async def test_a_rate_limited_listing_fails_at_once_without_a_retry(
    jobs: HuggingFaceJobs, token: str, sandbox: SandboxInfo
) -> None:
    await jobs.list_active(token, USER)
    sandbox.fault("hub", "status", status=429, retry_after=55, path_regex=r"^/api/jobs/")
    began = time.monotonic()
    with pytest.raises(Unavailable) as told:
        await jobs.list_active(token, USER)
    assert told.value.retry_after == 55.0
    assert time.monotonic() - began < 5


async def test_active_jobs_are_listed_over_all_pages(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest, sandbox: SandboxInfo
) -> None:
    sandbox.hold_jobs()
    made = {(await jobs.submit(token, wanted)).id for _ in range(5)}
    sandbox.call("POST", "/jobs/page-size", {"size": 2})
    try:
        active = await jobs.list_active(token, USER)
    finally:
        sandbox.call("POST", "/jobs/page-size", {"size": 100})
    assert made <= {job.id for job in active}
    assert {job.stage for job in active} <= {"SCHEDULING", "RUNNING"}
    for job_id in made:
        await jobs.cancel(token, USER, job_id)


async def test_cancelling_stops_a_job_and_repeating_it_is_no_error(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    job = await jobs.submit(token, replace(wanted, command=("python", "-c", "import time; time.sleep(60)")))
    await jobs.cancel(token, USER, job.id)
    assert (await ended(jobs, token, job.id)).stage == "CANCELED"
    await jobs.cancel(token, USER, job.id)
    await jobs.cancel(token, USER, "0" * 24)


async def test_an_unknown_job_is_none_and_has_no_log(jobs: HuggingFaceJobs, token: str) -> None:
    assert await jobs.inspect(token, USER, "0" * 24) is None
    assert await jobs.tail(token, USER, "0" * 24, 10) == ()


async def test_the_tail_of_a_running_job_does_not_wait_for_the_next_line(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    code = PRINTS.format(count=50) + "\nimport sys, time; sys.stdout.flush(); time.sleep(60)"
    job = await jobs.submit(token, replace(wanted, command=("python", "-c", code)))
    try:

        async def last_line() -> bool:
            return "line 49" in await jobs.tail(token, USER, job.id, 10)

        await until(last_line)
        began = time.monotonic()
        assert await jobs.tail(token, USER, job.id, 5) == tuple(f"line {number}" for number in range(45, 50))
        assert len(await jobs.tail(token, USER, job.id, 1000)) == 50
        assert time.monotonic() - began < 3
    finally:
        await jobs.cancel(token, USER, job.id)


async def test_prices_are_per_hour(jobs: HuggingFaceJobs, token: str) -> None:
    prices = {flavor.name: flavor for flavor in await jobs.flavors(token)}
    assert abs(prices["a10g-large"].usd_micro_per_hour - 1_500_000) < 1_000
    assert "A10G" in prices["a10g-large"].accelerator
    assert prices["cpu-basic"].accelerator == ""
    assert [prices[name].devices for name in ("cpu-basic", "a10g-large", "a10g-largex4")] == [0, 1, 4]
    assert (prices["a10g-small"].machine_gigabytes, prices["a10g-small"].disk_gigabytes) == (15.0, 110.0)


async def test_an_image_with_a_long_name_needs_no_long_label(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    """The SDK makes the label `name` of the image, and the service allows 100 characters."""
    image = f"registry.example.com/team/{'training-' * 8}image@sha256:{'0' * 64}"
    job = await jobs.submit(token, replace(wanted, image=image))
    assert [found.id for found in await jobs.list_labelled(token, USER, wanted.label)] == [job.id]
    await jobs.cancel(token, USER, job.id)


async def test_a_job_without_a_timeout_is_refused_before_a_request_is_sent(
    jobs: HuggingFaceJobs, token: str, wanted: JobRequest
) -> None:
    with pytest.raises(Refused, match="30 minutes"):
        await jobs.submit(token, replace(wanted, timeout_seconds=0))


def test_secrets_are_not_shown(wanted: JobRequest) -> None:
    assert "hf_secretsecret" not in repr(wanted)
