"""The folder with all files of a demo; only one demo can use it at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class DemoInUseError(RuntimeError):
    """Another demo runs in this folder, or KEEP=1 left one running."""


@dataclass(frozen=True)
class DemoFolder:
    """The paths of a demo below one root folder."""

    root: Path

    @property
    def cluster(self) -> Path:
        """The control plane's files; deleted when it stops."""
        return self.root / "cluster"

    @property
    def sandbox(self) -> Path:
        """The sandbox's state."""
        return self.root / "sandbox"

    @property
    def operator(self) -> Path:
        """The operator's state folder."""
        return self.root / "operator"

    @property
    def agents(self) -> Path:
        """Status files and logs of the agents."""
        return self.root / "agents"

    @property
    def agent_environment(self) -> Path:
        """The agents' environment variables, as shell commands."""
        return self.agents / "agent.env"

    @property
    def manifests(self) -> Path:
        """The manifests that were applied, with addresses and keys filled in."""
        return self.root / "manifests"

    @property
    def summary(self) -> Path:
        """The summary at the end."""
        return self.root / "summary.json"

    @property
    def kept(self) -> Path:
        """The processes that KEEP=1 left running, for `modelops demo stop`."""
        return self.root / "kept.json"

    @property
    def created(self) -> Path:
        """What the demo has created in a cluster that it did not start."""
        return self.root / "created.json"

    @property
    def kind(self) -> Path:
        """The kind cluster that the demo has created: the program and its engine."""
        return self.root / "kind.json"

    @property
    def left(self) -> bool:
        """Whether a demo has left something that `modelops demo stop` removes."""
        return any(file.exists() for file in (self.kept, self.created, self.kind))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for the length of a `with` block, and empty it first.

        Raises:
            DemoInUseError: another demo runs there, or was left running.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoInUseError(
                    f"another demo runs in {self.root}: wait until it ends, or choose another folder with --dir"
                ) from None
            if self.left:
                raise DemoInUseError(
                    f"a demo was left running in {self.root}, or did not remove what it had created in a cluster: "
                    f"stop it first with `modelops demo stop --dir {self.root}`"
                )
            self._empty()
            for folder in (self.operator, self.agents, self.manifests):
                folder.mkdir()
            yield
        finally:
            os.close(descriptor)

    def _empty(self) -> None:
        for item in self.root.iterdir():
            if item.name == "lock":
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
