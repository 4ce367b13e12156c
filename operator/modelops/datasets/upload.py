"""Uploads the files to a private dataset repository in one commit, unless they are already there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelops.datasets.files import LINEAGE
from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure

if TYPE_CHECKING:
    from huggingface_hub import HfApi

RETRY_SECONDS = 60.0
TOKEN_REFUSALS = frozenset({401, 403})
"""Statuses of the Hub that another token may change."""


def upload(files: Mapping[str, bytes | Path], *, digest: str, repo: str) -> str:
    """Upload the files to the private dataset repository `repo`; returns the commit that holds them.

    The files are not committed again where the repository's `modelops.json` has the same `digest`.
    Raises ProgramFailure: HubUnauthorized, HubStorageFull, HubRefused, HubUnavailable, HubRepositoryPublic.
    """
    from huggingface_hub import HfApi

    if not os.environ.get("HF_TOKEN"):
        raise ProgramFailure(
            "HubUnauthorized",
            "HF_TOKEN is not set for this program; name a Secret in spec.secretRefs.huggingFace",
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    target = Repository(api, repo, repo_type="dataset", retry_seconds=RETRY_SECONDS)

    def is_uploaded(head: str) -> bool:
        lineage = target.read_once(LINEAGE, revision=head)
        return lineage is not None and json.loads(lineage).get("digest") == digest

    try:
        target.retry(lambda: _ensure_private_repository(api, repo))
        return target.commit(files, title=f"Dataset {digest[:19]}", is_committed=is_uploaded)
    except HubRefused as error:
        raise _failure(error, repo.split("/")[0]) from error
    except HubSilent as error:
        raise ProgramFailure(
            "HubUnavailable", f"{error}; the program will be started again", transient=True
        ) from error


def _failure(refused: HubRefused, owner: str) -> ProgramFailure:
    if refused.storage_is_full:
        remedy = f"free storage of {owner!r}, or add some in its billing settings"
        return ProgramFailure(
            "HubStorageFull", f"{refused}; {remedy}; the program will be started again", transient=True
        )
    if refused.status not in (*TOKEN_REFUSALS, 404):
        return ProgramFailure("HubRefused", str(refused))
    return ProgramFailure(
        "HubUnauthorized",
        f"{refused}; the token of spec.secretRefs.huggingFace needs permission to write datasets of {owner!r}",
        token_refused=refused.status in TOKEN_REFUSALS,
    )


def _ensure_private_repository(api: HfApi, repo: str) -> bool:
    api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
    if api.repo_info(repo, repo_type="dataset").private:
        return True
    raise ProgramFailure(
        "HubRepositoryPublic",
        f"dataset repository {repo} exists and is public; training data is only uploaded to private repositories. "
        "Make it private or delete it",
    )
