"""An organisation's repositories that are ours by name, with their lineage: read, searched for an example, deleted."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, Literal

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.files import json_object, read_file
from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, Shelf
from modelops.domain.training.naming import parse_repository
from modelops.ports import Json, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import GitCommitInfo

RepositoryType = Literal["model", "dataset"]

LINEAGE: Final = "modelops.json"
EXAMPLES: Final = "examples.json"
ROWS: Final = {"train": "data/train.jsonl", "test": "data/test.jsonl"}
LARGEST_EXAMPLES: Final = 256 * 1024 * 1024
"""Bytes of a list of ids: some six million."""
MODEL_TITLE: Final = "Model v"
"""How the commit that publishes a model begins (trainers/job.py)."""


class HuggingFaceShelf:
    """One account's view. All methods raise Refused and Unavailable; `delete` raises Uncertain, too."""

    def __init__(self, connection: HuggingFaceConnection, *, token: str) -> None:
        self._connection = connection
        self._token = token

    async def read(self, org: str, *, agent: str = "") -> Shelf:
        """All repositories of the organisation whose names are ours; of one agent where it is named."""
        models, datasets = await asyncio.gather(self._names(org, "model"), self._names(org, "dataset"))
        wanted = agent.replace("_", "-")
        found_models = await asyncio.gather(*(self._model(repo) for repo in models if _is_of(repo, wanted)))
        found_data = await asyncio.gather(*(self._dataset(repo) for repo in datasets if _is_of(repo, wanted)))
        return Shelf(
            models=tuple(model for model in found_models if model is not None),
            datasets=tuple(dataset for dataset in found_data if dataset is not None),
        )

    async def splits_with(self, repo: str, revision: str, example: str) -> tuple[str, ...] | None:
        """Splits of prepared data that hold the LangSmith example: `train`, `test`. None: the data do not say."""

        def work(api: HfApi) -> tuple[str, ...] | None:
            content = read_file(
                api,
                repo=repo,
                revision=revision,
                path=EXAMPLES,
                repo_type="dataset",
                largest=LARGEST_EXAMPLES,
            )
            if content is None:
                return _splits_by_rows(api, repo, revision, example)
            ids = json_object(content, f"{repo}/{EXAMPLES} at {revision}")
            return tuple(split for split in ROWS if example in (ids.get(split) or ()))

        return await self._connection.call(work, doing=f"reading examples of {repo}", token=self._token)

    async def delete(self, repo: str, kind: RepositoryType) -> None:
        """The repository with all its history; one that is gone is no error."""

        def work(api: HfApi) -> None:
            api.delete_repo(repo, repo_type=kind, missing_ok=True)

        await self._connection.call(work, doing=f"deleting {kind} {repo}", token=self._token, writes=True)

    async def _names(self, org: str, kind: RepositoryType) -> list[str]:
        def work(api: HfApi) -> list[str]:
            listed = api.list_models(author=org) if kind == "model" else api.list_datasets(author=org)
            names = (str(info.id) for info in listed)
            return sorted(name for name in names if _is_named(name, org, kind))

        return await self._connection.call(work, doing=f"listing {kind}s of {org}", token=self._token)

    async def _model(self, repo: str) -> ModelRepository | None:
        def work(api: HfApi) -> ModelRepository | None:
            commits = _commits(api, repo, "model")
            for commit in commits:
                if commit.title.startswith(MODEL_TITLE):
                    told = _told(api, repo, commit.commit_id, "model")
                    at = commit.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
                    return ModelRepository(repo=repo, revision=commit.commit_id, published_at=at, told=told)
            return ModelRepository(repo=repo) if commits else None

        return await self._connection.call(work, doing=f"reading model {repo}", token=self._token)

    async def _dataset(self, repo: str) -> DatasetRepository | None:
        def work(api: HfApi) -> DatasetRepository | None:
            commits = _commits(api, repo, "dataset")
            told = {commit.commit_id: _told(api, repo, commit.commit_id, "dataset") for commit in commits}
            revisions = {revision: said for revision, said in told.items() if said}
            return DatasetRepository(repo=repo, revisions=revisions) if commits else None

        return await self._connection.call(work, doing=f"reading dataset {repo}", token=self._token)


def _is_named(repo: str, org: str, kind: RepositoryType) -> bool:
    named = parse_repository(repo)
    return named is not None and named.org == org and named.data == (kind == "dataset")


def _is_of(repo: str, agent: str) -> bool:
    named = parse_repository(repo)
    return named is not None and agent in ("", named.agent)


def _commits(api: HfApi, repo: str, kind: RepositoryType) -> list[GitCommitInfo]:
    """Newest first; empty where the repository is gone since it was listed."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return list(api.list_repo_commits(repo, repo_type=kind))
    except RepositoryNotFoundError:
        return []


def _told(api: HfApi, repo: str, revision: str, kind: RepositoryType) -> Json:
    """Its `modelops.json`; empty where it has none that can be read, so that it is taken for nobody's."""
    try:
        content = read_file(api, repo=repo, revision=revision, path=LINEAGE, repo_type=kind)
        return {} if content is None else json_object(content, f"{repo}/{LINEAGE}")
    except Refused:
        return {}


def _splits_by_rows(api: HfApi, repo: str, revision: str, example: str) -> tuple[str, ...] | None:
    """For data from before there was a list of ids: rows name their examples, but not the copies left out."""
    found, said = [], False
    for split, path in ROWS.items():
        content = read_file(
            api,
            repo=repo,
            revision=revision,
            path=path,
            repo_type="dataset",
            largest=LARGEST_EXAMPLES,
        )
        for line in (content or b"").splitlines():
            row = json.loads(line)
            if "id" not in row:
                return None
            said = True
            if example in (row["id"], row.get("rejected_id")):
                found.append(split)
                break
    return tuple(found) if said else None
