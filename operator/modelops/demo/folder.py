"""The demo's folder: where everything lies, one demo at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class DemoInUseError(RuntimeError):
    """Another demo runs in this folder, or was left running by KEEP=1."""


@dataclass(frozen=True)
class DemoFolder:
    """Paths below one root; a fresh demo starts from an empty one."""

    root: Path

    @property
    def cluster(self) -> Path:
        """The control plane's files; gone when it ends."""
        return self.root / "cluster"

    @property
    def sandbox(self) -> Path:
        """The cloud's state."""
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
    def manifests(self) -> Path:
        """What was applied, as it can be applied again."""
        return self.root / "manifests"

    @property
    def summary(self) -> Path:
        """How it ended."""
        return self.root / "summary.json"

    @property
    def kept(self) -> Path:
        """What KEEP=1 left running, for `modelops demo stop`."""
        return self.root / "kept.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Empties the folder and keeps other demos out of it.

        Raises:
            DemoInUseError: another demo runs there.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoInUseError(f"another demo runs in {self.root}: wait for it, or use --dir") from None
            if self.kept.exists():
                raise DemoInUseError(
                    f"a demo was left running in {self.root}: `modelops demo stop --dir {self.root}` first"
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
