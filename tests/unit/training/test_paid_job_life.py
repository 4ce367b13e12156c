"""The life of a paid job on a calm day, through the real reconciler: what is written, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.training.objects import AGENT, NAMESPACE, RUN
from tests.unit.training.paid_world import (
    INSTALLATIONS_TOKEN,
    RUN_NAME,
    SECRET_NAME,
    Faults,
    PaidWorld,
)

from modelops.api.v1alpha1.names import record_name
from modelops.domain.training.decide import decide
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import TRAINING_RUNS
from modelops.ports import Refused

NO_FAULTS = Faults(takeovers=0, lost_answers=0)


async def test_a_run_becomes_a_registered_model_in_nine_writes() -> None:
    world = PaidWorld(NO_FAULTS, prepared=False, stepped=False)
    for _ in range(8):
        await world.reconciler.reconcile(NAMESPACE, RUN)
        for job in world.jobs.jobs:
            if job.state == "training":
                world.finish(job)
            if job.state == "queued":
                world.hub.starts(job)
    world.check_rest()
    assert world.server.writes == [
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
    repository = f"appsmithery/code-chef-docs-20251209-210000-{world.uid[:6]}"
    assert world.kube.events == [
        "PreparingDataset: reading ls://docs-examples",
        "DatasetPrepared: 135 examples to train on, 15 held out; estimated $0.175 to $0.50",
        "Submitting: up to $0.50 reserved; submitting to a10g-large",
        "JobSubmitted: job job1 waits for hardware",
        "JobRunning: job job1 trains",
        f"Trained: {repository} is on the Hub and in the registry",
    ]


async def test_a_new_process_writes_nothing_after_the_run_has_ended() -> None:
    world = PaidWorld(NO_FAULTS, stepped=False)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    written = list(world.server.writes)
    for _ in range(3):
        world.lead(stale=False)
        await world.reconciler.reconcile(NAMESPACE, RUN)
    assert world.server.writes == written
    assert len(world.jobs.jobs) == 1


async def test_the_record_is_read_from_the_api_server() -> None:
    world = PaidWorld(NO_FAULTS, stepped=False)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    held = world.cache.get(CONFIG_MAPS, NAMESPACE, record_name(AGENT))
    run = world.cache.get(TRAINING_RUNS, NAMESPACE, RUN)
    assert held == world.server.live(("ConfigMap", record_name(AGENT)))
    assert run == world.server.live(("TrainingRun", RUN))


async def test_a_claim_is_read_once_even_if_two_jobs_may_exist() -> None:
    world = PaidWorld(NO_FAULTS, stepped=False)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    world.server.user_edits(RUN_NAME, lambda item: item["status"]["job"].update(submissions=2))
    world.lead(stale=False)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    unclaimed = world.hub.asked
    world.hub.starts(world.jobs.jobs[0])
    for _ in range(3):
        await world.reconciler.reconcile(NAMESPACE, RUN)
    assert unclaimed >= 1
    assert world.hub.asked == unclaimed + 1


async def test_a_run_deleted_after_its_secret_ends_and_is_settled_with_the_installations_token() -> None:
    world = PaidWorld(replace(NO_FAULTS, endings=1), stepped=False)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    (job,) = world.jobs.jobs
    world.hub.starts(job)
    world.server.gone.add(SECRET_NAME)
    world.pass_time(60)
    await world.reconciler.reconcile(NAMESPACE, RUN)
    assert (world.status()["reason"], job.state) == ("SecretNotUsable", "training")
    world.left["endings"] = 0
    world.end_by_person(delete=True)
    for _ in range(4):
        world.deliver(RUN_NAME)
        await world.reconciler.reconcile(NAMESPACE, RUN)
    assert world.jobs.tokens[1:] == [INSTALLATIONS_TOKEN]
    assert job.state == "cancelled"
    world.check_rest()


async def test_nothing_is_submitted_with_the_installations_token() -> None:
    world = PaidWorld(
        NO_FAULTS, stepped=False, decision=lambda state: decide(replace(state, secret_problem=""))
    )
    world.server.gone.add(SECRET_NAME)
    with pytest.raises(Refused, match="SubmitJob needs the agent's own token"):
        await world.reconciler.reconcile(NAMESPACE, RUN)
    assert world.jobs.jobs == []
