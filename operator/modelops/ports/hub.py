"""Model repositories on the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from modelops.ports.kubernetes import Json


@dataclass(frozen=True, kw_only=True)
class AttemptClaim:
    """The content of the file `claims/<attempt>`: the job that may train, or that the attempt is closed."""

    job: str = ""
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model repository on the Hub."""

    repo: str
    revision: str
    parameters: int | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model that a training has published: the commit, its time (ISO 8601), and its `modelops.json` there."""

    repo: str
    revision: str
    published_at: str
    lineage: Json


class Hub(Protocol):
    """Repositories on the Hub (hf_upload_dataset, hf_get_model_info)."""

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        """A model repository; None where it does not exist or may not be read."""

    async def published_models(self, token: str, org: str, agent: str) -> tuple[PublishedModel, ...]:
        """The organisation's published models whose repositories have a name of the operator's form for the agent."""

    async def ensure_model_repo(self, token: str, repo: str) -> None:
        """Creates the private repository. An existing repository is no error."""

    async def attempt_claim(self, token: str, repo: str, attempt: int) -> AttemptClaim | None:
        """The content of `claims/<attempt>` at the newest commit; None where the file does not exist."""

    async def close_attempt(self, token: str, repo: str, attempt: int) -> AttemptClaim:
        """Commits `closed` unless the file exists already; returns the content of the file after that."""

    async def read_json(self, token: str, repo: str, revision: str, path: str) -> Json | None:
        """A JSON file of a model repository; None where it is missing."""

    async def read_text(self, token: str, repo: str, revision: str, path: str) -> str | None:
        """A small text file of a model repository; None where it is missing."""
