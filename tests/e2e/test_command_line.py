"""The whole way from the command line: a quote, a training, an evaluation, a deployment, and back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.e2e.api import status
from tests.e2e.commands import run_modelops
from tests.e2e.environment import Environment

from modelops.sandbox.hub.seeds import BASE_MODEL

TRAIN = ("train", "docs", "--base-model", BASE_MODEL, "--flavor", "cpu-basic", "--set", "num_epochs=1")
SCORED = ("--scorer", "tokenF1", "--threshold", "0", "--margin", "60", "--max-examples", "12")


async def test_an_agent_gets_a_better_model_from_the_command_line_alone(env: Environment) -> None:
    await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    await env.start_operator()

    async def modelops(*arguments: str, expect: int = 0) -> str:
        return await run_modelops(env, *arguments, "-n", env.api.namespace, expect=expect)

    async def result(*arguments: str) -> Any:
        shown = await modelops(*arguments, "-o", "json")
        return json.loads(shown[shown.index("{") :].partition("\n}")[0] + "\n}")

    quote = await result(*TRAIN, "--estimate")
    again = await result(*TRAIN, "--estimate")
    assert again["quote_id"] == quote["quote_id"], "a quote that is still valid is not made again"
    assert 0 < quote["low_usd"] <= quote["high_usd"] < quote["max_usd"]
    declined = await modelops(*TRAIN, expect=1)
    assert f"Start this training for at most ${quote['max_usd']:.2f}?" in declined
    assert [run["metadata"]["name"] for run in await env.api.list("TrainingRun")] == [quote["quote_id"]]

    started = await asyncio.gather(*(result("train", "docs", "--quote", quote["quote_id"]) for _ in range(3)))
    (job_id,) = {one["job_id"] for one in started}
    assert sorted(one["created"] for one in started) == [False, False, True]
    run = await env.api.get("TrainingRun", job_id)
    assert run is not None
    assert run["spec"]["maxUSD"] == f"{quote['max_usd']:.2f}".rstrip("0").rstrip(".")
    assert run["spec"]["dataset"]["asOf"]
    assert run["spec"].get("estimateOnly") in (None, False)

    followed = await modelops("watch", job_id)
    assert "Succeeded" in followed.splitlines()[-1]
    trained = await modelops("train", "docs", "--quote", quote["quote_id"], "--wait")
    assert f"{job_id}: Succeeded" in trained
    models = await modelops("models", "docs")
    assert "v1.1.0-rc.1" in models
    assert "trained" in models

    compared = await result("evaluate", "docs", *SCORED, "--yes", "--wait")
    assert (compared["recommendation"], compared["examples"]) == ("deploy", 12)
    assert compared["langsmith_experiment_url"]
    assert {one["name"] for one in compared["metrics"]} == {"accuracy", "latency", "cost_per_1k_tokens"}

    deployed = await result("deploy", "docs", "v1.1.0-rc.1", "--strategy", "immediate", "--yes", "--wait")
    assert (deployed["deployed"], deployed["rollout_pct"], deployed["version"]) == (True, 100, "v1.1.0")
    assert "docs is served by v1.1.0" in await modelops("models", "docs")
    assert "modelops rollback docs" in await modelops("explain", deployed["rollout_id"])

    assert "goes back from v1.1.0 to v1.0.0" in await modelops("rollback", "docs")
    await env.api.wait_until(
        "AgentModel", "docs", lambda o: status(o)["stable"]["version"] == "v1.0.0", expected="on v1.0.0 again"
    )
    (spent,) = json.loads(await modelops("spend", "-o", "json"))
    assert spent["settled_usd"] > 0
