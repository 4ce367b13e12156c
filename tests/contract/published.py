"""Repositories on the Hub as after a run, uploaded with the real SDK."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi


@dataclass(frozen=True)
class Published:
    """A model with its data, by repository and commit."""

    repo: str
    revision: str
    data: str
    data_revision: str
    uid: str


def put(hf: HfApi, repo: str, files: dict[str, Any], *, title: str, kind: str = "model") -> str:
    """Commit the files; returns the commit. The repository is created where it does not exist. Values that are not bytes
    become JSON."""
    hf.create_repo(repo, repo_type=kind, private=True, exist_ok=True)
    adds = [
        CommitOperationAdd(path, body if isinstance(body, bytes) else json.dumps(body).encode())
        for path, body in files.items()
    ]
    return str(hf.create_commit(repo, adds, commit_message=title, repo_type=kind).oid)


def data_files(
    *, agent: str, train: Sequence[str], test: Sequence[str] = (), listed: bool = True
) -> dict[str, Any]:
    """The files that the dataset program uploads, except for the card and the index of near-copies."""
    rows = {"train": train, "test": test}
    lineage = {
        "form": "dataset/v1",
        "agent": agent,
        "digest": "sha256:" + "d" * 64,
        "prompt": "sha256:" + "e" * 64,
        "dataset_id": "0198b2c4-0000-7000-8000-000000000001",
        "as_of": "2025-12-09T21:00:00+00:00",
        "rows": {name: len(ids) for name, ids in rows.items()},
    }
    files: dict[str, Any] = {"modelops.json": lineage}
    for name, ids in rows.items():
        files[f"data/{name}.jsonl"] = b"".join(json.dumps({"id": i}).encode() + b"\n" for i in ids)
    if listed:
        files["examples.json"] = {"form": "examples/v1", **{name: list(ids) for name, ids in rows.items()}}
    return files


def publish(
    hf: HfApi,
    *,
    org: str,
    version: str,
    train: Sequence[str] = (),
    test: Sequence[str] = (),
    agent: str = "docs",
    created: str = "20251209-220000",
    uid: str = "1f3a9c00-0000-4000-8000-000000000000",
    listed: bool = True,
    **lineage_fields: Any,
) -> Published:
    """Upload a trained version as a job does; `lineage_fields` are added to its `modelops.json`."""
    repo = f"{org}/code-chef-{agent.replace('_', '-')}-{created}-{uid[:6]}"
    data = f"{repo}-data"
    files = data_files(agent=agent, train=train, test=test, listed=listed)
    data_revision = put(hf, data, files, title="Dataset", kind="dataset")
    lineage = {
        "v": 1,
        "run": uid,
        "attempt": 1,
        "agent": agent,
        "base_model": "org/base",
        "base_revision": "b" * 40,
        "method": "sft",
        "version": version,
        "config": {"num_epochs": 3, "learning_rate": 2e-4},
        "dataset": {"repo": data, "revision": data_revision, "digest": "sha256:" + "d" * 64},
        "output": {"repo": repo},
        "job": "job-1",
        "trainer": "tiny/v1",
        **lineage_fields,
    }
    revision = put(hf, repo, {"modelops.json": lineage}, title=f"Model {version}")
    return Published(repo=repo, revision=revision, data=data, data_revision=data_revision, uid=uid)
