"""The objects of a repository: files, commits, and the repository itself."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

RepoType = Literal["model", "dataset"]

EMPTY_SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


@dataclass(frozen=True)
class Entry:
    """One file of a tree."""

    size: int
    sha256: str
    """The digest of the content, which is also its name in the store."""
    git_oid: str
    """The Git blob id; for LFS content that of the pointer file."""
    lfs: bool

    @property
    def etag(self) -> str:
        """The Hub's ETag: the sha256 of LFS files, otherwise the Git blob id."""
        return self.sha256 if self.lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    """One commit with its whole tree."""

    oid: str
    parent: str | None
    title: str
    description: str
    date: str
    """ISO 8601 in UTC."""
    author: str
    files: dict[str, Entry]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        files = {path: Entry(**entry) for path, entry in value["files"].items()}
        return cls(**{**value, "files": files})

    def to_json(self) -> dict[str, Any]:
        """Return JSON for the file."""
        return asdict(self)


@dataclass(frozen=True)
class Repo:
    """A repository, without its content."""

    type: RepoType
    id: str
    """`namespace/name`."""
    private: bool
    gated: bool
    created_at: str
    oid: str
    """24 random hexadecimal digits."""

    @property
    def namespace(self) -> str:
        """The user or organization that owns it."""
        return self.id.partition("/")[0]


def git_blob_oid(content: bytes) -> str:
    """Return Git's object id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the pointer file that Git stores for an LFS object (git-lfs specification v1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def tree_oid(files: dict[str, Entry], folder: str) -> str:
    """Return an id of a folder's content, which changes exactly when a file below the folder changes."""
    below = sorted((path, entry.git_oid) for path, entry in files.items() if path.startswith(folder + "/"))
    return hashlib.sha1(repr(below).encode(), usedforsecurity=False).hexdigest()
