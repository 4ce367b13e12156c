"""A repository on the Hub for programs and jobs: every call is repeated for a while where the Hub does not answer.

Each method ends in time, by the clock, whatever the Hub or the SDK does meanwhile.

This file travels into the job beside the trainer; it needs the standard library and `huggingface_hub`.
"""

from __future__ import annotations

import errno
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING or __package__:
    from modelops.trainers.hub_client import TookTooLong, bounded, prepare_sdk, seconds_for
else:
    from hub_client import TookTooLong, bounded, prepare_sdk, seconds_for
if TYPE_CHECKING:
    from huggingface_hub import HfApi

_T = TypeVar("_T")
Content = bytes | Path
"""The content of a file to commit: bytes, or the path of a file on disk. Large files must be given by path."""

HUB_RETRY_SECONDS = 180.0
"""How long a call is repeated while the Hub gives no usable answer."""
MISSING_SECONDS = 15.0
"""How long a repository that was not found is looked for again: it may have been made a moment ago."""
LONGEST_PAUSE_SECONDS = 10.0
REFUSALS = frozenset({400, 401, 402, 403, 404, 410, 413, 422})
"""Statuses that the same request would get again, until a person changes something."""
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class HubRefused(Exception):
    """The Hub refused the request: the token lacks a permission, storage is used up, there is no such repository.

    The operator knows this failure of a job by the name of this class, which is the reason in the job's report.
    """

    def __init__(self, message: str, *, status: int, words: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.storage_is_full = "storage" in words.lower()
        """The Hub answers 403 also where an account's storage is used up; only its own words tell the two apart."""


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
        prepare_sdk()

    def head(self) -> str:
        """The newest commit."""
        return self.retry(lambda: str(self._api.repo_info(self.repo, repo_type=self._repo_type).sha))

    def read(self, path: str, *, revision: str, may_be_large: bool = False) -> bytes | None:
        """A file's content, or None where there is no such file. `may_be_large`: it has time by its size."""
        size = self.retry(lambda: self._sizes(revision)).get(path, 0) if may_be_large else 0
        limit = self._retry_seconds + seconds_for(size)
        return self.retry(lambda: (self.read_once(path, revision=revision),), seconds=limit)[0]

    def download(self, folder: str, *, revision: str, into: Path) -> Path | None:
        """The folder's files on disk, or None where there is no such folder."""
        sizes = self.retry(lambda: self._sizes(revision))
        paths = [path for path in sizes if path.startswith(f"{folder}/")]

        def download_once() -> tuple[Path | None]:
            for path in paths:
                self._api.hf_hub_download(
                    self.repo, path, revision=revision, repo_type=self._repo_type, local_dir=into
                )
            return (into / folder if paths else None,)

        size = sum(sizes[path] for path in paths)
        return self.retry(download_once, seconds=self._retry_seconds + seconds_for(size))[0]

    def cache(self, *, revision: str, wanted: Callable[[Sequence[str]], Sequence[str]]) -> Path:
        """Download files into the SDK's cache; returns the folder that has them. `wanted` chooses the paths.

        Libraries that are given this folder, and not the repository's name, ask the Hub for nothing.
        """
        sizes = self.retry(lambda: self._sizes(revision))
        paths = list(wanted(sorted(sizes)))

        def download_once() -> Path:
            folder = self._api.snapshot_download(
                self.repo, revision=revision, repo_type=self._repo_type, allow_patterns=paths
            )
            return Path(folder)

        size = sum(sizes[path] for path in paths)
        return self.retry(download_once, seconds=self._retry_seconds + seconds_for(size))

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        title: str,
        is_committed: Callable[[str], bool],
        delete_folders: Sequence[str] = (),
        retry_seconds: float | None = None,
        refusal: Refusal | None = None,
    ) -> str:
        """Commit the files in one commit, unless `is_committed(head)` is true; returns a head that has them.

        The folders of `delete_folders` are deleted in the same commit. A conflict and a lost answer are settled in the
        same way: by reading the new head. Files that a failed try has uploaded are hashed again, but not sent again.
        `retry_seconds` is the time without the transfer of the files, which is added by their size.
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

        sizes = (body.stat().st_size if isinstance(body, Path) else len(body) for body in files.values())
        limit = self._retry_seconds if retry_seconds is None else retry_seconds
        refusal = refusal or Refusal(seconds=_missing_only, tell=lambda _: None)
        return self.retry(commit_once, seconds=limit + seconds_for(sum(sizes)), refusal=refusal)

    def _sizes(self, revision: str) -> dict[str, int]:
        """Bytes of each file."""
        info = self._api.repo_info(
            self.repo, revision=revision, repo_type=self._repo_type, files_metadata=True
        )
        return {file.rfilename: file.size or 0 for file in getattr(info, "siblings", None) or ()}

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

    def retry(
        self,
        ask: Callable[[], _T | None],
        *,
        seconds: float | None = None,
        refusal: Refusal | None = None,
    ) -> _T:
        """Call `ask` until it returns something else than None, for at most `seconds` (default: `retry_seconds`).

        A call that takes longer is abandoned. `refusal`: what to do where the Hub refuses, also for longer than
        `seconds`; without it, a refusal ends the calls.
        """
        from huggingface_hub import errors

        transport_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # the SDK's httpx
        limit = self._retry_seconds if seconds is None else seconds
        deadline = time.monotonic() + limit
        pause, last = 0.1, "no answer"
        first_refused: float | None = None
        refused: HubRefused | None = None
        while True:
            left = deadline - time.monotonic()
            try:
                answer = bounded(ask, seconds=left)
            except TookTooLong:
                last = f"{last}; the last call did not end"
            except (transport_error, *_NO_USABLE_ANSWER) as error:
                if getattr(error, "errno", None) in DISK_IS_FULL:
                    raise
                last = f"{type(error).__name__} {_status(error) or ''}".strip()
                refused = _refused(error, self.repo)
                if refused is not None:
                    now = time.monotonic()
                    first_refused = now if first_refused is None else first_refused
                    patience = refusal.seconds(refused) if refusal is not None else 0.0
                    if now >= first_refused + patience:
                        raise refused from error
                    deadline = max(deadline, first_refused + patience)
                    if refusal is not None:
                        refusal.tell(refused)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                time.sleep(min(pause * (0.5 + secrets.randbelow(1000) / 1000), max(0.0, left)))
            else:
                if answer is not None:
                    return answer
            if time.monotonic() > deadline:
                if refused is not None:
                    raise refused
                raise HubSilent(f"no usable answer about {self.repo} for {limit:.0f} s: {last}")


@dataclass(frozen=True)
class Refusal:
    """What to do while the Hub refuses a commit: wait for as long as `seconds` says, and `tell` of each refusal."""

    seconds: Callable[[HubRefused], float]
    tell: Callable[[HubRefused], None]


_NO_USABLE_ANSWER = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
"""What the SDK raises, besides errors of its transport, where an answer is lost or not as documented. Native libraries
that it uses raise RuntimeErrors."""


def _missing_only(refused: HubRefused) -> float:
    return MISSING_SECONDS if refused.status == 404 else 0.0


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _refused(error: BaseException, repo: str) -> HubRefused | None:
    """The refusal in the Hub's answer; None where another try may succeed.

    A revision that is not found is one that the Hub itself has named a moment ago.
    """
    from huggingface_hub.errors import RevisionNotFoundError

    status = _status(error)
    if status not in REFUSALS or isinstance(error, RevisionNotFoundError):
        return None
    words = " ".join(str(getattr(error, "server_message", None) or "").split())[:200]
    return HubRefused(
        f"the Hub answered {status} for repository {repo}" + (f": {words}" if words else ""),
        status=status,
        words=words,
    )
