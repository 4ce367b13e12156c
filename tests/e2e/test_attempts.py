"""A job that is lost, has too little memory or gets no hardware is followed by another; a run can be suspended."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.environment import Environment

from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER

DATA = "/resolve/.*/data/"


async def created(env: Environment, **spec: Any) -> str:
    """A TrainingRun `first`; its uid."""
    await env.create_agent_model()
    made = await env.api.create(manifests.training_run("first", base_model=BASE_MODEL, **spec))
    return str(made["metadata"]["uid"])


async def held_in_training(env: Environment) -> Json:
    """The run once its job reads its data, where a fault keeps it."""
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Running")
    sandbox = env.cloud.sandbox
    await env.wait_until(
        lambda: sandbox.requests(service="hub", path_regex=DATA), expected="reading its data"
    )
    return run


async def billed(env: Environment, uid: str) -> list[Json]:
    """What the service says of the run's jobs, by attempt."""
    every = await asyncio.to_thread(env.cloud.sandbox.job_billing)
    ours = [job for job in every if uid in str(job["labels"].get("modelops-attempt"))]
    return sorted(ours, key=lambda job: str(job["labels"]["modelops-attempt"]))


async def test_a_lost_job_is_followed_by_another_and_both_are_booked(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.forget_requests()
    stalled = sandbox.fault("hub", "stall", times=None, seconds=30, path_regex=DATA)
    uid = await created(env)
    await env.start_operator()
    run = await held_in_training(env)
    sandbox.call("POST", f"/jobs/{status(run)['job']['id']}/kill", {"message": "node lost"})
    sandbox.remove_fault(stalled)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    (past,) = status(run)["attempts"]
    assert (past["attempt"], past["reason"]) == (1, "JobLost")
    assert "node lost" in past["message"]
    assert status(run)["job"]["attempt"] == 2
    jobs = await billed(env, uid)
    assert [job["stage"] for job in jobs] == ["ERROR", "COMPLETED"]
    record = await env.read_record()
    assert (record.reservations, sorted(record.settlements)) == ({}, [f"{uid}/1", f"{uid}/2"])
    assert record.spent_by(uid) == sum(job["costMicroUSD"] for job in jobs)
    assert [entry.version for entry in record.history] == ["v1.1.0-rc.1"]
    reasons = [event["reason"] for event in await env.api.list("Event")]
    assert "Retrying" in reasons


async def test_a_job_without_memory_is_followed_by_one_with_half_the_batch(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.forget_requests()
    stalled = sandbox.fault("hub", "stall", times=None, seconds=30, path_regex=DATA)
    uid = await created(env, config={"numEpochs": 1, "batchSize": 4, "gradientAccumulationSteps": 4})
    await env.start_operator()
    run = await held_in_training(env)
    sandbox.call("POST", f"/jobs/{status(run)['job']['id']}/kill", {"message": "OOMKilled"})
    sandbox.remove_fault(stalled)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    assert [past["reason"] for past in status(run)["attempts"]] == ["OutOfMemory"]
    job = status(run)["job"]
    assert (job["batchSize"], job["gradientAccumulationSteps"]) == (2, 8)
    entry = (await env.read_record()).history[-1]
    assert (entry.lineage["recipe"]["batch_size"], entry.lineage["run"]) == ("2", uid)


async def test_a_job_without_hardware_is_given_up_for_another_flavor(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await created(env, backend={"huggingFace": {"flavor": "auto"}})
    await env.start_operator(MODELOPS_SCHEDULING_SECONDS="1")
    run = await env.api.wait_until(
        "TrainingRun",
        "first",
        lambda o: status(o).get("job", {}).get("attempt") == 2,
        expected="at attempt 2",
    )
    (past,) = status(run)["attempts"]
    assert past["reason"] == "StuckInScheduling"
    assert past["flavor"] != status(run)["estimate"]["flavor"]
    sandbox.hold_jobs(held=False)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    jobs = await billed(env, uid)
    assert jobs[0]["stage"] == "CANCELED"
    assert jobs[0]["costMicroUSD"] == 0


async def test_a_run_is_suspended_goes_on_and_is_deleted_in_its_time(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await created(env, backoffLimit=0)
    await env.start_operator()
    await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await env.api.patch("TrainingRun", "first", {"spec": {"suspend": True}})
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Suspended")
    assert "set it to false" in status_summary(run)
    record = await env.read_record()
    assert (record.reservations, list(record.settlements)) == ({}, [f"{uid}/1"])
    assert [job["stage"] for job in await billed(env, uid)] == ["CANCELED"]
    written = await env.wait_until_quiet()
    await env.kill_operator()
    await env.start_operator()
    await env.wait_until_leading()
    assert await env.wait_until_quiet() == written, "a restart wrote about a suspended run"
    sandbox.hold_jobs(held=False)
    await env.api.patch("TrainingRun", "first", {"spec": {"suspend": False}})
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    assert status(run)["job"]["attempt"] == 2
    await env.api.patch("TrainingRun", "first", {"spec": {"ttlSecondsAfterFinished": 1}})
    await env.api.wait_until_deleted("TrainingRun", "first")
    assert [entry.deployment_status for entry in (await env.read_record()).history] == ["trained"]


async def test_a_job_that_somebody_stops_at_the_service_is_not_started_again(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await created(env)
    await env.start_operator()
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await asyncio.to_thread(env.cloud.hf.cancel_job, job_id=status(run)["job"]["id"], namespace=USER)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert (status(run)["phase"], status(run)["reason"]) == ("Failed", "JobStopped"), status_summary(run)
    assert [job["stage"] for job in await billed(env, uid)] == ["CANCELED"]
    assert (await env.read_record()).reservations == {}


async def test_a_job_that_ended_well_without_a_model_is_no_success(env: Environment) -> None:
    """Somebody takes the model away before it was verified."""
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await created(env)
    await env.start_operator()
    await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await env.kill_operator()
    sandbox.hold_jobs(held=False)
    await env.wait_until(lambda: ended(env, uid), expected="ended")
    model = next(m.id for m in env.cloud.hf.list_models(author=USER) if m.id.endswith(f"-{uid[:6]}"))
    await asyncio.to_thread(env.cloud.hf.delete_file, "modelops.json", model)
    await env.start_operator()
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert (status(run)["phase"], status(run)["reason"]) == ("Failed", "WeightsMissing"), status_summary(run)
    assert model in status_summary(run)
    record = await env.read_record()
    assert (record.reservations, record.history) == ({}, ())
    assert record.spent_by(uid) == sum(job["costMicroUSD"] for job in await billed(env, uid))


def ended(env: Environment, uid: str) -> bool:
    """Whether the run's job has."""
    jobs = env.cloud.sandbox.job_billing()
    return any(uid in str(j["labels"].get("modelops-attempt")) and j["stage"] == "COMPLETED" for j in jobs)
