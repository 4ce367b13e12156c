"""What identifies a live smoke run: one id, from which follows everything that it makes at the services.

The id is the installation's id of the run's own operator, so every job has it in its label. The agent has it in its
name, so every repository and every endpoint of the run can be told from all others.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from modelops.domain.training.naming import attempt_label, parse_repository

_ID: Final = re.compile(r"[0-9a-f]{8}")


class RunLeftError(Exception):
    """Another run uses the folder, or one left it without a check of what bills. The message has the command."""


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """A run. `org`: the namespace on the Hub that it uses."""

    id: str
    org: str

    @classmethod
    def new(cls, org: str) -> Self:
        """A run that has made nothing yet."""
        return cls(id=secrets.token_hex(4), org=org)

    @classmethod
    def of(cls, id_: str, org: str) -> Self:
        """The run of an id. Raises RunLeftError if it is no id."""
        if _ID.fullmatch(id_) is None:
            raise RunLeftError(
                f"{id_!r} is no id of a run: it has 8 hex digits, as in the name of its report"
            )
        return cls(id=id_, org=org)

    @property
    def agent(self) -> str:
        """Name of the agent: its key in agents.yaml."""
        return f"live_{self.id}"

    @property
    def name(self) -> str:
        """Name of the AgentModel, which is also the agent's in the names of repositories."""
        return f"live-{self.id}"

    def owns(self, repository: str) -> bool:
        """Whether a repository of the Hub belongs to the run."""
        named = parse_repository(repository)
        return named is not None and (named.org, named.agent) == (self.org, self.name)

    def dataset(self, part: str) -> str:
        """Name of the LangSmith dataset `train` or `held-out`."""
        return f"{self.dataset_prefix}{part}"

    @property
    def dataset_prefix(self) -> str:
        """The beginning of the names of its LangSmith datasets."""
        return f"modelops-live-{self.id}-"

    def label(self, uid: str) -> str:
        """The label of the jobs of a TrainingRun's first attempt."""
        return attempt_label(installation=self.id, uid=uid, attempt=1)


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """`run.json` in the run's folder: it is there from before the first step until nothing bills any more."""

    identity: RunIdentity
    labels: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The run that left this folder; None if there is none."""
        try:
            stored = json.loads((folder / "run.json").read_text())
        except FileNotFoundError:
            return None
        return cls(identity=RunIdentity(**stored["identity"]), labels=tuple(stored["labels"]))

    def write(self, folder: Path) -> None:
        """Write the file as a whole, so that a crash leaves the old one or the new one."""
        fresh = folder / "run.json.new"
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(folder / "run.json")

    def with_label(self, label: str) -> Self:
        """The same with one more label of jobs."""
        return replace(self, labels=(*self.labels, label))


def forget(folder: Path) -> None:
    """Remove the file: nothing of the run bills any more."""
    (folder / "run.json").unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, new_run: bool) -> Iterator[None]:
    """Use the folder alone for the length of a `with` block.

    `new_run`: no run may have left something that bills, and the files of the last one are removed.

    Raises:
        RunLeftError: another process uses it, or the last run may have left something that bills.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunLeftError(f"another live smoke run uses {folder}: wait until it ends") from None
        left = RunFile.read(folder)
        if new_run and left is not None:
            raise RunLeftError(
                f"run {left.identity.id} was killed before it could stop what bills: first stop that with "
                f"`modelops live-smoke clean-up --dir {folder}`"
            )
        if new_run:
            for part in ("cluster", "operator", "agent"):
                shutil.rmtree(folder / part, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)
