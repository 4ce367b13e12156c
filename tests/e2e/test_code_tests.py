"""An agent that writes code: its Rollouts are decided by the examples' own tests, from LangSmith to the verdict."""

from __future__ import annotations

import asyncio

import pytest
from tests.coder import PROMPT, dataset_of_code, model_that_remembers
from tests.contract.sandboxes import SHELLS, refusal_of, require
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.environment import Environment

from modelops.code_tests.shells import SETTING

EVALUATION = {"scorer": {"type": "tests"}, "marginPoints": "20"}


@pytest.fixture
def shell() -> str:
    """A shell that this machine can have."""
    chosen = next((name for name in SHELLS if not refusal_of(name)), SHELLS[0])
    require(chosen)
    return chosen


async def test_code_that_passes_its_tests_is_promoted_and_code_that_fails_them_is_rejected(
    env: Environment, shell: str
) -> None:
    name = await asyncio.to_thread(dataset_of_code, env.cloud.sandbox)
    await asyncio.to_thread(env.start_agents, 1)
    await env.create_agent_model(prompt=PROMPT, held_out=name)
    await env.start_operator(**{SETTING: shell})

    better = await asyncio.to_thread(model_that_remembers, env.cloud.hf, right=True)
    await env.api.create(
        manifests.rollout("better", {"model": better}, evaluation=EVALUATION, **manifests.IMMEDIATE)
    )
    promoted = await env.api.wait_until_finished("Rollout", "better", seconds=120)
    assert status(promoted)["reason"] == "Promoted", status_summary(promoted)
    measured = status(promoted)["evaluation"]
    assert (measured["verdict"], measured["scorer"]) == ("pass", "tests")
    assert any("checks of the sandbox held" in finding for finding in measured["findings"])

    worse = await asyncio.to_thread(model_that_remembers, env.cloud.hf, right=False)
    await env.api.create(
        manifests.rollout("worse", {"model": worse}, evaluation=EVALUATION, **manifests.IMMEDIATE)
    )
    rejected = await env.api.wait_until_finished("Rollout", "worse", seconds=120)
    assert status(rejected)["reason"] == "EvaluationFailed", status_summary(rejected)
    assert (await env.read_stable_target()).model == better["repo"]


async def test_rollout_ends_before_anything_is_served_where_no_code_may_be_run(env: Environment) -> None:
    name = await asyncio.to_thread(dataset_of_code, env.cloud.sandbox)
    await env.create_agent_model(prompt=PROMPT, held_out=name)
    await env.start_operator(**{SETTING: "off"})
    candidate = await asyncio.to_thread(model_that_remembers, env.cloud.hf, right=True)
    await env.api.create(manifests.rollout("one", {"model": candidate}, evaluation=EVALUATION))
    refused = await env.api.wait_until_finished("Rollout", "one", seconds=60)
    assert status(refused)["reason"] == "EvaluationRefused", status_summary(refused)
    assert "CodeTestsRefused" in status_summary(refused)
    assert "MODELOPS_CODE_TESTS" in status_summary(refused)
    assert await asyncio.to_thread(env.cloud.endpoints_of, candidate["repo"]) == []
