"""A paid job without faults, through the real reconciler: what is written, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.training.objects import AGENT, NAMESPACE, RUN
from tests.unit.training.simulation import (
    INSTALLATIONS_TOKEN,
    RUN_NAME,
    SECRET_NAME,
    Faults,
    PaidJobSimulation,
)
from tests.unit.training.submitted_runs import report

from modelops.api.v1alpha1.names import record_name
from modelops.domain.training.decide import decide
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import TRAINING_RUNS
from modelops.ports import AttemptClaim, Refused

NO_FAULTS = Faults(takeovers=0, lost_answers=0)


async def test_a_run_becomes_a_registered_model_in_nine_writes() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, prepared=False, stepped=False)
    for _ in range(8):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
        for job in simulation.jobs.jobs:
            if job.state == "training":
                simulation.finish(job)
            if job.state == "queued":
                simulation.hub.starts(job)
    simulation.check_at_rest()
    assert simulation.server.writes == [
        "finalizers",
        "status Preparing/PreparingDataset",
        "record",
        "status Submitting/Submitting",
        "status Scheduling/JobSubmitted",
        "status Running/JobRunning",
        "record",
        "status Succeeded/Trained",
        "finalizers",
    ]
    repository = f"appsmithery/code-chef-docs-20251209-210000-{simulation.uid[:6]}"
    assert simulation.kube.events == [
        "PreparingDataset: reading ls://docs-examples",
        "DatasetPrepared: 135 examples to train on, 15 held out; estimated $0.175 to $0.55",
        "Submitting: up to $0.55 reserved; submitting to a10g-large",
        "JobSubmitted: job job1 waits for hardware",
        "JobRunning: job job1 trains",
        f"Trained: {repository} is on the Hub and in the registry",
    ]


async def test_what_a_condition_said_of_one_moment_is_not_said_after_it() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    run = simulation.cache.get(TRAINING_RUNS, NAMESPACE, RUN)
    assert run is not None
    messages = {one["type"]: one["message"] for one in run["status"]["conditions"]}
    assert messages["Submitted"] == "job job1 was submitted"


async def test_a_new_process_writes_nothing_after_the_run_has_ended() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    written = list(simulation.server.writes)
    for _ in range(3):
        simulation.lead(stale=False)
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert simulation.server.writes == written
    assert len(simulation.jobs.jobs) == 1


async def test_the_record_is_read_from_the_api_server() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    cached = simulation.cache.get(CONFIG_MAPS, NAMESPACE, record_name(AGENT))
    run = simulation.cache.get(TRAINING_RUNS, NAMESPACE, RUN)
    assert cached == simulation.server.live(("ConfigMap", record_name(AGENT)))
    assert run == simulation.server.live(("TrainingRun", RUN))


async def test_a_claim_is_read_once_even_if_two_jobs_may_exist() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    simulation.server.user_edits(RUN_NAME, lambda item: item["status"]["job"].update(submissions=2))
    simulation.lead(stale=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    unclaimed = simulation.hub.claim_reads
    simulation.hub.starts(simulation.jobs.jobs[0])
    for _ in range(3):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert unclaimed >= 1
    assert simulation.hub.claim_reads == unclaimed + 1


async def test_a_run_deleted_after_its_secret_ends_and_is_settled_with_the_installations_token() -> None:
    simulation = PaidJobSimulation(replace(NO_FAULTS, endings=1), stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    (job,) = simulation.jobs.jobs
    simulation.hub.starts(job)
    simulation.server.gone.add(SECRET_NAME)
    simulation.pass_time(60)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert (simulation.status()["reason"], job.state) == ("SecretNotUsable", "training")
    simulation.left["endings"] = 0
    simulation.end_by_person(delete=True)
    for _ in range(4):
        simulation.deliver(RUN_NAME)
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert simulation.jobs.tokens[1:] == [INSTALLATIONS_TOKEN]
    assert job.state == "cancelled"
    simulation.check_at_rest()


async def test_nothing_is_submitted_with_the_installations_token() -> None:
    simulation = PaidJobSimulation(
        NO_FAULTS, stepped=False, decision=lambda state: decide(replace(state, secret_problem=""))
    )
    simulation.server.gone.add(SECRET_NAME)
    with pytest.raises(Refused, match="SubmitJob needs the agent's own token"):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert simulation.jobs.jobs == []


async def test_a_refused_checkpoint_is_said_while_the_job_trains_and_taken_back() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    simulation.jobs.report = report(
        warning="the checkpoint at step 8 is not on the Hub: the Hub answered 403"
    )
    for _ in range(2):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
        for job in simulation.jobs.jobs:
            simulation.hub.starts(job)
    assert simulation.status()["reason"] == "HubRefused"
    assert simulation.status()["phase"] == "Running"
    assert "HubRefused: job job1 goes on, but the checkpoint at step 8" in simulation.kube.events[-1]
    simulation.jobs.report = report(kind="checkpoint", warning="")
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert simulation.status()["reason"] == "JobRunning"


async def test_a_job_that_does_not_know_its_id_is_followed_to_its_end() -> None:
    simulation = PaidJobSimulation(NO_FAULTS, stepped=False)
    for _ in range(8):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
        for job in simulation.jobs.jobs:
            job.listed = True
            if job.state == "training":
                simulation.finish(job)
            if job.state == "queued":
                simulation.hub.starts(job)
                simulation.hub.claims[1] = AttemptClaim(job="anonymous-5f")
    simulation.check_at_rest()
    assert simulation.status()["phase"] == "Succeeded"
    assert len(simulation.jobs.jobs) == 1
