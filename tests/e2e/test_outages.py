"""An outage of LangSmith: the work waits, resumes where it was, and does nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.canary import SHORT_EVALUATION
from tests.e2e.environment import Environment

from modelops.sandbox.hub.seeds import BASE_MODEL

EXAMPLES, QUESTIONS = "/examples", "/e/.*/chat/completions"
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("status", {"status": 500}),
    ("stall", {"seconds": 3}),
]


@pytest.mark.parametrize(("kind", "fields"), KINDS, ids=[kind for kind, _ in KINDS])
async def test_a_preparation_waits_for_langsmith(env: Environment, kind: str, fields: dict[str, Any]) -> None:
    """LangSmith fails after the dataset was found and before its examples are read."""
    sandbox = env.cloud.sandbox
    sandbox.forget_requests()
    number = sandbox.fault("langsmith", kind, times=None, path_regex=EXAMPLES, **fields)
    await env.create_agent_model()
    made = await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await env.start_operator()
    await env.wait_until(lambda: failed_calls(env, EXAMPLES), expected="without its examples")
    found = sandbox.requests(service="langsmith", path_regex=r"/datasets\?")
    assert {call["status"] for call in found} == {200}
    if kind != "stall":
        waiting = await env.api.wait_until(
            "TrainingRun", "first", lambda o: status(o).get("reason") == "LangSmithUnavailable", seconds=60
        )
        assert "again" in status_summary(waiting)
    waiting = await env.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase"))
    assert status(waiting)["phase"] == "Preparing", status_summary(waiting)
    sandbox.remove_fault(number)
    run = await env.api.wait_until_finished("TrainingRun", "first", seconds=120)
    assert status(run)["reason"] == "Trained", status_summary(run)
    assert len(await asyncio.to_thread(env.cloud.jobs_of, made["metadata"]["uid"])) == 1
    commits = [w for w in env.recorder.writes if "/datasets/" in w.path and "/commit/" in w.path]
    assert len(commits) == 1


async def test_an_evaluation_that_loses_langsmith_asks_no_model_twice(env: Environment) -> None:
    """LangSmith fails after the questions were read and before one is answered; the results are recorded later."""
    sandbox = env.cloud.sandbox
    await asyncio.to_thread(env.start_agents, 1, rate=0.01)
    await env.create_agent_model()
    candidate = await asyncio.to_thread(env.cloud.create_candidate)
    sandbox.forget_requests()
    models_unavailable = sandbox.fault("models", "status", status=503, times=None, path_regex=QUESTIONS)
    await env.api.create(
        manifests.rollout(
            "one", {"model": candidate}, strategy={"evaluateOnly": {}}, evaluation=SHORT_EVALUATION
        )
    )
    await env.start_operator()
    await env.wait_until(
        lambda: sandbox.requests(service="models", path_regex=QUESTIONS), expected="evaluating"
    )
    assert not failed_calls(env)
    outage = sandbox.fault("langsmith", "drop_before", times=None)
    sandbox.remove_fault(models_unavailable)
    await env.wait_until(lambda: failed_calls(env), expected="without LangSmith")
    assert len(answered_questions(env)) == SHORT_EVALUATION["maxExamples"]
    sandbox.remove_fault(outage)
    rollout = await env.api.wait_until_finished("Rollout", "one", seconds=120)
    assert status(rollout)["reason"] == "EvaluatedOnly", status_summary(rollout)
    assert status(rollout)["evaluation"]["recorded"] is True
    assert len(answered_questions(env)) == SHORT_EVALUATION["maxExamples"]


def failed_calls(env: Environment, path: str = "") -> list[dict[str, Any]]:
    """Calls that LangSmith did not answer or answered with an error."""
    calls = env.cloud.sandbox.requests(service="langsmith", path_regex=path)
    return [call for call in calls if call["status"] == 0 or call["status"] >= 500]


def answered_questions(env: Environment) -> list[dict[str, Any]]:
    """Calls in which the candidate has answered a question."""
    calls = env.cloud.sandbox.requests(service="models", path_regex=QUESTIONS)
    return [call for call in calls if call["status"] == 200]
