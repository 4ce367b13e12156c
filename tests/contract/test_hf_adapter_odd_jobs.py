"""Jobs of a form that the SDK does not know, in an account that others use as well: they hide no other job."""

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from tests.loopback_server import serving

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceJobs
from modelops.engine.clock import SystemClock
from modelops.engine.poller import SharedJobPoller
from modelops.engine.watched_job import WatchedJob
from modelops.ports import Unavailable

LABEL = "0a1b2c3d-uid-1"


def job(job_id: str, *, label: str = LABEL, **more: Any) -> dict[str, Any]:
    """A running job as the service lists it."""
    return {
        "id": job_id,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "owner": {"id": "o", "name": "org", "type": "org"},
        "status": {"stage": "RUNNING", "message": None},
        "labels": {"modelops-attempt": label},
        **more,
    }


ODD: dict[str, dict[str, Any]] = {
    "a volume of another kind": {"volumes": [{"type": "scratch", "mountPath": "/scratch"}]},
    "no owner": {"owner": None},
    "a duration that is a word": {"durations": {"runningSecs": "x", "running_secs": "x"}},
    "a status that is a word": {"status": "RUNNING"},
    "a message that is a number": {"status": {"stage": "RUNNING", "message": 7}},
}
odd_forms = pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())


class Service(BaseHTTPRequestHandler):
    """Lists `jobs`; a single job is asked for by its id."""

    jobs: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        job_id = self.path.partition("?")[0].rpartition("/")[2]
        one = [found for found in self.jobs if isinstance(found, dict) and found["id"] == job_id]
        body = json.dumps(one[0] if one else self.jobs).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFaceJobs]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(Service, "jobs", [job("ours")])
    with serving(Service) as url:
        connection = HuggingFaceConnection(hub_url=url)
        yield HuggingFaceJobs(connection)
        connection.close()


@odd_forms
@pytest.mark.parametrize("labels", [None, {"team": "other"}], ids=["no labels", "other labels"])
async def test_an_odd_job_of_somebody_else_is_no_matter(
    jobs: HuggingFaceJobs, odd: dict[str, Any], labels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Service.jobs.append(job("theirs", **odd) | {"labels": labels})
    assert [found.id for found in await jobs.list_active("hf_x", "org")] == ["ours"]
    assert [found.id for found in await jobs.list_labelled("hf_x", "org", LABEL)] == ["ours"]
    assert caplog.messages == []


@odd_forms
async def test_an_odd_job_of_the_operator_hides_no_other_and_is_logged_once(
    jobs: HuggingFaceJobs, odd: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    Service.jobs.append(job("odd", label="another-attempt", **odd))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert [found.id for found in await jobs.list_active("hf_x", "org")] == ["ours"]
    assert [message.partition(" has ")[0] for message in caplog.messages] == ["job odd of org"]
    assert [found.id for found in await jobs.list_labelled("hf_x", "org", LABEL)] == ["ours"]


@odd_forms
async def test_an_odd_job_of_the_attempt_is_unknown_and_not_absent(
    jobs: HuggingFaceJobs, odd: dict[str, Any]
) -> None:
    Service.jobs[:] = [job("odd", **odd)]
    with pytest.raises(Unavailable, match="cannot read"):
        await jobs.list_labelled("hf_x", "org", LABEL)


@pytest.mark.parametrize("listed", [7, {**job("odd"), "labels": ["modelops-attempt"]}], ids=["job", "labels"])
async def test_a_job_without_readable_labels_may_be_the_attempts(
    jobs: HuggingFaceJobs, listed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Service.jobs.append(listed)
    assert [found.id for found in await jobs.list_active("hf_x", "org")] == ["ours"]
    with pytest.raises(Unavailable, match="cannot read"):
        await jobs.list_labelled("hf_x", "org", LABEL)


async def test_a_job_that_ended_is_seen_beside_an_odd_one(jobs: HuggingFaceJobs) -> None:
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=lambda _: None)
    poller.watch(WatchedJob(key="run", token="hf_x", namespace="org", job_id="ours"))
    Service.jobs[:] = [job("ours", status={"stage": "COMPLETED", "message": None}), job("odd", owner=None)]
    await poller.poll()
    seen = poller.observe("run")
    assert seen is not None
    assert seen.job is not None
    assert seen.job.stage == "COMPLETED"
