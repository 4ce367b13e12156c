"""A good candidate beside the untrained base: the input of the evaluation program, and its fixtures.

A test module takes the fixtures by assignment: `program_input = evaluations.program_input`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from huggingface_hub import HfApi
from langsmith import Client
from tests.contract.learning import PROMPT, ProgramInput, fill_dataset, langsmith_examples

from modelops.datasets.normalised_inputs import inputs_digest
from modelops.demo.stdlib_examples import StdlibExample, read_examples
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

MODULE, CHECK = "modelops.evaluation", "modelops.evaluation.check"
Serve = Callable[..., dict[str, Any]]


def open_router_arms(sandbox: SandboxInfo, **more: str) -> dict[str, dict[str, str]]:
    """A baseline that repeats the signature and a candidate that writes a sentence, both at the sandbox's OpenRouter."""

    def arm(model: str, version: str, env: str) -> dict[str, str]:
        return {
            "model": f"modelops-sandbox/{model}",
            "base_url": sandbox.openrouter,
            "api_key_env": env,
            "version": version,
            "service": "openrouter",
            **more,
        }

    return {
        "baseline": arm("echo-signature", "v1.0.0", "MODELOPS_BASELINE_KEY"),
        "candidate": arm("name-as-sentence", "v1.1.0-rc.1", "MODELOPS_CANDIDATE_KEY"),
    }


@pytest.fixture(scope="module")
def examples() -> list[StdlibExample]:
    return read_examples(limit=600)


@pytest.fixture(scope="module")
def held_out(examples: list[StdlibExample]) -> list[StdlibExample]:
    return [e for e in examples if e.split == "held-out"]


@pytest.fixture(scope="module")
def trained(examples: list[StdlibExample]) -> list[StdlibExample]:
    return [e for e in examples if e.split == "train"]


@pytest.fixture
def serve(hf: HfApi, sandbox: SandboxInfo, eventually: Callable[..., Any]) -> Iterator[Serve]:
    """Puts a repository behind an endpoint; returns the arm of an evaluation."""
    names: list[str] = []

    def start(repository: str, version: str, **more: Any) -> dict[str, Any]:
        name = f"ep-{uuid4().hex[:10]}"
        names.append(name)
        hf.create_inference_endpoint(
            name,
            repository=repository,
            framework="pytorch",
            accelerator="cpu",
            instance_size="x1",
            instance_type="intel-spr",
            region="us-east-1",
            vendor="aws",
            type="authenticated",
            namespace=USER,
        )
        eventually(lambda: hf.get_inference_endpoint(name, namespace=USER).status == "running", seconds=30)
        return {
            "model": repository,
            "base_url": f"{sandbox.models}/e/{name}/v1",
            "api_key_env": "HF_TOKEN",
            "version": version,
            "usd_per_hour": "0.033",
            **more,
        }

    yield start
    for name in names:
        hf.delete_inference_endpoint(name, namespace=USER)


def publish(hf: HfApi, repo: str, examples: list[StdlibExample]) -> str:
    """A model that remembers these examples, as a training would leave it."""
    model = tiny_model.Model([(e.task, e.docstring) for e in examples], [5.0, 2.5, 8.0])
    hf.create_repo(repo, private=True, exist_ok=True)
    hf.upload_file(path_or_fileobj=model.to_bytes(), path_in_repo=tiny_model.MODEL_FILE, repo_id=repo)
    return repo


@pytest.fixture
def program_input(
    hf: HfApi,
    client: Client,
    serve: Serve,
    unique: Callable[[str], str],
    trained: list[StdlibExample],
    held_out: list[StdlibExample],
) -> ProgramInput:
    """A good candidate against the untrained base."""
    name = unique("held out")
    fill_dataset(client, name, langsmith_examples(held_out))
    candidate = publish(hf, f"{USER}/{unique('good')}", trained)
    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{name}",
        "as_of": None,
        "arms": {"baseline": serve(BASE_MODEL, "v1.0.0"), "candidate": serve(candidate, "v1.1.0-rc.1")},
        "prompt": PROMPT,
        "scorer": {"type": "tokenF1", "threshold": "0.35"},
        "margin_points": "5",
        "goal": "nonInferior",
        "alpha": "0.05",
        "repetitions": 1,
        "concurrency": 8,
        "max_examples": None,
        "train_digests": [inputs_digest(e.langsmith()["inputs"]) for e in trained],  # type: ignore[arg-type]
    }


def chats(sandbox: SandboxInfo) -> int:
    return len(sandbox.requests(service="models", method="POST"))
