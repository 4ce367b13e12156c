"""An abort in every phase of a rollout, and a cancellation or deletion in every phase of a training."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.canary import LONG_PAUSE, NAME, SHORT_EVALUATION, Canary, assert_on_stable
from tests.e2e.environment import Environment

from modelops.sandbox.hub.seeds import BASE_MODEL


@dataclass(frozen=True)
class RolloutCase:
    """How a rollout is brought to a phase and kept in it."""

    reason: str
    agents: int = 2
    fault: tuple[str, str, dict[str, Any]] | None = None
    spec: dict[str, Any] | None = None
    missing_variable: str = ""
    """An environment variable that the agents do not have."""


ROLLOUT_CASES = {
    "pending": RolloutCase("WaitingForCandidate", spec={"candidate": {"trainingRunRef": {"name": "later"}}}),
    "provisioning": RolloutCase("Provisioning", fault=("models", "status", {"status": 503, "path_regex": "health|models$"})),
    "evaluating": RolloutCase("Evaluating", fault=("models", "stall", {"seconds": 60, "path_regex": "completions"})),
    "waiting-for-agents": RolloutCase("WaitingForAgents", agents=0),
    "unreachable": RolloutCase("CanaryUnreachable", missing_variable="HF_TOKEN"),
    "paused": RolloutCase("Paused", spec={"paused": True}),
    "watching": RolloutCase("Watching"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROLLOUT_CASES)
async def test_an_abort_in_any_phase_ends_on_stable(
    env: Environment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = ROLLOUT_CASES[name]
    monkeypatch.delenv(phase.missing_variable, raising=False)
    agents = env.start_agents(max(1, phase.agents)) if phase.agents else env.start_agents(1)
    if not phase.agents:
        await asyncio.to_thread(agents.close)
    if phase.fault:
        service, kind, fields = phase.fault
        env.cloud.sandbox.fault(service, kind, times=None, **fields)
    await env.create_agent_model()
    candidate = await asyncio.to_thread(env.cloud.create_candidate)
    given = {
        "candidate": {"model": candidate},
        "strategy": LONG_PAUSE,
        "evaluation": SHORT_EVALUATION,
        **(phase.spec or {}),
    }
    made = await env.api.create(manifests.rollout(NAME, **given))
    await env.start_operator()
    await env.api.wait_until(
        "Rollout", NAME, lambda o: status(o).get("reason") == phase.reason, expected=phase.reason
    )
    await env.api.patch("Rollout", NAME, {"spec": {"abort": True}})
    rollout = await env.api.wait_until_finished("Rollout", NAME)
    assert (status(rollout)["phase"], status(rollout)["reason"]) == ("Aborted", "AbortedByUser"), (
        status_summary(rollout)
    )
    _, entry = await env.read_agents_file()
    assert (await env.read_stable_target()).model == manifests.BASELINE
    assert entry.routing is None or entry.routing.weight == 0
    record = await env.read_record()
    assert (record.active, record.reservations) == (None, {})
    if phase.agents:
        await assert_on_stable(env, Canary(made["metadata"]["uid"], candidate["repo"], agents))
    env.cloud.sandbox.clear()


DATA_FILES = "/resolve/.*/data/"


@dataclass(frozen=True)
class TrainingCase:
    """How a run is brought to a phase and kept in it. With `job_killed` its job is killed first."""

    phase: str
    jobs_held: bool = False
    fault: tuple[str, str, dict[str, Any]] | None = None
    agent: dict[str, Any] | None = None
    suspended: bool = False
    job_killed: bool = False
    jobs: tuple[str, ...] = ()
    """Stages of all jobs of the run at the end."""


TRAINING_CASES = {
    "preparing": TrainingCase("Preparing", fault=("langsmith", "stall", {"seconds": 60, "path_regex": "/examples"})),
    "awaiting-approval": TrainingCase("AwaitingApproval", agent={"budget": {"approvalAboveUSD": "0.0001"}}),
    "scheduling": TrainingCase("Scheduling", jobs_held=True, jobs=("CANCELED",)),
    "running": TrainingCase("Running", fault=("hub", "stall", {"seconds": 60, "path_regex": DATA_FILES}), jobs=("CANCELED",)),
    "between-attempts": TrainingCase(
        "Pending", fault=("hub", "stall", {"seconds": 60, "path_regex": DATA_FILES}), job_killed=True, jobs=("ERROR",)
    ),
    "suspended": TrainingCase("Suspended", jobs_held=True, suspended=True, jobs=("CANCELED",)),
}  # fmt: skip


@pytest.mark.parametrize("how", ["cancel", "delete"])
@pytest.mark.parametrize("name", TRAINING_CASES)
async def test_a_training_stopped_in_any_phase_leaves_no_job_and_no_reservation(
    env: Environment, name: str, how: str
) -> None:
    case, sandbox = TRAINING_CASES[name], env.cloud.sandbox
    sandbox.hold_jobs(held=case.jobs_held)
    if case.fault:
        service, kind, fields = case.fault
        sandbox.fault(service, kind, times=None, **fields)
    await env.create_agent_model(**(case.agent or {}))
    made = await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await env.start_operator(MODELOPS_RETRY_SECONDS="600")
    await bring_to_phase(env, case)
    if how == "cancel":
        await env.api.patch("TrainingRun", "first", {"spec": {"cancel": True}})
        run = await env.api.wait_until_finished("TrainingRun", "first")
        assert (status(run)["phase"], status(run)["reason"]) == ("Cancelled", "Cancelled"), status_summary(
            run
        )
    else:
        await env.api.delete("TrainingRun", "first")
        await env.api.wait_until_deleted("TrainingRun", "first")
    uid = made["metadata"]["uid"]
    billing = await asyncio.to_thread(sandbox.job_billing)
    jobs = [job for job in billing if uid in str(job["labels"].get("modelops-attempt"))]
    assert tuple(job["stage"] for job in jobs) == case.jobs
    record = await env.read_record()
    assert (record.reservations, record.spent_by(uid)) == ({}, sum(job["costMicroUSD"] for job in jobs))
    assert [done.outcome for done in record.completed.values()] == ["Cancelled"]


async def bring_to_phase(env: Environment, case: TrainingCase) -> None:
    """Waits until the run is in the phase of the case."""

    async def phase(name: str) -> Any:
        return await env.api.wait_until(
            "TrainingRun", "first", lambda o: status(o).get("phase") == name, expected=name
        )

    if case.suspended:
        await phase("Scheduling")
        await env.api.patch("TrainingRun", "first", {"spec": {"suspend": True}})
    if case.job_killed:
        run = await phase("Running")
        env.cloud.sandbox.call("POST", f"/jobs/{status(run)['job']['id']}/kill", {"message": "node lost"})
        await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("attempts"), expected="lost")
    await phase(case.phase)
