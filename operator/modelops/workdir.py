"""The work folder of a program that the operator starts: input, intermediate files, progress, result.

The operator writes `input.json` and starts `python -m modelops.<program> <folder>`. The program writes its progress to
`progress.json`, keeps intermediate results in other files, and ends with `result.json`. A program that is killed and
started again continues from these files. Secrets are never written into the folder: they come as environment variables.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelops.loopback import NotLoopbackError, assert_loopback
from modelops.service_calls import CALLS

SUCCEEDED, FAILED, ALREADY_RUNNING = 0, 1, 75
"""Exit codes of a program; `result.json` has the details."""


DISK_FULL = "OperatorDiskFull"
"""Reason of a program that could not write a file."""


class ProgramFailure(Exception):
    """The program cannot do what it was asked: `reason` is for a condition, the message for a person.

    `transient`: it may succeed when it is started again. `token_refused`: only with another token of Hugging Face, and
    is transient for that. `about` is the field of the input that the failure is about; empty where it is the program's
    main input. `details` are further fields of the result, for the operator.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        transient: bool = False,
        token_refused: bool = False,
        about: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.details = dict(details or {})
        self.reason = reason
        self.transient = transient or token_refused
        self.token_refused = token_refused
        self.about = about


class AlreadyRunning(Exception):
    """Another process has the lock of this folder."""


class WorkDir:
    """A program's folder. Files are replaced atomically, and are readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock; the kernel releases it when this process ends.

        Raises AlreadyRunning where another process has the lock.
        """
        with (self.folder / "program.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(f"another process works in {self.folder}") from None
            yield

    def input(self) -> Any:
        """The content of `input.json`. Raises ProgramFailure InputInvalid where it is missing or not JSON."""
        try:
            return json.loads((self.folder / "input.json").read_text())
        except (OSError, ValueError) as error:
            raise ProgramFailure("InputInvalid", f"input.json in {self.folder}: {error}") from error

    def read(self, name: str) -> Any:
        """The content of a JSON file that this program wrote before, or None."""
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: Any) -> None:
        """Replace a JSON file atomically."""
        part = self.folder / f".{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, sort_keys=True, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / name)

    def progress(self, stage: str, *, done: int = 0, total: int = 0) -> None:
        """Write `progress.json`. `done` and `total` count items of the stage; `total` 0 means that it is not known."""
        self.write(
            "progress.json",
            {"v": 1, "stage": stage, "done": done, "total": total, "t": round(time.time(), 3)},
        )


def run_program(main: Callable[[WorkDir], Mapping[str, Any]], folder: Path) -> int:
    """Run `main` in the folder and write its outcome, a failure included, to `result.json`; returns the exit code.

    Where the folder has a final result already, `main` is not run. A transient failure is not final: it is tried again.
    The result has the calls of services that this run has made (`service_calls`).
    A sandboxed program whose services are not all on this machine ends before `main`.
    """
    work = WorkDir(folder)
    try:
        with work.locked():
            previous = work.read("result.json")
            if previous is not None and not previous.get("transient"):
                return SUCCEEDED if previous["ok"] else FAILED
            CALLS.begin()
            result = _outcome(main, work)
            work.write("result.json", {**result, "calls": CALLS.document()})
            return SUCCEEDED if result["ok"] else FAILED
    except AlreadyRunning as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's own stderr
        return ALREADY_RUNNING


def _outcome(main: Callable[[WorkDir], Mapping[str, Any]], work: WorkDir) -> dict[str, Any]:
    try:
        assert_loopback(os.environ)
        return {"ok": True, **main(work)}
    except ProgramFailure as failure:
        named = {"reason": failure.reason, "message": str(failure), "transient": failure.transient}
        fields = {**failure.details, **named}
        about = {"about": failure.about} if failure.about else {}
        return {"ok": False, **fields, **about, **({"token_refused": True} if failure.token_refused else {})}
    except NotLoopbackError as refused:
        return {"ok": False, "reason": "HostNotAllowed", "message": str(refused), "transient": False}
    except Exception as error:  # noqa: BLE001 - the program's edge: every outcome must reach the operator
        if is_disk_full(error):
            return disk_full_result(work.folder)
        traceback.print_exc()
        message = f"{type(error).__name__} in a program of ModelOps; its stderr has the traceback. Please report it."
        return {"ok": False, "reason": "InternalError", "message": message, "transient": False}


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the error, or one that caused it, says that no space, or no quota, is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def disk_full_result(folder: Path) -> dict[str, Any]:
    """The result of a program whose disk is full: it is tried again, for nothing is wrong with the input."""
    message = (
        f"no space is left on the operator's disk for {folder} (MODELOPS_STATE_DIR), or on the one for temporary files "
        "(TMPDIR): free space or enlarge the volume; the program is tried again"
    )
    return {"ok": False, "reason": DISK_FULL, "message": message, "transient": True}
