"""The samples as they are, at real prices and with default settings: the path ends in an offer for a person."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from langsmith import Client, traceable, tracing_context
from tests.contract.learning import fill_dataset, langsmith_examples
from tests.e2e import manifests
from tests.e2e.api import ready_message, status, status_summary
from tests.e2e.environment import Environment
from tests.patience import patient

from modelops.demo.stdlib_examples import read_examples

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
REQUESTS, USD_EACH = 60, 0.02


def sample(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
    return content


def fill_langsmith(env: Environment) -> None:
    """The sample's held-out dataset, and a month of the agent's traces in the sample's project."""
    sandbox = env.cloud.sandbox
    client = Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, tracing_sampling_rate=1.0)
    held_out = [one for one in read_examples(limit=600) if one.split == "held-out"]
    fill_dataset(client, "docs-eval-001", langsmith_examples(held_out))
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "total_cost": USD_EACH}

    @traceable(run_type="llm", name="docs", client=client)
    def call() -> dict[str, object]:
        return {"text": "yes", "usage_metadata": usage}

    with tracing_context(enabled=True, project_name="code-chef-docs"):
        for _ in range(REQUESTS):
            call()
    client.flush(timeout=30)
    client.close(timeout=10)


async def test_the_samples_end_in_an_offer_that_says_the_price_up_to_production(env: Environment) -> None:
    """Only the addresses of the sandbox, and the name of a finished model, are other than in the samples."""
    sandbox = env.cloud.sandbox
    await asyncio.to_thread(fill_langsmith, env)
    keys = {
        "hugging-face": sandbox.hf_token,
        "langsmith": sandbox.langsmith_key,
        "openrouter": sandbox.openrouter_key,
    }
    await env.api.create(manifests.secret("modelops-tokens", keys))
    agent = sample("agentmodel-docs")
    agent["spec"]["baseline"] |= {"model": manifests.BASELINE, "endpointUrl": sandbox.openrouter}
    await env.api.create(agent)
    rollout = sample("rollout-docs")
    rollout["spec"]["candidate"] = {"model": await asyncio.to_thread(env.cloud.create_candidate)}
    await env.api.create(rollout)
    await env.start_operator()

    waits = await env.api.wait_until(
        "Rollout",
        "docs-v1-1",
        lambda item: status(item).get("phase") not in (None, "", "Pending"),
        expected="an offer",
        seconds=90,
    )
    assert (status(waits)["phase"], status(waits)["reason"]) == ("AwaitingApproval", "NeedsApproval"), (
        status_summary(waits)
    )
    offer = status(waits)["offer"]
    assert (offer["stage"], offer["examples"], offer["standingUSDPerMonth"]) == ("Cost", 100, "730.00")
    assert float(offer["evaluationUSD"]) + float(offer["canaryUSD"]) == float(offer["highUSD"])
    assert float(offer["highUSD"]) <= float(rollout["spec"]["maxUSD"])
    assert (offer["baselineUse"]["requests"], offer["baselineUse"]["usd"]) == (REQUESTS, "1.20")
    # $730 in 30.4 days are $24 a day, at two cents a request.
    assert offer["breakEvenRequestsPerDay"] == 1200
    words = ready_message(waits)
    for said in (
        f"the rollout may cost up to ${float(offer['highUSD']):.2f} (",
        "for the evaluation with 100 examples, of which $",
        "for calls to OpenRouter",
        "for the canary)",
        "which is above spec.budget.monthlyUSD $100 of AgentModel docs",
        "After a promotion its endpoint costs $730.00 a month; today the stable model is billed per call",
        f"in the last 30 days the agent had {REQUESTS} requests",
        "The endpoint is cheaper from 1,200 requests a day on",
        f"modelops approve docs-v1-1 -n {env.api.namespace}",
    ):
        assert said in words, words
    plan = status(waits)["evaluation"]["plan"]
    assert (plan["examples"], plan["marginPoints"]) == (100, "10")
    record = await env.read_record()
    assert (record.active, record.reservations, record.endpoints) == (None, {}, ())

    command = [sys.executable, "-m", "modelops.cli", "approve", "docs-v1-1", "-n", env.api.namespace]
    shown = await asyncio.to_thread(
        subprocess.run,
        [*command, "--kubeconfig", str(env.cluster.kubeconfig_for("admin"))],
        input="no\n",
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    for said in ("afterwards", "until now", "break-even", "cheaper from 1,200 requests a day on"):
        assert said in shown.stdout + shown.stderr
    after = await env.api.get("Rollout", "docs-v1-1")
    assert after is not None
    assert "approval" not in after["spec"]
