"""A job that is lost, runs out of memory or gets no hardware is retried as a new attempt; a run can be suspended."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.environment import Environment

from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER

DATA_FILES = "/resolve/.*/data/"


async def create_run(env: Environment, **spec: Any) -> str:
    """Creates the TrainingRun `first`; returns its uid."""
    await env.create_agent_model()
    made = await env.api.create(manifests.training_run("first", base_model=BASE_MODEL, **spec))
    return str(made["metadata"]["uid"])


async def wait_until_reading_data(env: Environment) -> Json:
    """Waits until the job reads its data, where a fault stalls it; returns the run."""
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Running")
    sandbox = env.cloud.sandbox
    await env.wait_until(
        lambda: sandbox.requests(service="hub", path_regex=DATA_FILES), expected="reading its data"
    )
    return run


async def billed_jobs(env: Environment, uid: str) -> list[Json]:
    """The run's jobs as the service bills them, sorted by attempt."""
    all_jobs = await asyncio.to_thread(env.cloud.sandbox.job_billing)
    jobs_of_run = [job for job in all_jobs if uid in str(job["labels"].get("modelops-attempt"))]
    return sorted(jobs_of_run, key=lambda job: str(job["labels"]["modelops-attempt"]))


async def test_a_lost_job_is_retried_and_both_jobs_are_settled(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.forget_requests()
    stalled = sandbox.fault("hub", "stall", times=None, seconds=30, path_regex=DATA_FILES)
    uid = await create_run(env)
    await env.start_operator()
    run = await wait_until_reading_data(env)
    sandbox.call("POST", f"/jobs/{status(run)['job']['id']}/kill", {"message": "node lost"})
    sandbox.remove_fault(stalled)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    (finished_attempt,) = status(run)["attempts"]
    assert (finished_attempt["attempt"], finished_attempt["reason"]) == (1, "JobLost")
    assert "node lost" in finished_attempt["message"]
    assert status(run)["job"]["attempt"] == 2
    jobs = await billed_jobs(env, uid)
    assert [job["stage"] for job in jobs] == ["ERROR", "COMPLETED"]
    record = await env.read_record()
    assert (record.reservations, sorted(record.settlements)) == ({}, [f"{uid}/1", f"{uid}/2"])
    assert record.spent_by(uid) == sum(job["costMicroUSD"] for job in jobs)
    assert [entry.version for entry in record.history] == ["v1.1.0-rc.1"]
    reasons = [event["reason"] for event in await env.api.list("Event")]
    assert "Retrying" in reasons


async def test_after_out_of_memory_the_next_job_has_half_the_batch_size(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.forget_requests()
    stalled = sandbox.fault("hub", "stall", times=None, seconds=30, path_regex=DATA_FILES)
    uid = await create_run(env, config={"numEpochs": 1, "batchSize": 4, "gradientAccumulationSteps": 4})
    await env.start_operator()
    run = await wait_until_reading_data(env)
    sandbox.call("POST", f"/jobs/{status(run)['job']['id']}/kill", {"message": "OOMKilled"})
    sandbox.remove_fault(stalled)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    assert [finished_attempt["reason"] for finished_attempt in status(run)["attempts"]] == ["OutOfMemory"]
    job = status(run)["job"]
    assert (job["batchSize"], job["gradientAccumulationSteps"]) == (2, 8)
    entry = (await env.read_record()).history[-1]
    assert (entry.lineage["recipe"]["batch_size"], entry.lineage["run"]) == ("2", uid)


async def test_a_job_stuck_in_scheduling_is_retried_on_another_flavor(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await create_run(env, backend={"huggingFace": {"flavor": "auto"}})
    await env.start_operator(MODELOPS_SCHEDULING_SECONDS="1")
    run = await env.api.wait_until(
        "TrainingRun",
        "first",
        lambda o: status(o).get("job", {}).get("attempt") == 2,
        expected="at attempt 2",
    )
    (finished_attempt,) = status(run)["attempts"]
    assert finished_attempt["reason"] == "StuckInScheduling"
    assert finished_attempt["flavor"] != status(run)["estimate"]["flavor"]
    sandbox.hold_jobs(held=False)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    jobs = await billed_jobs(env, uid)
    assert jobs[0]["stage"] == "CANCELED"
    assert jobs[0]["costMicroUSD"] == 0


async def test_a_run_is_suspended_resumed_and_deleted_after_its_ttl(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await create_run(env, backoffLimit=0)
    await env.start_operator()
    await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await env.api.patch("TrainingRun", "first", {"spec": {"suspend": True}})
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Suspended")
    assert "set it to false" in status_summary(run)
    record = await env.read_record()
    assert (record.reservations, list(record.settlements)) == ({}, [f"{uid}/1"])
    assert [job["stage"] for job in await billed_jobs(env, uid)] == ["CANCELED"]
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


async def test_a_job_cancelled_at_the_service_is_not_retried(env: Environment) -> None:
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await create_run(env)
    await env.start_operator()
    run = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await asyncio.to_thread(env.cloud.hf.cancel_job, job_id=status(run)["job"]["id"], namespace=USER)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert (status(run)["phase"], status(run)["reason"]) == ("Failed", "JobStopped"), status_summary(run)
    assert [job["stage"] for job in await billed_jobs(env, uid)] == ["CANCELED"]
    assert (await env.read_record()).reservations == {}


async def test_a_completed_job_without_a_model_fails_the_run(env: Environment) -> None:
    """The model is deleted from the Hub before the operator has verified it."""
    sandbox = env.cloud.sandbox
    sandbox.hold_jobs()
    uid = await create_run(env)
    await env.start_operator()
    await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Scheduling")
    await env.kill_operator()
    sandbox.hold_jobs(held=False)
    await env.wait_until(lambda: job_has_completed(env, uid), expected="COMPLETED")
    model = next(m.id for m in env.cloud.hf.list_models(author=USER) if m.id.endswith(f"-{uid[:6]}"))
    await asyncio.to_thread(env.cloud.hf.delete_file, "modelops.json", model)
    await env.start_operator()
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert (status(run)["phase"], status(run)["reason"]) == ("Failed", "WeightsMissing"), status_summary(run)
    assert model in status_summary(run)
    record = await env.read_record()
    assert (record.reservations, record.history) == ({}, ())
    assert record.spent_by(uid) == sum(job["costMicroUSD"] for job in await billed_jobs(env, uid))


def job_has_completed(env: Environment, uid: str) -> bool:
    """Whether the run has a job in stage COMPLETED."""
    jobs = env.cloud.sandbox.job_billing()
    return any(uid in str(j["labels"].get("modelops-attempt")) and j["stage"] == "COMPLETED" for j in jobs)
