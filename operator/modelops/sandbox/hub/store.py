"""Repositories on disk: content-addressed files, one JSON file per commit, and branch references, written last."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from modelops.sandbox.hub.objects import Commit, Entry, Repo, RepoType, git_blob_oid, lfs_pointer
from modelops.sandbox.state import read_json, write_bytes, write_json

GITATTRIBUTES = b"".join(
    b"*.%s filter=lfs diff=lfs merge=lfs -text\n" % kind
    for kind in (b"bin", b"gz", b"npz", b"parquet", b"pt", b"safetensors", b"zip", b"zst")
)


class ParentChangedError(Exception):
    """The head of the branch is not the commit's parent."""


class WrongDigestError(Exception):
    """The content does not have the announced digest."""


class RepoStore:
    """All repositories below one folder. Every change becomes visible in one atomic step."""

    def __init__(self, folder: Path) -> None:
        self._repos = folder / "repos"
        self._blobs = folder / "blobs"

    def create(self, kind: RepoType, repo_id: str, *, private: bool, gated: bool = False) -> Repo:
        """Create a repository with an initial commit, as the Hub does."""
        repo = Repo(type=kind, id=repo_id, private=private, gated=gated, created_at=now(), oid=token_hex(12))
        folder = self._folder(kind, repo_id)
        entry = self.put(GITATTRIBUTES)
        first = self._new_commit(repo, parent=None, title="initial commit", files={".gitattributes": entry})
        write_json(folder / "refs.json", {"main": first.oid})
        write_json(folder / "repo.json", asdict(repo))
        return repo

    def delete(self, repo: Repo) -> None:
        """Delete a repository. File contents stay in the store, because other repositories may share them."""
        folder = self._folder(repo.type, repo.id)
        (folder / "repo.json").unlink()
        shutil.rmtree(folder)

    def find(self, kind: RepoType, repo_id: str) -> Repo | None:
        """Return the repository of that id, or None."""
        stored = read_json(self._folder(kind, repo_id) / "repo.json")
        return None if stored is None else Repo(**stored)

    def all(self, kind: RepoType) -> Iterator[Repo]:
        """Yield every repository of a type, sorted by id."""
        for file in sorted((self._repos / kind).glob("*/*/repo.json")):
            yield Repo(**read_json(file))

    def branches(self, repo: Repo) -> dict[str, str]:
        """Return the commit oid of each branch's head, by branch name."""
        refs: dict[str, str] = read_json(self._folder(repo.type, repo.id) / "refs.json", {})
        return refs

    def commit_at(self, repo: Repo, revision: str) -> Commit | None:
        """Return the commit of a branch or of a full oid, or None."""
        oid = self.branches(repo).get(revision.removeprefix("refs/heads/"), revision)
        if not oid.isalnum():
            return None
        stored = read_json(self._folder(repo.type, repo.id) / "commits" / f"{oid}.json")
        return None if stored is None else Commit.from_json(stored)

    def history(self, repo: Repo, commit: Commit | None) -> Iterator[Commit]:
        """Yield the commit and its ancestors, newest first."""
        while commit is not None:
            yield commit
            commit = self.commit_at(repo, commit.parent) if commit.parent else None

    def commit(
        self,
        repo: Repo,
        files: Mapping[str, Entry],
        *,
        title: str,
        description: str = "",
        parent: str | None = None,
        branch: str = "main",
    ) -> Commit:
        """Make `files` the whole tree of a branch. An unchanged tree makes no commit, as on the Hub.

        Raises:
            ParentChangedError: `parent` is given and is not the head of the branch.
        """
        head = self.commit_at(repo, branch)
        if head is None:
            raise LookupError(f"{repo.id} has no branch {branch}")
        if parent is not None and parent != head.oid:
            raise ParentChangedError(f"the head of {branch} is {head.oid}, not {parent}")
        if dict(files) == head.files:
            return head
        commit = self._new_commit(repo, parent=head.oid, title=title, description=description, files=files)
        write_json(
            self._folder(repo.type, repo.id) / "refs.json", {**self.branches(repo), branch: commit.oid}
        )
        return commit

    def put(self, content: bytes, *, lfs: bool = False) -> Entry:
        """Store a content and return it as a file of a tree."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.blob(digest).exists():
            write_bytes(self.blob(digest), content)
        oid = git_blob_oid(lfs_pointer(digest, len(content)) if lfs else content)
        return Entry(size=len(content), sha256=digest, git_oid=oid, lfs=lfs)

    @contextmanager
    def receiving(self, sha256: str) -> Iterator[Callable[[bytes], None]]:
        """Receive a content in pieces, and store it at the end of the `with` block.

        Raises:
            WrongDigestError: the content does not have that digest; nothing is stored.
        """
        digest = hashlib.sha256()
        target = self.blob(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent) as file:

            def write(piece: bytes) -> None:
                digest.update(piece)
                file.write(piece)

            yield write
            if digest.hexdigest() != sha256:
                raise WrongDigestError(f"the content has sha256 {digest.hexdigest()}, announced was {sha256}")
            file.flush()
            if not target.exists():
                target.hardlink_to(file.name)

    def blob(self, sha256: str) -> Path:
        """Return the path of the content with that digest, whether it exists or not."""
        return self._blobs / sha256[:2] / sha256

    def content(self, entry: Entry) -> bytes:
        """Return the bytes of a file."""
        return self.blob(entry.sha256).read_bytes()

    def _new_commit(
        self, repo: Repo, *, parent: str | None, title: str, files: Mapping[str, Entry], description: str = ""
    ) -> Commit:
        seed = repr((repo.oid, parent, title, sorted(files.items()), now(), token_hex(8)))
        commit = Commit(
            oid=hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest(),
            parent=parent,
            title=title,
            description=description,
            date=now(),
            author=repo.namespace,
            files=dict(sorted(files.items())),
        )
        write_json(self._folder(repo.type, repo.id) / "commits" / f"{commit.oid}.json", commit.to_json())
        return commit

    def _folder(self, kind: RepoType, repo_id: str) -> Path:
        namespace, _, name = repo_id.partition("/")
        return self._repos / kind / namespace / name


def now() -> str:
    """Return the time in the Hub's format: ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
