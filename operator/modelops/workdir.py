"""The folder in which a program works for the operator: input, journal, progress, result.

The operator writes `input.json` and starts `python -m modelops.<program> <folder>`. The program reports in
`progress.json`, keeps what it has learnt in files of its own, and ends with `result.json`. Killed and started
again it goes on from there. Secrets never enter the folder: they come by environment.
"""

from __future__ import annotations

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

SUCCEEDED, FAILED, ALREADY_RUNNING = 0, 1, 75
"""Exit codes of a program; `result.json` says the rest."""


class ProgramFailure(Exception):
    """An end that a person should hear of: `reason` for a condition, the message for a person.

    `about` is the part of the input that it is about, where it is not the one that the program is for.
    """

    def __init__(self, reason: str, message: str, *, transient: bool = False, about: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.transient = transient
        self.about = about


class AlreadyRunning(Exception):
    """Another process works in this folder."""


class WorkDir:
    """One program's folder. Every file appears whole or not at all, and is readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process out while this one works; the kernel lets go when it dies.

        Raises AlreadyRunning.
        """
        with (self.folder / "program.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(f"another process works in {self.folder}") from None
            yield

    def input(self) -> Any:
        """What the operator asked for. Raises ProgramFailure where it is missing or not JSON."""
        try:
            return json.loads((self.folder / "input.json").read_text())
        except (OSError, ValueError) as error:
            raise ProgramFailure("InputInvalid", f"input.json in {self.folder}: {error}") from error

    def read(self, name: str) -> Any:
        """A JSON file that this program wrote before, or None."""
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: Any) -> None:
        """Put a JSON file in place at once."""
        part = self.folder / f".{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, sort_keys=True, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / name)

    def progress(self, stage: str, *, done: int = 0, total: int = 0) -> None:
        """Say where the program is; `total` 0 means that it is not known."""
        self.write(
            "progress.json",
            {"v": 1, "stage": stage, "done": done, "total": total, "t": round(time.time(), 3)},
        )


def run_program(main: Callable[[WorkDir], Mapping[str, Any]], folder: Path) -> int:
    """Run `main` in the folder unless it has been done; every end is written to `result.json`.

    A result that was transient is thrown away: being started again means to try again. A sandboxed program
    whose services are not all on this machine ends before `main`.
    """
    work = WorkDir(folder)
    try:
        with work.held():
            before = work.read("result.json")
            if before is not None and not before.get("transient"):
                return SUCCEEDED if before["ok"] else FAILED
            result = _outcome(main, work)
            work.write("result.json", result)
            return SUCCEEDED if result["ok"] else FAILED
    except AlreadyRunning as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's own stderr
        return ALREADY_RUNNING


def _outcome(main: Callable[[WorkDir], Mapping[str, Any]], work: WorkDir) -> dict[str, Any]:
    try:
        assert_loopback(os.environ)
        return {"ok": True, **main(work)}
    except ProgramFailure as failure:
        told = {"reason": failure.reason, "message": str(failure), "transient": failure.transient}
        return {"ok": False, **told, **({"about": failure.about} if failure.about else {})}
    except NotLoopbackError as refused:
        return {"ok": False, "reason": "HostNotAllowed", "message": str(refused), "transient": False}
    except Exception as error:  # noqa: BLE001 - the program's edge: the operator has to hear of every end
        traceback.print_exc()
        message = f"{type(error).__name__} in a program of ModelOps; its stderr says where. Please report it."
        return {"ok": False, "reason": "InternalError", "message": message, "transient": False}
