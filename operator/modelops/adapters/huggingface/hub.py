"""`ports.Hub`: repositories, and the claim that decides which job of an attempt may train."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.files import json_object, read_file
from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
from modelops.ports import AttemptClaim, Json, ModelInfo, PublishedModel, Refused, Unavailable, Uncertain

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_SECONDS: Final = 30
CLOSING_TRIES: Final = 6


class HuggingFaceHub:
    """`ports.Hub`. Every repository that it creates is private."""

    def __init__(self, connection: HuggingFaceConnection) -> None:
        self._connection = connection

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        """A model's description (hf_get_model_info). `parameters` is known only for models with safetensors."""

        def sdk_call(api: HfApi) -> ModelInfo | None:
            return _read_model(api, repo, revision)

        return await self._connection.call(sdk_call, doing=f"reading model {repo}", token=token)

    async def published_models(self, token: str, org: str, agent: str) -> tuple[PublishedModel, ...]:
        """The agent's published models, with the lineage of each."""
        models = await HuggingFaceRepositoryCatalog(self._connection, token=token).read_models(
            org, agent=agent
        )
        return tuple(
            PublishedModel(
                repo=m.repo, revision=m.revision, published_at=m.published_at, lineage=dict(m.lineage)
            )
            for m in models
            if m.lineage
        )

    async def ensure_model_repo(self, token: str, repo: str) -> None:
        """Creates a private repository. Raises Refused where a public one exists: it would publish a run's data."""

        def sdk_call(api: HfApi) -> None:
            from huggingface_hub.errors import HfHubHTTPError

            try:
                api.create_repo(repo, repo_type="model", private=True)
                return
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
            if not api.model_info(repo, timeout=TIMEOUT_SECONDS).private:
                raise Refused(
                    f"model repository {repo} exists and is public, so the operator does not write to it. "
                    "Make it private, or delete it, so that the operator can create a private one."
                )

        await self._connection.call(sdk_call, doing=f"creating repository {repo}", token=token, writes=True)

    async def attempt_claim(self, token: str, repo: str, attempt: int) -> AttemptClaim | None:
        """The claim of an attempt; None where there is none, or no repository."""

        def sdk_call(api: HfApi) -> AttemptClaim | None:
            info = _read_model(api, repo, None)
            return None if info is None else _read_claim(api, repo=repo, head=info.revision, attempt=attempt)

        return await self._connection.call(sdk_call, doing=f"reading claim {attempt} of {repo}", token=token)

    async def close_attempt(self, token: str, repo: str, attempt: int) -> AttemptClaim:
        """Closes the attempt unless a claim exists; returns the claim that exists in the end.

        The commit names its parent, so of two writers on one head only the first succeeds. After a lost answer
        the claim is read again.
        """
        doing = f"closing attempt {attempt} of {repo}"
        for tries in range(1, CLOSING_TRIES + 1):
            try:
                attempt_claim = await self._connection.call(
                    lambda api: _try_to_close(api, repo=repo, attempt=attempt),
                    doing=doing,
                    token=token,
                    writes=True,
                )
            except Uncertain:
                attempt_claim = None
            if attempt_claim is not None:
                return attempt_claim
            await asyncio.sleep(0.05 * 2**tries)
        raise Unavailable(
            f"{repo} changed during each of {CLOSING_TRIES} tries while {doing}; the operator tries again."
        )

    async def read_json(self, token: str, repo: str, revision: str, path: str) -> Json | None:
        """A JSON file. Raises Refused where it is not a JSON object or is larger than 4 MiB."""

        def sdk_call(api: HfApi) -> Json | None:
            content = read_file(api, repo=repo, revision=revision, path=path)
            return None if content is None else json_object(content, f"{repo}/{path} at {revision}")

        return await self._connection.call(sdk_call, doing=f"reading {path} of {repo}", token=token)

    async def read_text(self, token: str, repo: str, revision: str, path: str) -> str | None:
        """A text file. Raises Refused where it is not UTF-8 or is larger than 4 MiB."""

        def sdk_call(api: HfApi) -> str | None:
            content = read_file(api, repo=repo, revision=revision, path=path)
            if content is None:
                return None
            try:
                return content.decode()
            except UnicodeDecodeError as error:
                raise Refused(
                    f"{repo}/{path} at revision {revision} is not UTF-8 text: {error}; restore the file"
                ) from error

        return await self._connection.call(sdk_call, doing=f"reading {path} of {repo}", token=token)


def _read_model(api: HfApi, repo: str, revision: str | None) -> ModelInfo | None:
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = api.model_info(repo, revision=revision, timeout=TIMEOUT_SECONDS)
        if info.gated:
            # The description of a gated repository is public; its files need an accepted request.
            api.auth_check(repo)
    except RevisionNotFoundError:
        return None
    except HfHubHTTPError as error:
        # The SDK calls most answers 401 a missing repository. With a token, 401 means that the token is not valid.
        missing = isinstance(error, RepositoryNotFoundError) and error.response.status_code != 401
        if missing or error.response.status_code in {403, 404}:
            return None
        raise
    return ModelInfo(
        repo=repo,
        revision=info.sha or "",
        parameters=info.safetensors.total if info.safetensors else None,
        files=tuple(sorted(file.rfilename for file in info.siblings or ())),
    )


def _try_to_close(api: HfApi, *, repo: str, attempt: int) -> AttemptClaim | None:
    """The existing claim, or the closed one that was committed now; None where the head changed meanwhile."""
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError

    head = api.model_info(repo, timeout=TIMEOUT_SECONDS).sha or ""
    existing = _read_claim(api, repo=repo, head=head, attempt=attempt)
    if existing is not None:
        return existing
    content = json.dumps({"closed": True}).encode()
    try:
        api.create_commit(
            repo,
            [CommitOperationAdd(f"claims/{attempt}", content)],
            commit_message=f"Close attempt {attempt}",
            parent_commit=head,
        )
    except HfHubHTTPError as error:
        if error.response.status_code in {409, 412}:
            return None
        raise
    return AttemptClaim(closed=True)


def _read_claim(api: HfApi, *, repo: str, head: str, attempt: int) -> AttemptClaim | None:
    path = f"claims/{attempt}"
    content = read_file(api, repo=repo, revision=head, path=path)
    if content is None:
        return None
    holder = json_object(content, f"{repo}/{path} at {head}")
    if not holder.get("closed") and not holder.get("job"):
        raise Refused(
            f"{repo}/{path} at revision {head} names no job and is not closed; delete the file, so that the attempt "
            "can be claimed or closed."
        )
    return AttemptClaim(job=str(holder.get("job") or ""), closed=bool(holder.get("closed")))
