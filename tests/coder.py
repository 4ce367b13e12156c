"""An agent that writes code, in the sandbox: its examples with their tests, and models that write right or wrong code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants
from tests.contract.learning import fill_dataset

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.sandbox.client import SandboxInfo
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


def dataset_of_code(sandbox: SandboxInfo, examples: Sequence[dict[str, Any]] = EXAMPLES) -> str:
    """Uploads the examples to LangSmith; returns the dataset's name."""
    name = f"code-{uuid4().hex[:10]}"
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    try:
        fill_dataset(client, name, list(examples))
    finally:
        client.close(timeout=0)
    return name


def model_that_remembers(hf: HfApi, *, right: bool) -> dict[str, str]:
    """Publishes a model that answers with a fenced program, right or wrong; returns it as `spec.candidate.model`."""
    pairs = []
    for one in EXAMPLES:
        task, code = one["inputs"]["prompt"], one["outputs"]["code"]
        answer = f"```python\n{task}{code if right else code.replace('*values', 'values')}```"
        pairs.append((f"{PROMPT['system']}\n{task}", answer))
    repo = f"{USER}/coder-{uuid4().hex[:10]}"
    hf.create_repo(repo, private=True)
    content = tiny_model.Model(pairs, [50.0, 25.0, 80.0]).to_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the sandbox has git LFS alone
        commit = hf.create_commit(
            repo, [CommitOperationAdd(tiny_model.MODEL_FILE, content)], commit_message="A coder"
        )
    return {"repo": repo, "revision": str(commit.oid)}
