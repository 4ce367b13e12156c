"""Models on the Hub that a dataset is made for, or whose answers it has: their tokenizers and licences."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from huggingface_hub import HfApi

RETRY_SECONDS = 30.0
TOKEN_IS_INVALID = 401
TOKENIZER = "tokenizer.json"
TEMPLATE_FILES = "base_template.json"
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class TemplateFiles:
    """The texts of the files that a model's chat template comes from; empty where the model has no such file."""

    template: str = ""
    tool_template: str = ""
    config: str = ""
    special_tokens: str = ""

    @property
    def lack_template(self) -> bool:
        """Whether the model has no chat template in any place where one may be; False where that is not known."""
        return bool(
            self.config
            and not self.template
            and not self.tool_template
            and '"chat_template"' not in self.config
        )


def download_tokenizer(work: WorkDir, repo: str) -> Path | None:
    """The model's `tokenizer.json` in the work folder; None where the model has none or it cannot be read.

    Raises ProgramFailure HubUnavailable, HubUnauthorized.
    """
    path = work.folder / TOKENIZER
    if path.exists():
        return path
    content = _ask_hub(repo, lambda model, _: model.read(TOKENIZER, revision="main"))
    if not content:
        return None
    part = work.folder / f".{TOKENIZER}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return part.replace(path)


def read_licence(repo: str) -> str:
    """The licence in the model's card; empty where the card has none or the model does not exist.

    Raises ProgramFailure HubUnavailable, HubUnauthorized.
    """

    def read(model: Repository, api: HfApi) -> str:
        info = model.retry(lambda: api.model_info(repo))
        licence = info.card_data.get("license") if info.card_data else None
        named = info.card_data.get("license_name") if licence == "other" and info.card_data else None
        return str(named or (licence[0] if isinstance(licence, list) and licence else licence) or "")

    return _ask_hub(repo, read) or ""


def download_template_files(work: WorkDir, repo: str) -> TemplateFiles | None:
    """The model's files, kept in the work folder; None where they cannot be read.

    Raises ProgramFailure HubUnavailable, HubUnauthorized.
    """

    def read(model: Repository, _: HfApi) -> TemplateFiles:
        return TemplateFiles(
            template=_text(model, "chat_template.jinja"),
            tool_template=_text(model, "additional_chat_templates/tool_use.jinja"),
            config=_text(model, "tokenizer_config.json"),
            special_tokens=_text(model, "special_tokens_map.json"),
        )

    kept = work.read(TEMPLATE_FILES)
    if kept is not None:
        return TemplateFiles(**kept)
    found = _ask_hub(repo, read)
    if found is not None:
        work.write(TEMPLATE_FILES, asdict(found))
    return found


def _text(model: Repository, path: str) -> str:
    return (model.read(path, revision="main") or b"").decode(errors="replace")


def _ask_hub(repo: str, ask: Callable[[Repository, HfApi], _T | None]) -> _T | None:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    try:
        return ask(Repository(api, repo, retry_seconds=RETRY_SECONDS), api)
    except HubRefused as error:
        if error.status == TOKEN_IS_INVALID and os.environ.get("HF_TOKEN"):
            raise ProgramFailure("HubUnauthorized", str(error), token_refused=True) from error
        return None
    except HubSilent as error:
        raise ProgramFailure(
            "HubUnavailable", f"{error}; the program will be started again", transient=True
        ) from error
