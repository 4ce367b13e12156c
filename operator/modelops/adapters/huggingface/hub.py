"""Repositories on the Hub: `ports.Hub`, with the claim that decides which job may train."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.files import json_object, read_file
from modelops.ports import AttemptClaim, Json, ModelInfo, Refused, Unavailable, Uncertain

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_SECONDS: Final = 30
CLOSING_TRIES: Final = 6


class HuggingFaceHub:
    """`ports.Hub`. Every repository that it makes is private."""

    def __init__(self, connection: HuggingFaceConnection) -> None:
        self._connection = connection

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        """The mission's hf_get_model_info. `parameters` is known for models with safetensors."""

        def work(api: HfApi) -> ModelInfo | None:
            return _model(api, repo, revision)

        return await self._connection.call(work, doing=f"reading model {repo}", token=token)

    async def ensure_model_repo(self, token: str, repo: str) -> None:
        """Raises Refused where it exists and is public: a run's data must not go there."""

        def work(api: HfApi) -> None:
            from huggingface_hub.errors import HfHubHTTPError

            try:
                api.create_repo(repo, repo_type="model", private=True)
                return
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
            if not api.model_info(repo, timeout=TIMEOUT_SECONDS).private:
                raise Refused(
                    f"model repository {repo} exists and is public; nothing is written to it. "
                    "Make it private, or delete it, so that the operator can make its own."
                )

        await self._connection.call(work, doing=f"creating repository {repo}", token=token, writes=True)

    async def attempt_claim(self, token: str, repo: str, attempt: int) -> AttemptClaim | None:
        """None also where the repository does not exist."""

        def work(api: HfApi) -> AttemptClaim | None:
            info = _model(api, repo, None)
            return None if info is None else _claim(api, repo=repo, head=info.revision, attempt=attempt)

        return await self._connection.call(work, doing=f"reading claim {attempt} of {repo}", token=token)

    async def close_attempt(self, token: str, repo: str, attempt: int) -> AttemptClaim:
        """Who commits first on the head that both looked at has it; a lost answer is settled by looking."""
        doing = f"closing attempt {attempt} of {repo}"
        for tries in range(1, CLOSING_TRIES + 1):
            try:
                attempt_claim = await self._connection.call(
                    lambda api: _close_once(api, repo=repo, attempt=attempt),
                    doing=doing,
                    token=token,
                    writes=True,
                )
            except Uncertain:
                attempt_claim = None
            if attempt_claim is not None:
                return attempt_claim
            await asyncio.sleep(0.05 * 2**tries)
        raise Unavailable(f"{repo} changed {CLOSING_TRIES} times while {doing}; it is tried again.")

    async def read_json(self, token: str, repo: str, revision: str, path: str) -> Json | None:
        """Raises Refused where the file is no JSON object, or larger than 4 MiB."""

        def work(api: HfApi) -> Json | None:
            content = read_file(api, repo=repo, revision=revision, path=path)
            return None if content is None else json_object(content, f"{repo}/{path} at {revision}")

        return await self._connection.call(work, doing=f"reading {path} of {repo}", token=token)

    async def read_text(self, token: str, repo: str, revision: str, path: str) -> str | None:
        """Raises Refused where the file is not UTF-8, or larger than 4 MiB."""

        def work(api: HfApi) -> str | None:
            content = read_file(api, repo=repo, revision=revision, path=path)
            if content is None:
                return None
            try:
                return content.decode()
            except UnicodeDecodeError as error:
                raise Refused(f"{repo}/{path} at {revision} is not UTF-8: {error}") from error

        return await self._connection.call(work, doing=f"reading {path} of {repo}", token=token)


def _model(api: HfApi, repo: str, revision: str | None) -> ModelInfo | None:
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = api.model_info(repo, revision=revision, timeout=TIMEOUT_SECONDS)
        if info.gated:
            # Everybody may read what a gated repository is; only some may read its files.
            api.auth_check(repo)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None
    except HfHubHTTPError as error:
        if error.response.status_code in {403, 404}:
            return None
        raise
    return ModelInfo(
        repo=repo,
        revision=info.sha or "",
        parameters=info.safetensors.total if info.safetensors else None,
        files=tuple(sorted(file.rfilename for file in info.siblings or ())),
    )


def _close_once(api: HfApi, *, repo: str, attempt: int) -> AttemptClaim | None:
    """What stands there, closed by us if nothing did; None where somebody else committed meanwhile."""
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError

    head = api.model_info(repo, timeout=TIMEOUT_SECONDS).sha or ""
    standing = _claim(api, repo=repo, head=head, attempt=attempt)
    if standing is not None:
        return standing
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


def _claim(api: HfApi, *, repo: str, head: str, attempt: int) -> AttemptClaim | None:
    path = f"claims/{attempt}"
    content = read_file(api, repo=repo, revision=head, path=path)
    if content is None:
        return None
    holder = json_object(content, f"{repo}/{path} at {head}")
    if not holder.get("closed") and not holder.get("job"):
        raise Refused(f"{repo}/{path} at {head} names no job and is not closed; delete the file to go on.")
    return AttemptClaim(job=str(holder.get("job") or ""), closed=bool(holder.get("closed")))
