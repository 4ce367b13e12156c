"""SFT of a base language model without a chat template, and then DPO and ORPO of the resulting model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.contract.language_models import (
    NAMES,
    PYTHON,
    TRAINS,
    chat_client,
    make_base_model,
    pair,
    time_of,
    upload,
)
from tests.contract.learning import fill_dataset
from tests.e2e import manifests
from tests.e2e.api import condition, status, status_summary
from tests.e2e.environment import Environment
from tests.patience import deadline_after

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.ports import Json
from modelops.sandbox.tokens import USER

pytestmark = TRAINS
TIMEOUT_SECONDS = 240
BASE = f"{USER}/tiny-base"
SFT_DATASET, PREFERENCE_DATASET = "e2e-polite", "e2e-polite-and-rude"
PROMPT = {
    "system": "Greet people.",
    "user": "{{ inputs.task }}",
    "assistant": "{{ outputs.answer }}",
    "eos": "<|im_end|>",
    "maxTokens": 64,
}
RECIPE = {
    "batchSize": 8,
    "gradientAccumulationSteps": 1,
    "loraRank": 16,
    "loraAlpha": 32,
    "targetModules": ["all-linear"],
    "maxSeqLength": 128,
}
SFT_RECIPE = {**RECIPE, "learningRate": "5e-3", "numEpochs": 6}
# DPO has no term that holds the model to its answers: at 1e-3 a tiny model now and then forgot how to end them.
PREFERENCE_RECIPE = {**RECIPE, "learningRate": "1e-4", "numEpochs": 2}


def examples(*, pairs: bool) -> list[dict[str, Any]]:
    """Examples for LangSmith; with `pairs` each has a chosen and a rejected answer."""
    made = []
    for name in NAMES:
        row = pair(name)
        better, worse = ({"answer": row[side][0]["content"]} for side in ("chosen", "rejected"))
        outputs = {"chosen": better, "rejected": worse} if pairs else better
        made.append({"inputs": {"task": row["prompt"][1]["content"], "name": name}, "outputs": outputs})
    return made


def upload_datasets_and_base_model(env: Environment, folder: Path) -> None:
    """Uploads both datasets to LangSmith and the base model to the Hub."""
    assert PYTHON is not None
    sandbox = env.cloud.sandbox
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    try:
        fill_dataset(client, SFT_DATASET, examples(pairs=False))
        fill_dataset(client, PREFERENCE_DATASET, examples(pairs=True))
    finally:
        client.close(timeout=0)
    made = make_base_model(PYTHON, folder / "base", "base")
    upload(env.cloud.hf, BASE, {file.name: file for file in made.iterdir()})


async def train(env: Environment, name: str, *, base: str, dataset: str, **spec: Any) -> Json:
    """Creates a TrainingRun and waits for its success; returns its status."""
    # The examples are near-duplicates: without a group key all of them would be in one split.
    given = {"langsmith": f"ls://{dataset}", "groupKey": "inputs.name"}
    await env.api.create(manifests.training_run(name, base_model=base, dataset=given, **spec))
    run = await env.api.wait_until_finished("TrainingRun", name, seconds=TIMEOUT_SECONDS)
    assert condition(run, "Succeeded") == "True", f"{status_summary(run)}\n{env.operator_log()}"
    return status(run)


async def test_a_base_model_is_trained_by_sft_and_then_by_dpo_and_orpo(
    env: Environment, tmp_path: Path
) -> None:
    await asyncio.to_thread(upload_datasets_and_base_model, env, tmp_path)
    await env.create_agent_model(prompt=PROMPT)
    # The log is read often enough that a training of a few seconds shows its progress.
    await env.start_operator(
        MODELOPS_TRAINER="trl", MODELOPS_DEFAULT_BASE_MODEL=BASE, MODELOPS_PROGRESS_SECONDS="0.5"
    )

    sft = await train(env, "sft", base="", dataset=SFT_DATASET, method="sft", config=SFT_RECIPE)
    assert sft["baseModel"] == BASE
    assert sft["progress"]["percent"] == 100

    sft_model = sft["model"]["repo"]
    preferred = await asyncio.gather(
        *(
            train(
                env,
                method,
                base=sft_model,
                dataset=PREFERENCE_DATASET,
                method=method,
                config=PREFERENCE_RECIPE,
            )
            for method in ("dpo", "orpo")
        )
    )
    assert {found["baseModel"] for found in preferred} == {sft_model}
    assert len({found["model"]["version"] for found in (sft, *preferred)}) == 3
    for found in preferred:
        await asyncio.to_thread(assert_greets, env, found["model"]["repo"])


def assert_greets(env: Environment, repo: str) -> None:
    """Serves the model at an endpoint; it gives the preferred answer and then stops."""
    cloud = env.cloud
    client = chat_client(cloud.hf, cloud.sandbox, repo, wait_until)
    name = NAMES[0]
    messages: list[Any] = [
        {"role": "system", "content": PROMPT["system"]},
        {"role": "user", "content": f"Greet {name} in the {time_of(name)}."},
    ]
    answer = client.chat.completions.create(model=repo, messages=messages, max_tokens=64)
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.choices[0].message.content or "").startswith(f"Good {time_of(name)}")


def wait_until(question: Callable[[], bool]) -> None:
    """Waits until the answer is true, 60 s at most."""
    deadline = deadline_after(60)
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.1)
