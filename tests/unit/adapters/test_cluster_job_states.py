"""The state of a job from its conditions and Pods, and the escaping of texts that Kubernetes expands."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.adapters.clusterjobs.batch import BatchJobs
from modelops.adapters.clusterjobs.container import escape_references
from modelops.adapters.clusterjobs.job_kind import job_state
from modelops.adapters.clusterjobs.names import COST_FINALIZER, FOREGROUND_FINALIZER, STARTED_ANNOTATION
from modelops.adapters.clusterjobs.pods import ContainerEnd, PodSummary, reporting_pod, summarize_pods
from modelops.adapters.clusterjobs.trainjob import TrainJobs
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import Json

NOW = datetime(2025, 12, 9, 22, 0, tzinfo=UTC)
CREATED, STARTED_AT, ENDED_AT = "2025-12-09T20:00:00Z", "2025-12-09T21:00:00Z", "2025-12-09T21:30:00Z"
HALF_AN_HOUR = 1800


def expanded(text: str) -> str:
    """The text as a kubelet expands it where no variable is set (third_party/forked/golang/expansion)."""
    return re.sub(r"\$(\$|\([^)]*\))", lambda found: "$" if found[1] == "$" else found[0], text)


@given(st.text(alphabet="$()aB{} "))
def test_an_escaped_text_reaches_the_container_unchanged(text: str) -> None:
    assert expanded(escape_references(text)) == text
    assert not re.search(r"(?<!\$)(\$\$)*\$\(", escape_references(text))


def pod(phase: str = "Running", **status: Any) -> Json:
    return {"metadata": {"name": "p", "labels": {}}, "status": {"phase": phase, **status}}


def job(*conditions: tuple[str, str, str], metadata: Json | None = None, **spec: Any) -> Json:
    listed = [
        {"type": kind, "status": "True", "reason": reason, "message": words, "lastTransitionTime": ENDED_AT}
        for kind, reason, words in conditions
    ]
    meta = {"name": "j", "uid": "u", "creationTimestamp": CREATED, **(metadata or {})}
    return {"metadata": meta, "spec": spec, "status": {"startTime": STARTED_AT, "conditions": listed}}


def stage(item: Json, pods: PodSummary | None = None) -> tuple[str, str, int]:
    found = job_state(BatchJobs(), item, pods or PodSummary(), now=NOW)
    return found.stage, found.message, found.running_seconds


@pytest.mark.parametrize(
    ("item", "pods", "expected"),
    [
        (job(suspend=True), PodSummary(), ("SCHEDULING", "the job is suspended", 0)),
        (job(), PodSummary(active=True, message="ImagePullBackOff"), ("SCHEDULING", "ImagePullBackOff", 0)),
        (job(("Complete", "", "")), PodSummary(), ("COMPLETED", "", HALF_AN_HOUR)),
        (
            job(("Failed", "BackoffLimitExceeded", "limit")),
            PodSummary(message="Error, exit code 1"),
            ("ERROR", "Error, exit code 1", HALF_AN_HOUR),
        ),
        (job(("FailureTarget", "", "")), PodSummary(running=True), ("RUNNING", "", 0)),
    ],
)
def test_stage_and_message_follow_from_conditions_and_pods(
    item: Json, pods: PodSummary, expected: tuple[str, str, int]
) -> None:
    assert stage(item, pods) == expected


def test_a_pod_that_waited_for_its_node_is_billed_from_when_it_has_the_node() -> None:
    taken = datetime(2025, 12, 9, 21, 20, tzinfo=UTC)
    assert stage(job(("Complete", "", "")), PodSummary(started_at=taken))[2] == 600


@pytest.mark.parametrize(
    ("finalizers", "active", "expected"),
    [
        ([FOREGROUND_FINALIZER, COST_FINALIZER], False, "STOPPING"),
        ([COST_FINALIZER], True, "STOPPING"),
        ([COST_FINALIZER], False, "CANCELED"),
    ],
)
def test_a_cancelled_job_has_ended_when_its_pods_are_deleted(
    finalizers: list[str], active: bool, expected: str
) -> None:
    deleted = {"deletionTimestamp": ENDED_AT, "finalizers": finalizers}
    assert stage(job(metadata=deleted), PodSummary(active=active))[0] == expected


@pytest.mark.parametrize(("written", "seconds"), [("", 0), (STARTED_AT, HALF_AN_HOUR + 30)])
def test_a_cancelled_job_is_billed_from_the_start_that_was_recorded_before_its_pods_were_deleted(
    written: str, seconds: int
) -> None:
    deleted = {
        "deletionTimestamp": ENDED_AT,
        "finalizers": [COST_FINALIZER],
        "annotations": {STARTED_ANNOTATION: written},
    }
    assert stage(job(metadata=deleted)) == ("CANCELED", "the job was deleted", seconds)


def test_a_train_job_without_its_pods_is_billed_from_its_creation() -> None:
    item = job(("Failed", "", "one node was lost"))
    del item["status"]["startTime"]
    found = job_state(TrainJobs(), item, PodSummary(), now=NOW)
    assert (found.stage, found.message, found.running_seconds) == ("ERROR", "one node was lost", 5400)


WAITING = {"name": "trainer", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
CREATING = {"name": "trainer", "state": {"waiting": {"reason": "ContainerCreating"}}}
RUNNING = {"name": "trainer", "state": {"running": {}}}
PROXY = {"name": "istio-proxy", "state": {"running": {}}}


def ended(code: int, reason: str = "Error", *, name: str = "trainer") -> Json:
    return {
        "name": name,
        "state": {"terminated": {"reason": reason, "exitCode": code, "finishedAt": ENDED_AT}},
    }


KILLED, WELL = ended(137, "OOMKilled"), ended(0, "Completed")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Pending", "containerStatuses": [WAITING]}, "ErrImagePull: no such image"),
        ({"phase": "Pending", "containerStatuses": [CREATING]}, ""),
        ({"phase": "Failed", "containerStatuses": [KILLED]}, "OOMKilled, exit code 137"),
        ({"phase": "Succeeded", "containerStatuses": [WELL]}, ""),
        (
            {
                "phase": "Failed",
                "reason": "DeadlineExceeded",
                "message": "Pod was active too long",
                "containerStatuses": [KILLED],
            },
            "DeadlineExceeded: Pod was active too long",
        ),
        ({}, ""),
    ],
)
def test_the_message_says_what_is_wrong_with_the_pod(status: Json, words: str) -> None:
    assert (
        summarize_pods([{"metadata": {"name": "p"}, "status": status}], container="trainer").message == words
    )


def test_several_nodes_are_billed_from_the_start_of_the_first() -> None:
    found = summarize_pods(
        [pod(startTime=ENDED_AT), pod("Pending", startTime=STARTED_AT)], container="trainer"
    )
    assert (found.running, found.active) == (True, True)
    assert found.started_at == datetime.fromisoformat(STARTED_AT)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([pod(containerStatuses=[WELL, PROXY])], ("COMPLETED", "", HALF_AN_HOUR)),
        ([pod(containerStatuses=[KILLED, PROXY])], ("ERROR", "OOMKilled, exit code 137", HALF_AN_HOUR)),
        ([pod(containerStatuses=[RUNNING, PROXY])], ("RUNNING", "", 3600)),
        ([pod(containerStatuses=[RUNNING, ended(1, name="istio-proxy")])], ("RUNNING", "", 3600)),
        ([pod(containerStatuses=[WELL, ended(0, name="istio-proxy")])], ("RUNNING", "", 3600)),
        (
            [pod(containerStatuses=[WELL, PROXY]), pod(containerStatuses=[RUNNING, PROXY])],
            ("RUNNING", "", 3600),
        ),
        (
            [pod("Failed", containerStatuses=[KILLED]), pod(containerStatuses=[WELL, PROXY])],
            ("COMPLETED", "", 1800),
        ),
        ([pod("Pending"), pod(containerStatuses=[WELL, PROXY])], ("RUNNING", "", 3600)),
    ],
    ids=[
        "well",
        "failed",
        "trains",
        "its proxy has failed",
        "its Pod is about to end",
        "one of two nodes trains",
        "after one that was preempted",
        "another node is about to start",
    ],
)
def test_a_job_that_only_a_mesh_keeps_running_has_ended_with_its_own_container(
    pods: list[Json], expected: tuple[str, str, int]
) -> None:
    started = [{**one, "status": {**one["status"], "startTime": STARTED_AT}} for one in pods]
    summary = summarize_pods(started, container="trainer")
    found = job_state(BatchJobs(), job(), summary, now=NOW)
    message = "" if found.stage == "COMPLETED" else found.message
    assert (found.stage, message, found.running_seconds) == expected
    assert found.ended is (expected[0] != "RUNNING")


def test_a_cancelled_job_is_stopping_although_its_own_container_has_ended() -> None:
    deleted = {"deletionTimestamp": ENDED_AT, "finalizers": [COST_FINALIZER]}
    outlived = PodSummary(active=True, running=True, outlived=ContainerEnd(exit_code=0, at=NOW))
    assert stage(job(metadata=deleted), outlived)[0] == "STOPPING"


def test_the_exit_code_of_a_mesh_is_not_that_of_the_job() -> None:
    found = summarize_pods(
        [pod("Failed", containerStatuses=[WELL, ended(42, name="proxy")])], container="trainer"
    )
    assert found.exit_code is None
    found = summarize_pods(
        [pod("Failed", containerStatuses=[ended(1, name="a"), ended(42)])], container="trainer"
    )
    assert found.exit_code == 42


def test_the_log_is_read_from_the_newest_pod_of_the_first_node() -> None:
    def named(name: str, index: str, created: str) -> Json:
        labels = {"batch.kubernetes.io/job-completion-index": index}
        return {"metadata": {"name": name, "labels": labels, "creationTimestamp": created}}

    pods = [named("old", "0", CREATED), named("new", "0", STARTED_AT), named("other", "1", ENDED_AT)]
    assert reporting_pod(pods) == "new"
    assert reporting_pod([]) == ""


def test_a_job_name_leaves_room_for_the_suffixes_of_trainer_and_job_set() -> None:
    name = cluster_job_name("0a1b2c3d-7f3c1c62-0000-4000-8000-000000000001-12")
    assert name == "modelops-7f3c1c62000040008000-12"
    assert len(f"{name}-node-0-63-abcde") <= 63
