"""The whole way from the command line, by the guide's own commands: a quote, a training, a deployment, and back."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

from tests.e2e.api import status
from tests.e2e.commands import run_modelops
from tests.e2e.environment import Environment
from tests.unit.docs.pages import ROOT, blocks

from modelops.cli.commands import with_command_joined
from modelops.sandbox.hub.seeds import BASE_MODEL

PAGE = ROOT / "docs" / "guides" / "command-line.md"
FEW_EXAMPLES = ("--threshold 0.35 --margin 5", "--threshold 0 --margin 45 --max-examples 12")
"""With 12 examples only a margin this wide is passed."""


async def test_an_agent_gets_a_better_model_by_the_commands_of_the_guide(env: Environment) -> None:
    await asyncio.to_thread(env.start_agents)
    await env.create_agent_model(trainingDefaults={"numEpochs": 1})
    await env.start_operator(MODELOPS_DEFAULT_BASE_MODEL=BASE_MODEL)

    async def modelops(*arguments: str, expect: int = 0) -> str:
        return await run_modelops(env, *arguments, "-n", env.api.namespace, expect=expect)

    async def result(*arguments: str) -> Any:
        shown = await modelops(*arguments, "-o", "json")
        return json.loads(shown[shown.index("{") :].partition("\n}")[0] + "\n}")

    said: dict[str, str] = {}
    guide = [block for block in blocks(PAGE) if block.test == "loop"]
    commands = iter(
        [shlex.split(line.replace(*FEW_EXAMPLES)) for block in guide for line in block.text.splitlines()]
    )

    async def follow_guide_to(last: str) -> None:
        for program, *arguments in commands:
            assert program == "modelops"
            command = with_command_joined(arguments)[0]
            said[command] = await modelops(*arguments)
            if command == last:
                return
        raise AssertionError(f"the guide does not use modelops {last}")

    await follow_guide_to("train")
    quote = await result("train", "docs", "--estimate")
    assert quote["quote_id"] in said["train"], "a quote that is still valid is not made again"
    assert 0 < quote["low_usd"] <= quote["high_usd"] < quote["max_usd"]
    declined = await modelops("train", "docs", expect=1)
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

    await follow_guide_to("models")
    assert f"{job_id}: Succeeded" in said["train"], "the guide's train confirms the same quote"
    assert "v1.1.0-rc.1" in said["models"]
    assert "Succeeded" in (await modelops("watch", job_id)).splitlines()[-1]

    await follow_guide_to("evaluate")
    assert "in 100 % if it is 2 points better" in said["evaluate plan"]
    assert "There are two looks: 150 examples with an error of 1.89 %" in said["evaluate plan"]
    compared = " ".join(said["evaluate"].split())
    for part in ("baseline", "candidate", "examples 12", "recommends deploy", "experiment http"):
        assert part in compared, said["evaluate"]
    await follow_guide_to("deploy")
    assert "docs is served by v1.1.0" in await modelops("models", "docs")
    await follow_guide_to("drill rollback")
    drill = status(await env.api.get("AgentModel", "docs") or {})["lastDrill"]
    assert (drill["outcome"], drill["agents"] > 0) == ("Confirmed", True), drill
    assert "until in effect" in said["drill rollback"]
    await follow_guide_to("rollback")
    assert "goes back from v1.1.0 to v1.0.0" in said["rollback"]
    await env.api.wait_until(
        "AgentModel", "docs", lambda o: status(o)["stable"]["version"] == "v1.0.0", expected="on v1.0.0 again"
    )
    (spent,) = json.loads(await modelops("spend", "-o", "json"))
    assert spent["settled_usd"] > 0
