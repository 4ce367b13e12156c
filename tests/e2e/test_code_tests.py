"""An agent that writes code: its Rollouts are decided by the examples' own tests, from LangSmith to the verdict."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from huggingface_hub import CommitOperationAdd
from tests.coder import PROMPT, WORDS, dataset_of_code, model_that_remembers
from tests.contract.sandboxes import SHELLS, refusal_of, require
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.cloud import Cloud
from tests.e2e.environment import Environment

from modelops.code_tests.shells import SETTING
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

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


TASKS = {
    "double": ("each value twice as large", "    return [2 * one for one in values]\n", "[2, 4, 6]"),
    "negate": ("each value with the other sign", "    return [-one for one in values]\n", "[-1, -2, -3]"),
    "reverse": ("the last value first", "    return list(values)[::-1]\n", "[3, 2, 1]"),
    "total": ("all values added up", "    return sum(values)\n", "6"),
    "longest": ("the largest of the values", "    return max(values)\n", "3"),
    "count": ("how many values there are", "    return len(values)\n", "3"),
    "pair": (
        "every value beside itself",
        "    return [(one, one) for one in values]\n",
        "[(1, 1), (2, 2), (3, 3)]",
    ),
    "odd": (
        "only values that two does not divide",
        "    return [one for one in values if one % 2]\n",
        "[1, 3]",
    ),
    "drop": ("everything but the first value", "    return list(values)[1:]\n", "[2, 3]"),
    "square": ("each value times itself", "    return [one * one for one in values]\n", "[1, 4, 9]"),
}
"""Tasks in HumanEval's form, in words of our own: what is wanted, the body, and what it gives for 1, 2 and 3."""


def tasks(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each task under each of these names."""
    return [
        {
            "inputs": {
                "prompt": f'def {verb}_{name}(values):\n    """Of what the {name} holds, give {wanted}."""\n'
            },
            "outputs": {
                "code": body,
                "tests": f"def check(candidate):\n    assert candidate([1, 2, 3]) == {found}\n",
                "entry_point": f"{verb}_{name}",
            },
            "metadata": {"agent": "docs", "success": True},
        }
        for verb, (wanted, body, found) in TASKS.items()
        for name in names
    ]


def copy_of(cloud: Cloud, repo: str, *, spoilt: bool) -> dict[str, str]:
    """The model of a training under another name, as it is or with bodies that return nothing."""
    path = cloud.hf.hf_hub_download(repo, tiny_model.MODEL_FILE)
    model = tiny_model.load(Path(path).parent)
    pairs = [(question, "    return None\n" if spoilt else answer) for question, answer in model.examples]
    copy = f"{USER}/coder-{uuid4().hex[:10]}"
    cloud.hf.create_repo(copy, private=True)
    content = tiny_model.Model(pairs, model.weights).to_bytes()
    commit = cloud.hf.create_commit(
        copy, [CommitOperationAdd(tiny_model.MODEL_FILE, content)], commit_message="A copy"
    )
    return {"repo": copy, "revision": str(commit.oid)}


async def test_from_training_data_to_the_report_a_better_coder_passes_an_equal_one_asks_and_a_worse_one_fails(
    env: Environment, shell: str
) -> None:
    trained, held_out = WORDS[:6], WORDS[6:12]
    train = await asyncio.to_thread(dataset_of_code, env.cloud.sandbox, tasks(trained))
    name = await asyncio.to_thread(dataset_of_code, env.cloud.sandbox, tasks(held_out))
    await asyncio.to_thread(env.start_agents, 1)
    await env.create_agent_model(prompt=PROMPT, train=train, held_out=name)
    await env.start_operator(**{SETTING: shell})
    await env.api.create(manifests.training_run("coder", base_model=BASE_MODEL))
    run = await env.api.wait_until_finished("TrainingRun", "coder", seconds=120)
    assert status(run)["phase"] == "Succeeded", status_summary(run)

    scored = {"scorer": {"type": "tests"}}
    await env.api.create(
        manifests.rollout(
            "better", {"trainingRunRef": {"name": "coder"}}, evaluation=scored, **manifests.IMMEDIATE
        )
    )
    better = await env.api.wait_until_finished("Rollout", "better", seconds=120)
    assert status(better)["reason"] == "Promoted", status_summary(better)
    measured = status(better)["evaluation"]
    assert (measured["verdict"], measured["scorer"], measured["examples"]) == ("pass", "tests", 60)
    assert float(measured["baseline"]["success"]) == 0
    assert float(measured["candidate"]["success"]) >= 0.7
    assert "/evaluations/" in measured["reportUrl"]

    repo = (await env.read_stable_target()).model
    assert repo is not None
    few = {**scored, "maxExamples": 40, "marginPoints": "5", "acceptLowPower": True}
    equal = await asyncio.to_thread(copy_of, env.cloud, repo, spoilt=False)
    await env.api.create(manifests.rollout("equal", {"model": equal}, evaluation=few))
    asks = await env.api.wait_until(
        "Rollout",
        "equal",
        lambda item: status(item).get("offer") or status(item).get("finishedAt"),
        expected="an offer",
        seconds=120,
    )
    assert status(asks)["phase"] == "AwaitingApproval", status_summary(asks)
    assert status(asks)["offer"]["stage"] == "Inconclusive"
    assert status(asks)["evaluation"]["differencePoints"] == "0.00"

    # The plan takes the disagreement of the evaluations before, so that few examples seem to show little.
    accepted = {**scored, "acceptLowPower": True}
    worse = await asyncio.to_thread(copy_of, env.cloud, repo, spoilt=True)
    await env.api.create(
        manifests.rollout("worse", {"model": worse}, evaluation=accepted, **manifests.IMMEDIATE)
    )
    rejected = await env.api.wait_until_finished("Rollout", "worse", seconds=120)
    assert (status(rejected)["phase"], status(rejected)["reason"]) == ("Rejected", "EvaluationFailed")
