"""An agent that writes code: its Rollouts are decided by the examples' own tests, from LangSmith to the verdict."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from huggingface_hub import CommitOperationAdd
from tests.contract.learning import fill_dataset
from tests.contract.sandboxes import SHELLS, refusal_of, require
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.cloud import Cloud
from tests.e2e.environment import Environment

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.code_tests.shells import SETTING
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

WORDS = (
    *("amber", "birch", "cedar", "delta", "ember", "frost", "grove", "hazel", "ivory"),
    *("jasper", "koala", "lemon", "maple", "north", "ocean", "pearl", "quartz", "river"),
)
PROMPT = {
    "system": "Complete the function.",
    "user": "{{ inputs.prompt }}",
    "assistant": "{{ outputs.code }}",
}
EVALUATION = {"scorer": {"type": "tests"}, "marginPoints": "20"}


def example(first: str, second: str) -> dict[str, Any]:
    """One example in HumanEval's form."""
    name = f"{first}_{second}"
    return {
        "inputs": {
            "prompt": f'def {name}(values):\n    """The values with {first} before and {second} behind."""\n'
        },
        "outputs": {
            "code": f"    return ['{first}', *values, '{second}']\n",
            "tests": f"def check(candidate):\n    assert candidate([1]) == ['{first}', 1, '{second}']\n",
            "entry_point": name,
        },
        "metadata": {"agent": "docs", "success": True},
    }


EXAMPLES = [example(first, second) for first, second in pairwise(WORDS)] + [
    example(second, first) for first, second in zip(WORDS, WORDS[2:], strict=False)
]


def dataset_of_code(cloud: Cloud) -> str:
    """Uploads the examples to LangSmith; returns the dataset's name."""
    name = f"code-{uuid4().hex[:10]}"
    client = LangSmithConnection(
        api_url=cloud.sandbox.langsmith, api_key=cloud.sandbox.langsmith_key, attempts=1
    ).client()
    try:
        fill_dataset(client, name, EXAMPLES)
    finally:
        client.close(timeout=0)
    return name


def model_that_remembers(cloud: Cloud, *, right: bool) -> dict[str, str]:
    """Publishes a model that answers with a fenced program, right or wrong; returns it as `spec.candidate.model`."""
    pairs = []
    for one in EXAMPLES:
        task, code = one["inputs"]["prompt"], one["outputs"]["code"]
        answer = f"```python\n{task}{code if right else code.replace('*values', 'values')}```"
        pairs.append((f"{PROMPT['system']}\n{task}", answer))
    repo = f"{USER}/coder-{uuid4().hex[:10]}"
    cloud.hf.create_repo(repo, private=True)
    content = tiny_model.Model(pairs, [50.0, 25.0, 80.0]).to_bytes()
    commit = cloud.hf.create_commit(
        repo, [CommitOperationAdd(tiny_model.MODEL_FILE, content)], commit_message="A coder"
    )
    return {"repo": repo, "revision": str(commit.oid)}


@pytest.fixture
def shell() -> str:
    """A shell that this machine can have."""
    chosen = next((name for name in SHELLS if not refusal_of(name)), SHELLS[0])
    require(chosen)
    return chosen


async def test_code_that_passes_its_tests_is_promoted_and_code_that_fails_them_is_rejected(
    env: Environment, shell: str
) -> None:
    name = await asyncio.to_thread(dataset_of_code, env.cloud)
    await asyncio.to_thread(env.start_agents, 1)
    await env.create_agent_model(prompt=PROMPT, held_out=name)
    await env.start_operator(**{SETTING: shell})

    better = await asyncio.to_thread(model_that_remembers, env.cloud, right=True)
    await env.api.create(
        manifests.rollout("better", {"model": better}, evaluation=EVALUATION, **manifests.IMMEDIATE)
    )
    promoted = await env.api.wait_until_finished("Rollout", "better", seconds=120)
    assert status(promoted)["reason"] == "Promoted", status_summary(promoted)
    measured = status(promoted)["evaluation"]
    assert (measured["verdict"], measured["scorer"]) == ("pass", "tests")
    assert any("checks of the sandbox held" in finding for finding in measured["findings"])

    worse = await asyncio.to_thread(model_that_remembers, env.cloud, right=False)
    await env.api.create(
        manifests.rollout("worse", {"model": worse}, evaluation=EVALUATION, **manifests.IMMEDIATE)
    )
    rejected = await env.api.wait_until_finished("Rollout", "worse", seconds=120)
    assert status(rejected)["reason"] == "EvaluationFailed", status_summary(rejected)
    assert (await env.read_stable_target()).model == better["repo"]


async def test_rollout_ends_before_anything_is_served_where_no_code_may_be_run(env: Environment) -> None:
    name = await asyncio.to_thread(dataset_of_code, env.cloud)
    await env.create_agent_model(prompt=PROMPT, held_out=name)
    await env.start_operator(**{SETTING: "off"})
    candidate = await asyncio.to_thread(model_that_remembers, env.cloud, right=True)
    await env.api.create(manifests.rollout("one", {"model": candidate}, evaluation=EVALUATION))
    refused = await env.api.wait_until_finished("Rollout", "one", seconds=60)
    assert status(refused)["reason"] == "EvaluationRefused", status_summary(refused)
    assert "CodeTestsRefused" in status_summary(refused)
    assert "MODELOPS_CODE_TESTS" in status_summary(refused)
    assert await asyncio.to_thread(env.cloud.endpoints_of, candidate["repo"]) == []
