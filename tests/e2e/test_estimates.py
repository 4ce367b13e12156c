"""A TrainingRun with spec.estimateOnly says what a training costs, and costs nothing; a training is another run."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e import manifests
from tests.e2e.api import condition, ready_message, status, status_summary
from tests.e2e.environment import Environment

from modelops.sandbox.hub.seeds import BASE_MODEL

VALUES: dict[str, Any] = {"base_model": BASE_MODEL}


async def estimate(env: Environment, name: str, **spec: Any) -> Any:
    """Waits for the end of an estimate."""
    await env.api.create(manifests.training_run(name, **VALUES, estimateOnly=True, **spec))
    run = await env.api.wait_until_finished("TrainingRun", name)
    assert (status(run)["phase"], status(run)["reason"]) == ("Succeeded", "Estimated"), status_summary(run)
    return run


async def test_an_estimate_costs_nothing_and_a_training_with_the_same_values_follows(
    env: Environment,
) -> None:
    await env.create_agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.0001"})
    await env.start_operator()
    await env.api.create(manifests.training_run("first", **VALUES, estimateOnly=True))
    await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase"), expected="seen")
    await env.kill_operator()
    await env.start_operator()
    run = await env.api.wait_until_finished("TrainingRun", "first")
    found = status(run)

    assert (found["phase"], found["reason"]) == ("Succeeded", "Estimated"), status_summary(run)
    assert [condition(run, kind) for kind in ("Ready", "Succeeded", "Stalled", "Approved")] == [
        *("True", "True", "False", "")
    ]
    low, high = found["estimate"]["lowUSD"], found["estimate"]["highUSD"]
    message = ready_message(run)
    assert message.startswith(f"a training would cost ${low} to ${high} and take "), message
    assert "(NeedsApproval)" in message, message

    uid, data, hf = run["metadata"]["uid"], found["dataset"]["repo"], env.cloud.hf
    assert await asyncio.to_thread(env.cloud.jobs_of, uid) == []
    assert (await asyncio.to_thread(hf.dataset_info, data)).private
    assert not await asyncio.to_thread(hf.repo_exists, data.removesuffix("-data"))
    record = await env.read_record()
    assert (record.completed, record.reservations, record.settlements, record.history) == ({}, {}, {}, ())
    assert list(record.allocated) == ["v1.0.0"]

    await env.api.create(manifests.rollout("of-it", {"trainingRunRef": {"name": "first"}}))
    refused = await env.api.wait_until_finished("Rollout", "of-it")
    assert (status(refused)["phase"], status(refused)["reason"]) == ("Failed", "CandidateNotFound")
    assert "use a TrainingRun without spec.estimateOnly" in ready_message(refused)

    pinned = await estimate(env, "again", dataset={"asOf": found["dataset"]["asOf"]}, maxUSD="0.0001")
    assert status(pinned)["dataset"]["asOf"] == found["dataset"]["asOf"]
    assert status(pinned)["dataset"]["rows"] == found["dataset"]["rows"]
    assert "It would be refused (OverMaxUSD): " in ready_message(pinned)

    await env.api.delete("TrainingRun", "first")
    await env.api.wait_until_deleted("TrainingRun", "first")
    raised = {"spec": {"budget": {"monthlyUSD": "100", "approvalAboveUSD": "10"}}}
    await env.api.patch("AgentModel", "docs", raised)
    training = await env.api.create(manifests.training_run("first", **VALUES))
    trained = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(trained)["reason"] == "Trained", status_summary(trained)
    assert len(await asyncio.to_thread(env.cloud.jobs_of, training["metadata"]["uid"])) == 1
