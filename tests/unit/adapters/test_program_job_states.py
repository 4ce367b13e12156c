"""What the status of a Job and its Pods means for the program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelops.adapters.programjobs.job_reading import JobReading, Stage, is_unfinished, read_job
from modelops.ports import Json

NOW = datetime(2025, 12, 10, 12, 0, tzinfo=UTC)
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims",
}
COMPLETE = {"type": "Complete", "status": "True"}
REPORTED_FAILURE = {
    "type": "Failed",
    "status": "True",
    "reason": "PodFailurePolicy",
    "message": "exit code 3",
}
TOO_MANY = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "the limit"}


def at(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def job(*conditions: Json, age: float = 5, **metadata: Any) -> Json:
    return {
        "metadata": {"name": "j", "uid": "job-uid", "creationTimestamp": at(age), **metadata},
        "status": {"conditions": list(conditions)},
    }


def pod(
    name: str, phase: str, *, age: float = 5, container: Json | None = None, conditions: tuple[Json, ...] = ()
) -> Json:
    statuses = [{"name": "program", "state": container}] if container else []
    return {
        "metadata": {"name": name, "uid": f"{name}-uid", "creationTimestamp": at(age)},
        "status": {"phase": phase, "containerStatuses": statuses, "conditions": list(conditions)},
    }


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str) -> Json:
    return {"terminated": {"exitCode": code, "reason": reason}}


def meshed(container: Json) -> Json:
    """A Pod to which a service mesh has added a container, which runs for ever."""
    found = pod("a", "Running", container=container)
    found["status"]["containerStatuses"].append({"name": "istio-proxy", "state": {"running": {}}})
    return found


MISSING_KEY = waiting("CreateContainerConfigError", "couldn't find key hf in Secret team/tokens")
OUT_OF_MEMORY = pod("old", "Failed", age=9, container=ended(137, "OOMKilled"))


@pytest.mark.parametrize(
    ("item", "pods", "reading"),
    [
        (job(), [], JobReading(stage=Stage.STARTING)),
        (job(age=60), [], JobReading(stage=Stage.BLOCKED, events_of="job-uid")),
        (job(), [pod("a", "Pending")], JobReading(stage=Stage.STARTING, pod="a")),
        (
            job(),
            [pod("a", "Pending", conditions=(UNSCHEDULABLE,))],
            JobReading(stage=Stage.STARTING, pod="a"),
        ),
        (
            job(age=60),
            [pod("a", "Pending", age=60, conditions=(UNSCHEDULABLE,))],
            JobReading(stage=Stage.BLOCKED, pod="a", message=UNSCHEDULABLE["message"]),
        ),
        (
            job(age=600),
            [pod("a", "Pending", age=600, container=waiting("ContainerCreating"))],
            JobReading(stage=Stage.BLOCKED, pod="a", events_of="a-uid"),
        ),
        (
            job(),
            [pod("a", "Pending", container=MISSING_KEY)],
            JobReading(
                stage=Stage.BLOCKED,
                pod="a",
                message="CreateContainerConfigError: couldn't find key hf in Secret team/tokens",
            ),
        ),
        (
            job(),
            [pod("a", "Pending", container=waiting("ErrImagePull", "not found"))],
            JobReading(stage=Stage.BLOCKED, pod="a", message="ErrImagePull: not found"),
        ),
        (job(), [pod("a", "Running")], JobReading(stage=Stage.RUNNING, pod="a")),
        (job(), [OUT_OF_MEMORY], JobReading(stage=Stage.STARTING, pod="old")),
        (job(), [OUT_OF_MEMORY, pod("new", "Running")], JobReading(stage=Stage.RUNNING, pod="new")),
        (job(COMPLETE), [pod("a", "Succeeded")], JobReading(stage=Stage.REPORTED, pod="a")),
        (job(COMPLETE), [], JobReading(stage=Stage.REPORTED)),
        (
            job(REPORTED_FAILURE),
            [pod("a", "Failed", container=ended(3, "Error")), OUT_OF_MEMORY],
            JobReading(stage=Stage.REPORTED, pod="a", message="OOMKilled, exit code 137"),
        ),
        (
            job(TOO_MANY),
            [OUT_OF_MEMORY],
            JobReading(stage=Stage.DIED, pod="old", message="OOMKilled, exit code 137"),
        ),
        (job(TOO_MANY), [], JobReading(stage=Stage.DIED, message="the limit")),
        (job(), [meshed({"running": {}})], JobReading(stage=Stage.RUNNING, pod="a")),
        (job(), [meshed(ended(0, "Completed"))], JobReading(stage=Stage.REPORTED, pod="a")),
        (job(), [meshed(ended(3, "Error"))], JobReading(stage=Stage.REPORTED, pod="a")),
        (
            job(),
            [meshed(ended(137, "OOMKilled"))],
            JobReading(
                stage=Stage.DIED,
                pod="a",
                message="OOMKilled, exit code 137; no other Pod replaces it while its container istio-proxy runs",
            ),
        ),
    ],
)
def test_a_status_is_read_as(item: Json, pods: list[Json], reading: JobReading) -> None:
    assert read_job(item, pods, now=NOW) == reading


@pytest.mark.parametrize(
    ("item", "unfinished"),
    [
        (job(), True),
        (job(COMPLETE), False),
        (job(TOO_MANY), False),
        (job(deletionTimestamp=at(1)), False),
    ],
)
def test_a_job_counts_until_it_has_ended_or_is_deleted(item: Json, unfinished: bool) -> None:
    assert is_unfinished(item) is unfinished
