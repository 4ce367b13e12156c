"""Labels, billing and logs of jobs."""

import json
from pathlib import Path

import pytest

from modelops.sandbox.jobs.logs import JobLog, LogStreams
from modelops.sandbox.jobs.records import Job
from modelops.sandbox.jobs.spec import check_labels

JOB = Job(
    id="1",
    namespace="me",
    command=["true"],
    arguments=[],
    environment={},
    secret_names=[],
    flavor="a10g-large",
    timeout_seconds=60,
    attempts=1,
    labels={},
    docker_image="python",
    space_id=None,
    created=0.0,
)


@pytest.mark.parametrize("labels", [{"a.b": "c"}, {"a": "b/c"}, {"a": ""}, {"a": "b" * 101}, {"a": "b c"}])
def test_label_outside_the_alphabet_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="100 characters"):
        check_labels(labels)


def test_name_label_may_hold_dots() -> None:
    check_labels({"name": "python-3.12", "ft": "a_B-9"})


@pytest.mark.parametrize(
    ("started", "finished", "minutes"), [(None, 5.0, 0), (1.0, 1.5, 1), (1.0, 61.0, 1), (1.0, 61.5, 2)]
)
def test_started_minutes_of_running_are_billed(started: float | None, finished: float, minutes: int) -> None:
    job = Job.from_stored({**JOB.to_stored(), "started": started, "finished": finished})
    assert job.bill(now=1000.0)["costMicroUSD"] == minutes * 25_000


async def _data(log: JobLog, tail: int | None) -> list[str]:
    events = [event async for event in log.stream(tail=tail)]
    return [json.loads(event)["data"] for event in events if event is not None]


async def test_log_is_replayed_and_its_tail_keeps_the_start_mark(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log.jsonl")
    log.mark_start()
    log.append("a", "b", "c")
    log.close()
    start, *lines = await _data(log, None)
    assert start.startswith("===== Job started at ")
    assert lines == ["a", "b", "c"]
    assert await _data(log, 2) == [start, "b", "c"]


async def test_quiet_log_sends_keep_alives_until_it_is_closed(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log.jsonl")
    stream = log.stream(tail=None, settings=LogStreams(keep_alive=0.01))
    assert await anext(stream) is None
    log.append("late")
    event = await anext(stream)
    assert event is not None
    assert json.loads(event)["data"] == "late"
    log.close()
    assert [event async for event in stream] == []
