"""Putting the files on the Hub: private, in one commit, and not again when they are there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelops.datasets.files import LINEAGE
from modelops.trainers.job import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PATIENCE_SECONDS = 60.0


def upload(files: Mapping[str, bytes | Path], *, digest: str, repo: str) -> str:
    """The commit of the private dataset repository `repo` that holds the files; `digest` tells them apart.

    Raises ProgramFailure: HubUnauthorized, HubUnavailable, HubRepositoryPublic.
    """
    from huggingface_hub import HfApi

    if not os.environ.get("HF_TOKEN"):
        raise ProgramFailure(
            "HubUnauthorized",
            "HF_TOKEN is not set for this program; name a Secret in spec.secretRefs.huggingFace",
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    target = Repository(api, repo, repo_type="dataset", patience_seconds=PATIENCE_SECONDS)

    def there(head: str) -> bool:
        lineage = target.look(LINEAGE, revision=head)
        return lineage is not None and json.loads(lineage).get("digest") == digest

    try:
        target.patiently(lambda: _private_repository(api, repo))
        return target.commit(files, title=f"Dataset {digest[:19]}", there=there)
    except HubRefused as error:
        raise ProgramFailure(
            "HubUnauthorized",
            f"{error}; the token of spec.secretRefs.huggingFace needs to write datasets of {repo.split('/')[0]!r}",
        ) from error
    except HubSilent as error:
        raise ProgramFailure("HubUnavailable", f"{error}; it is tried again", transient=True) from error


def _private_repository(api: HfApi, repo: str) -> bool:
    api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
    if api.repo_info(repo, repo_type="dataset").private:
        return True
    raise ProgramFailure(
        "HubRepositoryPublic",
        f"dataset repository {repo} exists and is public; training data is only put where it is private. "
        "Make it private or delete it",
    )
