"""A base model that never conversed is taught to, and then what people prefer: SFT, DPO and ORPO of a language model."""

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

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.ports import Json
from modelops.sandbox.tokens import USER

pytestmark = TRAINS
SECONDS = 240
BASE = f"{USER}/tiny-base"
GOOD, PAIRS = "e2e-polite", "e2e-polite-and-rude"
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
POLITE = {**RECIPE, "learningRate": "5e-3", "numEpochs": 4}
PREFERRED = {**RECIPE, "learningRate": "1e-3", "numEpochs": 2}


def examples(*, pairs: bool) -> list[dict[str, Any]]:
    """Of LangSmith; with `pairs` each has a better and a worse answer."""
    made = []
    for name in NAMES:
        row = pair(name)
        better, worse = ({"answer": row[side][0]["content"]} for side in ("chosen", "rejected"))
        outputs = {"chosen": better, "rejected": worse} if pairs else better
        made.append({"inputs": {"task": row["prompt"][1]["content"], "name": name}, "outputs": outputs})
    return made


def prepared(env: Environment, folder: Path) -> None:
    """Both datasets, and the base model on the Hub."""
    assert PYTHON is not None
    sandbox = env.cloud.sandbox
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    try:
        fill_dataset(client, GOOD, examples(pairs=False))
        fill_dataset(client, PAIRS, examples(pairs=True))
    finally:
        client.close(timeout=0)
    made = make_base_model(PYTHON, folder / "base", "base")
    upload(env.cloud.hf, BASE, {file.name: file for file in made.iterdir()})


async def trained(env: Environment, name: str, *, base: str, dataset: str, **spec: Any) -> Json:
    """A TrainingRun to its success; its status."""
    # The examples are near-copies of each other, which would all stay on one side of the split.
    given = {"langsmith": f"ls://{dataset}", "groupKey": "inputs.name"}
    await env.api.create(manifests.training_run(name, base_model=base, dataset=given, **spec))
    run = await env.api.wait_until_finished("TrainingRun", name, seconds=SECONDS)
    assert condition(run, "Succeeded") == "True", f"{status_summary(run)}\n{env.operator_log()}"
    return status(run)


async def test_a_base_model_learns_to_converse_and_then_what_is_preferred_by_dpo_and_by_orpo(
    env: Environment, tmp_path: Path
) -> None:
    await asyncio.to_thread(prepared, env, tmp_path)
    await env.create_agent_model(prompt=PROMPT)
    await env.start_operator(MODELOPS_TRAINER="trl", MODELOPS_DEFAULT_BASE_MODEL=BASE)

    begun = await trained(env, "sft", base="", dataset=GOOD, method="sft", config=POLITE)
    assert begun["baseModel"] == BASE
    assert begun["progress"]["percent"] == 100

    talks = begun["model"]["repo"]
    preferred = await asyncio.gather(
        *(
            trained(env, method, base=talks, dataset=PAIRS, method=method, config=PREFERRED)
            for method in ("dpo", "orpo")
        )
    )
    assert {found["baseModel"] for found in preferred} == {talks}
    assert len({found["model"]["version"] for found in (begun, *preferred)}) == 3
    for found in preferred:
        await asyncio.to_thread(greets, env, found["model"]["repo"])


def greets(env: Environment, repo: str) -> None:
    """The model behind an endpoint of its own says what is preferred, and stops."""
    cloud = env.cloud
    client = chat_client(cloud.hf, cloud.sandbox, repo, eventually)
    name = NAMES[0]
    messages: list[Any] = [
        {"role": "system", "content": PROMPT["system"]},
        {"role": "user", "content": f"Greet {name} in the {time_of(name)}."},
    ]
    answer = client.chat.completions.create(model=repo, messages=messages, max_tokens=64)
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.choices[0].message.content or "").startswith(f"Good {time_of(name)}")


def eventually(question: Callable[[], bool]) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + 60
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.1)
