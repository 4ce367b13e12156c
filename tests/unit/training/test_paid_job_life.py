"""The life of a paid job on a calm day, through the real reconciler: what is written, and when."""

from __future__ import annotations

import json

from tests.unit.training.paid_world import Faults, PaidWorld, run_once

CALM = Faults(takeovers=0, lost_answers=0)


def test_a_run_becomes_a_registered_model_in_eleven_writes() -> None:
    world = PaidWorld(CALM, prepared=False)
    for _ in range(20):
        run_once(world)
        for job in world.jobs.jobs:
            if job.state == "training":
                world.finish(job)
            if job.state == "queued":
                world.hub.starts(job, 1)
    assert world.server.writes == [
        "finalizers",
        "status Preparing/PreparingDataset",
        "status Submitting/DatasetPrepared",
        "record",
        "status Submitting/Submitting",
        "status Scheduling/JobSubmitted",
        "status Running/JobRunning",
        "record",
        "status Succeeded/Trained",
        "finalizers",
    ]
