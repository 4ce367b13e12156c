"""The operator is killed at each of its writes, and started again: one end, one job, one endpoint, one version."""

from __future__ import annotations

import asyncio
import pathlib
from contextlib import suppress
from urllib.error import HTTPError

import pytest
from tests.e2e import manifests
from tests.e2e.api import condition, status, told
from tests.e2e.cloud import Cloud
from tests.e2e.crash_points import Harness, Point, points
from tests.e2e.stage import Stage

from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL

SAME_AS_BEFORE = 9
"""So many writes of a run whose first job is lost are those of any run, which another test is about."""


@pytest.fixture
def harness(cluster: LocalCluster, cloud: Cloud, tmp_path: pathlib.Path) -> Harness:
    return Harness(cluster, cloud, tmp_path)


async def training_begins(here: Stage) -> None:
    await here.agent_model()
    await here.api.create(manifests.training_run("life", base_model=BASE_MODEL))


async def training_has_its_one_end(here: Stage) -> None:
    run = await here.api.complete("TrainingRun", "life", seconds=90)
    uid = run["metadata"]["uid"]
    run = await here.api.until("TrainingRun", "life", lambda o: not o["metadata"].get("finalizers"))
    said = status(run)
    assert (said["phase"], said["reason"]) == ("Succeeded", "Trained"), told(run)
    assert said["model"]["version"] == "v1.1.0-rc.1"
    jobs = await asyncio.to_thread(here.cloud.jobs_of, uid)
    assert jobs == [said["job"]["id"]]
    record = await here.record()
    assert not record.reservations
    assert {key: s.jobs for key, s in record.settlements.items()} == {f"{uid}/1": tuple(jobs)}
    assert [done.outcome for done in record.completed.values()] == ["Trained"]
    assert [(e.version, e.deployment_status) for e in record.history] == [("v1.1.0-rc.1", "trained")]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0-rc.1"]
    agent = await here.api.until(
        "AgentModel", "docs", lambda o: condition(o, "Ready") == "True" and status(o)["versions"]
    )
    assert status(agent)["versions"][0]["version"] == "v1.1.0-rc.1"


async def training_begins_badly(here: Stage) -> None:
    """Its first job is kept where it reads the data, until its machine is lost."""
    await here.agent_model()
    made = await here.api.create(manifests.training_run("life", base_model=BASE_MODEL))
    data = f"-{made['metadata']['uid'][:6]}-data/resolve/.*/data/"
    here.cloud.sandbox.fault("hub", "stall", times=1, seconds=120, path_regex=data)


async def training_ends_at_the_second_attempt(here: Stage) -> None:
    run = await here.api.get("TrainingRun", "life")
    assert run is not None
    uid = run["metadata"]["uid"]
    await here.until(lambda: lost(here, uid), seconds=90, say="lost")
    run = await here.api.complete("TrainingRun", "life", seconds=120)
    run = await here.api.until("TrainingRun", "life", lambda o: not o["metadata"].get("finalizers"))
    said = status(run)
    assert (said["phase"], said["reason"]) == ("Succeeded", "Trained"), told(run)
    first, second = await asyncio.to_thread(here.cloud.jobs_of, uid)
    assert [(past["attempt"], past["job"], past["reason"]) for past in said["attempts"]] == [
        (1, first, "JobLost")
    ]
    assert (said["job"]["attempt"], said["job"]["id"]) == (2, second)
    record = await here.record()
    assert not record.reservations
    assert {key: s.jobs for key, s in record.settlements.items()} == {
        f"{uid}/1": (first,),
        f"{uid}/2": (second,),
    }
    assert [(e.version, e.deployment_status) for e in record.history] == [("v1.1.0-rc.1", "trained")]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0-rc.1"]


def lost(here: Stage, uid: str) -> bool:
    """Whether the first job is lost; it is as soon as it runs."""
    of_run = [j for j in here.cloud.sandbox.job_billing() if uid in str(j["labels"].get("modelops-attempt"))]
    if of_run and of_run[0]["stage"] == "RUNNING":
        with suppress(HTTPError):  # it has just ended
            here.cloud.sandbox.call("POST", f"/jobs/{of_run[0]['id']}/kill", {"message": "node lost"})
    return bool(of_run) and of_run[0]["stage"] == "ERROR"


async def rollout_begins(here: Stage) -> None:
    here.agents(rate=5)
    await here.agent_model()
    candidate = await asyncio.to_thread(here.cloud.candidate)
    quick: manifests.Manifest = {
        "strategy": {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 100}]}},
        "evaluation": {**manifests.EVALUATION, "maxExamples": 12},
    }
    await here.api.create(manifests.rollout("life", {"model": candidate}, **quick))


async def rollout_has_its_one_end(here: Stage) -> None:
    rollout = await here.api.complete("Rollout", "life", seconds=120)
    rollout = await here.api.until("Rollout", "life", lambda o: not o["metadata"].get("finalizers"))
    said, uid = status(rollout), rollout["metadata"]["uid"]
    repo = rollout["spec"]["candidate"]["model"]["repo"]
    assert (said["phase"], said["reason"]) == ("Succeeded", "Promoted"), told(rollout)
    text, entry = await here.file()
    assert entry.stable is not None
    assert (entry.stable.model, entry.stable.version) == (repo, "v1.1.0")
    assert entry.routing is not None
    assert (entry.routing.salt, entry.routing.rollout.state, entry.routing.weight) == (uid, "Promoted", 0)
    assert "owner: somebody else" in text
    record = await here.record()
    assert (record.stable.version, record.active) == ("v1.1.0", None)
    assert record.previous is not None
    assert record.previous.version == "v1.0.0"
    assert not record.reservations
    assert [done.outcome for done in record.completed.values()] == ["Promoted"]
    assert sorted(record.allocated) == ["v1.0.0", "v1.1.0"]
    assert [(e.role, e.repo) for e in record.endpoints] == [("stable", repo)]
    assert await asyncio.to_thread(here.cloud.endpoints_of, repo) == [record.endpoints[0].name]
    assert list(record.candidates_compared.values()) == [1]


async def test_a_training_that_is_killed_at_any_write_ends_in_the_same_state(harness: Harness) -> None:
    writes = await harness.undisturbed(training_begins, training_has_its_one_end)
    print("\n".join(writes))
    due = points(len(writes))
    wrong = await harness.crash_everywhere(due, training_begins, training_has_its_one_end)
    assert not wrong, report(wrong, of=len(due))


async def test_a_training_whose_job_is_lost_is_killed_at_any_write_and_ends_in_the_same_state(
    harness: Harness,
) -> None:
    begins, ends = training_begins_badly, training_ends_at_the_second_attempt
    writes = await harness.undisturbed(begins, ends)
    print("\n".join(writes))
    due = [point for point in points(len(writes)) if point.number > SAME_AS_BEFORE]
    wrong = await harness.crash_everywhere(due, begins, ends)
    assert not wrong, report(wrong, of=len(due))


async def test_a_rollout_that_is_killed_at_any_write_ends_in_the_same_state(harness: Harness) -> None:
    writes = await harness.undisturbed(rollout_begins, rollout_has_its_one_end)
    print("\n".join(writes))
    due = points(len(writes))
    wrong = await harness.crash_everywhere(due, rollout_begins, rollout_has_its_one_end)
    assert not wrong, report(wrong, of=len(due))


def report(wrong: dict[Point, str], *, of: int) -> str:
    """Every point that went wrong."""
    listed = "\n\n".join(f"--- {point}\n{error}" for point, error in wrong.items())
    return f"{len(wrong)} of {of} points ended wrong:\n{listed}"
