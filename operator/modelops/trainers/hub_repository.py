"""A repository on the Hub for programs and jobs: every call is repeated for a while where the Hub does not answer.

This file travels into the job beside the trainer; it needs the standard library and `huggingface_hub`.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_T = TypeVar("_T")
Content = bytes | Path
"""The content of a file to commit: bytes, or the path of a file on disk. Large files must be given by path."""

HUB_RETRY_SECONDS = 180.0
"""How long a call is repeated while the Hub gives no usable answer."""


class HubRefused(Exception):
    """The Hub answered 401, 403 or 404: the token lacks a permission, or there is no such repository."""


class HubSilent(Exception):
    """The Hub gave no usable answer for the whole retry time.

    The operator knows this failure of a job by the name of this class, which is the reason in the job's report.
    """


class Repository:
    """One repository of the Hub. Commits name their parent, so that they fail where another commit came first.

    Calls that may succeed a moment later are repeated for `retry_seconds`. Unless a method says otherwise, it raises
    HubRefused and HubSilent.
    """

    def __init__(
        self,
        api: HfApi,
        repo: str,
        *,
        repo_type: str = "model",
        retry_seconds: float = HUB_RETRY_SECONDS,
    ) -> None:
        self.repo = repo
        self._api = api
        self._repo_type = repo_type
        self._retry_seconds = retry_seconds

    def head(self) -> str:
        """The newest commit."""
        return self.retry(lambda: str(self._api.repo_info(self.repo, repo_type=self._repo_type).sha))

    def read(self, path: str, *, revision: str) -> bytes | None:
        """A file's content, or None where there is no such file."""
        found = self.retry(lambda: (self.read_once(path, revision=revision),))
        return found[0]

    def download(self, folder: str, *, revision: str, into: Path) -> Path | None:
        """The folder's files on disk, or None where there is no such folder."""

        def download_once() -> tuple[Path | None]:
            paths = self.list_once(folder, revision=revision)
            for path in paths:
                self._api.hf_hub_download(
                    self.repo, path, revision=revision, repo_type=self._repo_type, local_dir=into
                )
            return (into / folder if paths else None,)

        return self.retry(download_once)[0]

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        title: str,
        is_committed: Callable[[str], bool],
        delete_folders: Sequence[str] = (),
        retry_seconds: float | None = None,
    ) -> str:
        """Commit the files in one commit, unless `is_committed(head)` is true; returns a head that has them.

        The folders of `delete_folders` are deleted in the same commit. A conflict and a lost answer are settled in the
        same way: by reading the new head. Files that a failed try has uploaded are hashed again, but not sent again.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def commit_once() -> str | None:
            head = str(self._api.repo_info(self.repo, repo_type=self._repo_type).sha)
            if is_committed(head):
                return head
            adds = [CommitOperationAdd(path, body) for path, body in sorted(files.items())]
            existing = [f"{folder}/" for folder in delete_folders if self.list_once(folder, revision=head)]
            deletes = [CommitOperationDelete(folder, is_folder=True) for folder in existing]
            self._api.create_commit(
                self.repo,
                [*adds, *deletes],
                commit_message=title,
                parent_commit=head,
                repo_type=self._repo_type,
            )
            return None  # The next round proves the commit: it reads the new head.

        return self.retry(commit_once, seconds=retry_seconds)

    def list_once(self, folder: str, *, revision: str) -> list[str]:
        """Paths of the files in a folder, asked once. Raises the SDK's errors."""
        paths = self._api.list_repo_files(self.repo, revision=revision, repo_type=self._repo_type)
        return [path for path in paths if path.startswith(f"{folder}/")]

    def read_once(self, path: str, *, revision: str) -> bytes | None:
        """`read`, asked once. Raises the SDK's errors.

        `is_committed` of `commit` uses it, so that one deadline holds for the whole commit.
        """
        from huggingface_hub.errors import RemoteEntryNotFoundError

        with tempfile.TemporaryDirectory() as folder:
            try:
                file = self._api.hf_hub_download(
                    self.repo, path, revision=revision, repo_type=self._repo_type, local_dir=folder
                )
            except RemoteEntryNotFoundError:
                return None
            return Path(file).read_bytes()

    def retry(self, ask: Callable[[], _T | None], *, seconds: float | None = None) -> _T:
        """Call `ask` until it returns something else than None, for at most `seconds` (default: `retry_seconds`)."""
        from huggingface_hub import errors

        transport_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # the SDK's httpx
        limit = self._retry_seconds if seconds is None else seconds
        deadline = time.monotonic() + limit
        pause, last = 0.1, "no answer"
        while True:
            try:
                answer = ask()
            except (transport_error, OSError) as error:
                status = getattr(getattr(error, "response", None), "status_code", None)
                last = f"{type(error).__name__} {status or ''}".strip()
                if status in (401, 403, 404):
                    raise HubRefused(f"the Hub answered {status} for repository {self.repo}") from error
                pause = min(pause * 2, 10.0)
                time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            else:
                if answer is not None:
                    return answer
            if time.monotonic() > deadline:
                raise HubSilent(f"no usable answer about {self.repo} for {limit:.0f} s: {last}")
