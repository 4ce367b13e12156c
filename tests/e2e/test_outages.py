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

EXAMPLES, QUESTIONS = "/examples", "/e/.*/chat/completions"
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("status", {"status": 500}),
    ("stall", {"seconds": 3}),
]


@pytest.mark.parametrize(("kind", "fields"), KINDS, ids=[kind for kind, _ in KINDS])
async def test_a_preparation_waits_for_langsmith(here: Stage, kind: str, fields: dict[str, Any]) -> None:
    """It goes away between the dataset, which is found, and its examples."""
    sandbox = here.cloud.sandbox
    sandbox.forget_requests()
    number = sandbox.fault("langsmith", kind, times=None, path_regex=EXAMPLES, **fields)
    await here.agent_model()
    made = await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await here.start()
    await here.until(lambda: failed(here, EXAMPLES), say="without its examples")
    found = sandbox.requests(service="langsmith", path_regex=r"/datasets\?")
    assert {call["status"] for call in found} == {200}
    if kind != "stall":
        waiting = await here.api.until(
            "TrainingRun", "first", lambda o: status(o).get("reason") == "LangSmithUnavailable", seconds=60
        )
        assert "again" in told(waiting)
    waiting = await here.api.until("TrainingRun", "first", lambda o: status(o).get("phase"))
    assert status(waiting)["phase"] == "Preparing", told(waiting)
    sandbox.remove_fault(number)
    run = await here.api.complete("TrainingRun", "first", seconds=120)
    assert status(run)["reason"] == "Trained", told(run)
    assert len(await asyncio.to_thread(here.cloud.jobs_of, made["metadata"]["uid"])) == 1
    commits = [w for w in here.recorder.writes if "/datasets/" in w.path and "/commit/" in w.path]
    assert len(commits) == 1


async def test_an_evaluation_that_loses_langsmith_asks_no_model_twice(here: Stage) -> None:
    """It goes away when the questions are read and before one is answered: what was found is recorded later."""
    sandbox = here.cloud.sandbox
    await asyncio.to_thread(here.agents, 1, rate=0.01)
    await here.agent_model()
    candidate = await asyncio.to_thread(here.cloud.candidate)
    sandbox.forget_requests()
    busy = sandbox.fault("models", "status", status=503, times=None, path_regex=QUESTIONS)
    await here.api.create(
        manifests.rollout("one", {"model": candidate}, strategy={"evaluateOnly": {}}, evaluation=QUICK)
    )
    await here.start()
    await here.until(lambda: sandbox.requests(service="models", path_regex=QUESTIONS), say="evaluating")
    assert not failed(here)
    gone = sandbox.fault("langsmith", "drop_before", times=None)
    sandbox.remove_fault(busy)
    await here.until(lambda: failed(here), say="without LangSmith")
    assert len(answered(here)) == QUICK["maxExamples"]
    sandbox.remove_fault(gone)
    rollout = await here.api.complete("Rollout", "one", seconds=120)
    assert status(rollout)["reason"] == "EvaluatedOnly", told(rollout)
    assert status(rollout)["evaluation"]["recorded"] is True
    assert len(answered(here)) == QUICK["maxExamples"]


def failed(here: Stage, path: str = "") -> list[dict[str, Any]]:
    """Calls that LangSmith gave no answer to, or an error."""
    calls = here.cloud.sandbox.requests(service="langsmith", path_regex=path)
    return [call for call in calls if call["status"] == 0 or call["status"] >= 500]


def answered(here: Stage) -> list[dict[str, Any]]:
    """Questions that the candidate has answered."""
    calls = here.cloud.sandbox.requests(service="models", path_regex=QUESTIONS)
    return [call for call in calls if call["status"] == 200]
