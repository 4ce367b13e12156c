"""The operator is killed at each of its writes and started again: there is still one job, one endpoint, one version."""

from __future__ import annotations

import asyncio
import pathlib
from contextlib import suppress
from urllib.error import HTTPError

import pytest
from tests.e2e import manifests
from tests.e2e.api import condition, status, status_summary
from tests.e2e.cloud import Cloud
from tests.e2e.crash_points import CrashPoint, Harness, select_crash_points
from tests.e2e.environment import Environment

from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL

WRITES_BEFORE_THE_FIRST_JOB = 9
"""The first writes of a run whose job is lost are those of any run; another test kills the operator at them."""


@pytest.fixture
def harness(cluster: LocalCluster, cloud: Cloud, tmp_path: pathlib.Path) -> Harness:
    return Harness(cluster, cloud, tmp_path)


async def create_training_run(env: Environment) -> None:
    await env.create_agent_model()
    await env.api.create(manifests.training_run("crash-test", base_model=BASE_MODEL))


async def assert_trained_once(env: Environment) -> None:
    run = await env.api.wait_until_finished("TrainingRun", "crash-test", seconds=90)
    uid = run["metadata"]["uid"]
    run = await env.api.wait_until("TrainingRun", "crash-test", lambda o: not o["metadata"].get("finalizers"))
    final_status = status(run)
    assert (final_status["phase"], final_status["reason"]) == ("Succeeded", "Trained"), status_summary(run)
    assert final_status["model"]["version"] == "v1.1.0-rc.1"
    jobs = await asyncio.to_thread(env.cloud.jobs_of, uid)
    assert jobs == [final_status["job"]["id"]]
    record = await env.read_record()
    assert not record.reservations
    assert {key: s.jobs for key, s in record.settlements.items()} == {f"{uid}/1": tuple(jobs)}
    assert [done.outcome for done in record.completed.values()] == ["Trained"]
    assert [(e.version, e.deployment_status) for e in record.history] == [("v1.1.0-rc.1", "trained")]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0-rc.1"]
    agent = await env.api.wait_until(
        "AgentModel",
        "docs",
        lambda o: condition(o, "Ready") == "True" and status(o)["versions"][0]["version"] == "v1.1.0-rc.1",
    )
    assert status(agent)["versions"][0]["version"] == "v1.1.0-rc.1"


async def create_training_run_that_stalls(env: Environment) -> None:
    """Creates the run; a fault stalls its first job where it reads the data, until the job is killed."""
    await env.create_agent_model()
    made = await env.api.create(manifests.training_run("crash-test", base_model=BASE_MODEL))
    data = f"-{made['metadata']['uid'][:6]}-data/resolve/.*/data/"
    env.cloud.sandbox.fault("hub", "stall", times=1, seconds=120, path_regex=data)


async def assert_trained_at_the_second_attempt(env: Environment) -> None:
    run = await env.api.get("TrainingRun", "crash-test")
    assert run is not None
    uid = run["metadata"]["uid"]
    await env.wait_until(lambda: first_job_is_lost(env, uid), seconds=90, expected="lost")
    run = await env.api.wait_until_finished("TrainingRun", "crash-test", seconds=120)
    run = await env.api.wait_until("TrainingRun", "crash-test", lambda o: not o["metadata"].get("finalizers"))
    final_status = status(run)
    assert (final_status["phase"], final_status["reason"]) == ("Succeeded", "Trained"), status_summary(run)
    first, second = await asyncio.to_thread(env.cloud.jobs_of, uid)
    assert [(past["attempt"], past["job"], past["reason"]) for past in final_status["attempts"]] == [
        (1, first, "JobLost")
    ]
    assert (final_status["job"]["attempt"], final_status["job"]["id"]) == (2, second)
    record = await env.read_record()
    assert not record.reservations
    assert {key: s.jobs for key, s in record.settlements.items()} == {
        f"{uid}/1": (first,),
        f"{uid}/2": (second,),
    }
    assert [(e.version, e.deployment_status) for e in record.history] == [("v1.1.0-rc.1", "trained")]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0-rc.1"]


def first_job_is_lost(env: Environment, uid: str) -> bool:
    """Kills the first job as soon as it runs; returns whether it has failed."""
    of_run = [j for j in env.cloud.sandbox.job_billing() if uid in str(j["labels"].get("modelops-attempt"))]
    if of_run and of_run[0]["stage"] == "RUNNING":
        with suppress(HTTPError):  # the job has just ended
            env.cloud.sandbox.call("POST", f"/jobs/{of_run[0]['id']}/kill", {"message": "node lost"})
    return bool(of_run) and of_run[0]["stage"] == "ERROR"


async def create_rollout(env: Environment) -> None:
    env.start_agents(rate=5)
    await env.create_agent_model()
    candidate = await asyncio.to_thread(env.cloud.create_candidate)
    quick: manifests.Manifest = {
        "strategy": {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 100}]}},
        "evaluation": {**manifests.EVALUATION, "maxExamples": 12},
    }
    await env.api.create(manifests.rollout("crash-test", {"model": candidate}, **quick))


async def assert_promoted_once(env: Environment) -> None:
    rollout = await env.api.wait_until_finished("Rollout", "crash-test", seconds=120)
    rollout = await env.api.wait_until("Rollout", "crash-test", lambda o: not o["metadata"].get("finalizers"))
    final_status, uid = status(rollout), rollout["metadata"]["uid"]
    repo = rollout["spec"]["candidate"]["model"]["repo"]
    assert (final_status["phase"], final_status["reason"]) == ("Succeeded", "Promoted"), status_summary(
        rollout
    )
    text, entry = await env.read_agents_file()
    assert entry.stable is not None
    assert (entry.stable.model, entry.stable.version) == (repo, "v1.1.0")
    assert entry.routing is not None
    assert (entry.routing.salt, entry.routing.rollout.state, entry.routing.weight) == (uid, "Promoted", 0)
    assert "owner: somebody else" in text
    record = await env.read_record()
    assert (record.stable.version, record.active) == ("v1.1.0", None)
    assert record.previous is not None
    assert record.previous.version == "v1.0.0"
    assert not record.reservations
    assert [done.outcome for done in record.completed.values()] == ["Promoted"]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0"]
    assert [(e.role, e.repo) for e in record.endpoints] == [("stable", repo)]
    assert await asyncio.to_thread(env.cloud.endpoints_of, repo) == [record.endpoints[0].name]
    assert list(record.candidates_compared.values()) == [1]


async def test_a_training_ends_in_the_same_state_after_a_crash_at_any_write(harness: Harness) -> None:
    writes = await harness.writes_without_crash(create_training_run, assert_trained_once)
    print("\n".join(writes))
    selected = select_crash_points(len(writes))
    failures = await harness.crash_at_each(selected, create_training_run, assert_trained_once)
    assert not failures, failure_report(failures, of=len(selected))


async def test_a_training_with_a_lost_job_ends_in_the_same_state_after_a_crash_at_any_write(
    harness: Harness,
) -> None:
    begins, ends = create_training_run_that_stalls, assert_trained_at_the_second_attempt
    writes = await harness.writes_without_crash(begins, ends)
    print("\n".join(writes))
    selected = [
        point for point in select_crash_points(len(writes)) if point.number > WRITES_BEFORE_THE_FIRST_JOB
    ]
    failures = await harness.crash_at_each(selected, begins, ends)
    assert not failures, failure_report(failures, of=len(selected))


async def test_a_rollout_ends_in_the_same_state_after_a_crash_at_any_write(harness: Harness) -> None:
    writes = await harness.writes_without_crash(create_rollout, assert_promoted_once)
    print("\n".join(writes))
    selected = select_crash_points(len(writes))
    failures = await harness.crash_at_each(selected, create_rollout, assert_promoted_once)
    assert not failures, failure_report(failures, of=len(selected))


def failure_report(failures: dict[CrashPoint, str], *, of: int) -> str:
    """The failures of all crash points, as one message."""
    listed = "\n\n".join(f"--- {point}\n{error}" for point, error in failures.items())
    return f"{len(failures)} of {of} crash points failed:\n{listed}"
