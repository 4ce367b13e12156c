"""The operator's repositories of one organisation: reads them with their lineage, searches examples, deletes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, Literal

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.files import json_object, read_file
from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, RepositoryCatalog
from modelops.domain.training.naming import agent_with_dashes, parse_repository
from modelops.ports import Json, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import GitCommitInfo

RepositoryType = Literal["model", "dataset"]

LINEAGE: Final = "modelops.json"
EXAMPLES: Final = "examples.json"
ROWS: Final = {"train": "data/train.jsonl", "test": "data/test.jsonl"}
MAX_EXAMPLES_BYTES: Final = 256 * 1024 * 1024
"""Size limit of a list of ids in bytes; it holds about six million ids."""
MODEL_TITLE: Final = "Model v"
"""Start of the title of the commit that publishes a model (trainers/job.py)."""


class HuggingFaceRepositoryCatalog:
    """The repositories that one token can read. All methods raise Refused and Unavailable; `delete` also Uncertain."""

    def __init__(self, connection: HuggingFaceConnection, *, token: str) -> None:
        self._connection = connection
        self._token = token

    async def read(self, org: str, *, agent: str = "") -> RepositoryCatalog:
        """The organisation's repositories with names of the operator's form; with `agent`, those of one agent."""
        models, datasets = await asyncio.gather(
            self.read_models(org, agent=agent), self._list_names(org, "dataset")
        )
        wanted = agent_with_dashes(agent)
        found_data = await asyncio.gather(
            *(self._read_dataset(repo) for repo in datasets if _belongs_to(repo, wanted))
        )
        return RepositoryCatalog(
            models=models, datasets=tuple(dataset for dataset in found_data if dataset is not None)
        )

    async def read_models(self, org: str, *, agent: str = "") -> tuple[ModelRepository, ...]:
        """The model repositories of `read`."""
        wanted = agent_with_dashes(agent)
        names = [repo for repo in await self._list_names(org, "model") if _belongs_to(repo, wanted)]
        found = await asyncio.gather(*(self._read_model(repo) for repo in names))
        return tuple(model for model in found if model is not None)

    async def splits_with(self, repo: str, revision: str, example: str) -> tuple[str, ...] | None:
        """The splits (`train`, `test`) of prepared data that contain the LangSmith example.

        None where the data do not name their examples.
        """

        def sdk_call(api: HfApi) -> tuple[str, ...] | None:
            content = read_file(
                api,
                repo=repo,
                revision=revision,
                path=EXAMPLES,
                repo_type="dataset",
                max_bytes=MAX_EXAMPLES_BYTES,
            )
            if content is None:
                return _splits_by_rows(api, repo, revision, example)
            ids = json_object(content, f"{repo}/{EXAMPLES} at {revision}")
            return tuple(split for split in ROWS if example in (ids.get(split) or ()))

        return await self._connection.call(sdk_call, doing=f"reading examples of {repo}", token=self._token)

    async def delete(self, repo: str, kind: RepositoryType) -> None:
        """Deletes the repository with its history; a repository that does not exist is no error."""

        def sdk_call(api: HfApi) -> None:
            api.delete_repo(repo, repo_type=kind, missing_ok=True)

        await self._connection.call(sdk_call, doing=f"deleting {kind} {repo}", token=self._token, writes=True)

    async def _list_names(self, org: str, kind: RepositoryType) -> list[str]:
        def sdk_call(api: HfApi) -> list[str]:
            listed = api.list_models(author=org) if kind == "model" else api.list_datasets(author=org)
            names = (str(info.id) for info in listed)
            return sorted(name for name in names if _has_repository_name(name, org, kind))

        return await self._connection.call(sdk_call, doing=f"listing {kind}s of {org}", token=self._token)

    async def _read_model(self, repo: str) -> ModelRepository | None:
        def sdk_call(api: HfApi) -> ModelRepository | None:
            commits = _list_commits(api, repo, "model")
            for commit in commits:
                if commit.title.startswith(MODEL_TITLE):
                    lineage = _read_lineage(api, repo, commit.commit_id, "model")
                    at = commit.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
                    return ModelRepository(
                        repo=repo, revision=commit.commit_id, published_at=at, lineage=lineage
                    )
            return ModelRepository(repo=repo) if commits else None

        return await self._connection.call(sdk_call, doing=f"reading model {repo}", token=self._token)

    async def _read_dataset(self, repo: str) -> DatasetRepository | None:
        def sdk_call(api: HfApi) -> DatasetRepository | None:
            commits = _list_commits(api, repo, "dataset")
            ids = [commit.commit_id for commit in commits]
            lineages = {revision: _read_lineage(api, repo, revision, "dataset") for revision in ids}
            revisions = {revision: lineage for revision, lineage in lineages.items() if lineage}
            return DatasetRepository(repo=repo, revisions=revisions) if commits else None

        return await self._connection.call(sdk_call, doing=f"reading dataset {repo}", token=self._token)


def _has_repository_name(repo: str, org: str, kind: RepositoryType) -> bool:
    named = parse_repository(repo)
    return named is not None and named.org == org and named.data == (kind == "dataset")


def _belongs_to(repo: str, agent: str) -> bool:
    named = parse_repository(repo)
    return named is not None and agent in ("", named.agent)


def _list_commits(api: HfApi, repo: str, kind: RepositoryType) -> list[GitCommitInfo]:
    """Newest first; empty where the repository was deleted after it was listed."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return list(api.list_repo_commits(repo, repo_type=kind))
    except RepositoryNotFoundError:
        return []


def _read_lineage(api: HfApi, repo: str, revision: str, kind: RepositoryType) -> Json:
    """The content of `modelops.json`; empty where it is missing or cannot be read: the repository then has no agent."""
    try:
        content = read_file(api, repo=repo, revision=revision, path=LINEAGE, repo_type=kind)
        return {} if content is None else json_object(content, f"{repo}/{LINEAGE}")
    except Refused:
        return {}


def _splits_by_rows(api: HfApi, repo: str, revision: str, example: str) -> tuple[str, ...] | None:
    """The splits by their rows, for data without a list of ids. Rows of removed duplicates are not found."""
    found, rows_have_ids = [], False
    for split, path in ROWS.items():
        content = read_file(
            api,
            repo=repo,
            revision=revision,
            path=path,
            repo_type="dataset",
            max_bytes=MAX_EXAMPLES_BYTES,
        )
        for line in (content or b"").splitlines():
            row = json.loads(line)
            if "id" not in row:
                return None
            rows_have_ids = True
            if example in (row["id"], row.get("rejected_id")):
                found.append(split)
                break
    return tuple(found) if rows_have_ids else None
