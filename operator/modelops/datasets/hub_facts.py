"""What the Hub knows of the models that a dataset is made for, or was made by: tokenizer and licence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from modelops.trainers.job import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PATIENCE_SECONDS = 30.0
TOKENIZER = "tokenizer.json"
_T = TypeVar("_T")


def tokenizer_file(work: WorkDir, repo: str) -> Path | None:
    """The model's `tokenizer.json` in the work folder; None where there is none, or none to be read.

    Raises ProgramFailure HubUnavailable.
    """
    path = work.folder / TOKENIZER
    if path.exists():
        return path
    content = _asked(repo, lambda model, _: model.read(TOKENIZER, revision="main"))
    if not content:
        return None
    part = work.folder / f".{TOKENIZER}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return part.replace(path)


def licence(repo: str) -> str:
    """As the model's card says it; empty where it says nothing, or there is no such model.

    Raises ProgramFailure HubUnavailable.
    """

    def look(model: Repository, api: HfApi) -> str:
        info = model.patiently(lambda: api.model_info(repo))
        said = info.card_data.get("license") if info.card_data else None
        named = info.card_data.get("license_name") if said == "other" and info.card_data else None
        return str(named or (said[0] if isinstance(said, list) and said else said) or "")

    return _asked(repo, look) or ""


def _asked(repo: str, ask: Callable[[Repository, HfApi], _T | None]) -> _T | None:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    try:
        return ask(Repository(api, repo, patience_seconds=PATIENCE_SECONDS), api)
    except HubRefused:
        return None
    except HubSilent as error:
        raise ProgramFailure("HubUnavailable", f"{error}; it is tried again", transient=True) from error
