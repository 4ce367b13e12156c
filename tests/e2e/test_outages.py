"""LangSmith goes away in the middle: the work waits, goes on where it was, and does nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e import manifests
from tests.e2e.api import status, told
from tests.e2e.canary import QUICK
from tests.e2e.stage import Stage

from modelops.sandbox.hub.seeds import BASE_MODEL

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("status", {"status": 500}),
    ("stall", {"seconds": 3}),
]


@pytest.mark.parametrize(("kind", "fields"), KINDS, ids=[kind for kind, _ in KINDS])
async def test_a_preparation_waits_for_langsmith(here: Stage, kind: str, fields: dict[str, Any]) -> None:
    sandbox = here.cloud.sandbox
    number = sandbox.fault("langsmith", kind, times=None, path_regex="/examples|/datasets", **fields)
    await here.agent_model()
    made = await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await here.start()
    await here.api.until("TrainingRun", "first", lambda o: status(o).get("phase") == "Preparing")
    if kind != "stall":
        waiting = await here.api.until(
            "TrainingRun", "first", lambda o: status(o).get("reason") == "LangSmithUnavailable", seconds=60
        )
        assert "again" in told(waiting)
    sandbox.remove_fault(number)
    run = await here.api.complete("TrainingRun", "first", seconds=120)
    assert status(run)["reason"] == "Trained", told(run)
    assert len(await asyncio.to_thread(here.cloud.jobs_of, made["metadata"]["uid"])) == 1
    commits = [w for w in here.recorder.writes if "/datasets/" in w.path and "/commit/" in w.path]
    assert len(commits) == 1


async def test_an_evaluation_that_loses_langsmith_asks_no_model_twice(here: Stage) -> None:
    sandbox = here.cloud.sandbox
    await asyncio.to_thread(here.agents, 1, rate=0.01)
    await here.agent_model()
    candidate = await asyncio.to_thread(here.cloud.candidate)
    sandbox.forget_requests()
    await here.api.create(
        manifests.rollout("one", {"model": candidate}, strategy={"evaluateOnly": {}}, evaluation=QUICK)
    )
    await here.start()
    asked = "/e/.*/chat/completions"
    await here.until(lambda: sandbox.requests(service="models", path_regex=asked), say="evaluating")
    number = sandbox.fault("langsmith", "drop_before", times=None)
    await asyncio.sleep(0)
    await here.until(
        lambda: len(sandbox.requests(service="models", path_regex=asked)) >= QUICK["maxExamples"],
        say="asked about every example",
    )
    sandbox.remove_fault(number)
    rollout = await here.api.complete("Rollout", "one", seconds=120)
    assert status(rollout)["reason"] == "EvaluatedOnly", told(rollout)
    answered = [c for c in sandbox.requests(service="models", path_regex=asked) if c["status"] == 200]
    assert len(answered) == QUICK["maxExamples"]
