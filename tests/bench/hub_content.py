"""Uploads to the sandbox's Hub: a dataset to train on, and models to serve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.bench.environment import ORG, Environment

from modelops.trainers import tiny_model

if TYPE_CHECKING:
    from huggingface_hub import HfApi

EXAMPLES = 60


def add_dataset(env: Environment) -> str:
    """Uploads a small dataset in the form that trainers read; returns `<repo>@<revision>`."""
    from huggingface_hub import CommitOperationAdd

    api, repo = _api(env), f"{ORG}/bench-data"
    lines = [json.dumps(_example(number)) for number in range(EXAMPLES)]
    cut = EXAMPLES * 9 // 10
    api.create_repo(repo, repo_type="dataset", private=True)
    files = [
        CommitOperationAdd("data/train.jsonl", ("\n".join(lines[:cut]) + "\n").encode()),
        CommitOperationAdd("data/test.jsonl", ("\n".join(lines[cut:]) + "\n").encode()),
    ]
    commit = api.create_commit(repo, files, commit_message="Data of the bench", repo_type="dataset")
    return f"{repo}@{commit.oid}"


def add_models(env: Environment, count: int) -> list[tuple[str, str]]:
    """Uploads models that the sandbox can serve; returns (repo, revision) of each."""
    from huggingface_hub import CommitOperationAdd

    api, content, found = _api(env), tiny_model.Model([]).to_bytes(), []
    for number in range(count):
        repo = f"{ORG}/bench-candidate-{number}"
        api.create_repo(repo, private=True)
        files = [CommitOperationAdd(tiny_model.MODEL_FILE, content)]
        commit = api.create_commit(repo, files, commit_message="A model of the bench")
        found.append((repo, str(commit.oid)))
    return found


def _api(env: Environment) -> HfApi:
    """The SDK's client. It is imported here because the SDK reads the environment, which `__main__` sets, at its import."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=env.sandbox.hub, token=env.sandbox.hf_token)


def _example(number: int) -> dict[str, object]:
    words = f"add item {number} to list"
    messages = [
        {"role": "system", "content": "You write the first paragraph of a Python docstring."},
        {"role": "user", "content": f"def f{number}(): {words}"},
        {"role": "assistant", "content": f"Return {words}."},
    ]
    return {"id": f"example-{number}", "messages": messages}
