"""A detached process in a folder: one at a time, found again after a restart, ended together with its children.

The process runs as long as a lock (`flock`) on the folder's `lock` file is held: the process holds it from its
start to its end, however it ends, and another process that was given the same id cannot hold it. The process
writes its own id before it becomes the program. So an operator that dies right after the start leaves no
process whose id is unknown.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
PID: Final = "pid"
LOG: Final = "program.log"
TERMINATION_GRACE_SECONDS: Final = 3.0
"""Time between SIGTERM and SIGKILL."""

_WRITE_ID_AND_EXEC: Final = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'


class AlreadyRunning(Exception):
    """The folder's process already runs."""


def spawn(folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the command in its own session, in the folder, with its output appended to the log.

    Raises AlreadyRunning.
    """
    lock = _try_lock(folder)
    if lock is None:
        raise AlreadyRunning(str(folder))
    try:
        (folder / PID).unlink(missing_ok=True)
        with (folder / LOG).open("ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", _WRITE_ID_AND_EXEC, str(folder / PID), *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock],
            )
    finally:
        os.close(lock)


def is_running(folder: Path) -> bool:
    """Whether the folder's process runs. Children that a dead process left behind are killed."""
    for _ in range(3):
        lock = _try_lock(folder)
        if lock is not None:
            os.close(lock)
            return False
        leader = process_id(folder)
        if leader is None or _process_exists(leader):
            return True
        time.sleep(0.02)  # A fork elsewhere in this process may hold a copy of the lock until its exec.
    if leader is not None:
        # Its children hold the lock. While they live, the system gives the group's number to no other process.
        _signal_group(leader, signal.SIGKILL)
    return False


def terminate(folder: Path) -> None:
    """Ends the folder's process and its children; returns when they have ended, or after twice the grace period."""
    for chosen in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + TERMINATION_GRACE_SECONDS
        sent = False
        while time.monotonic() < deadline:
            lock = _try_lock(folder)
            if lock is not None:
                os.close(lock)
                return
            leader = process_id(folder)
            if leader is not None and not sent:
                _signal_group(leader, chosen)
                sent = True
            time.sleep(0.02)


def process_id(folder: Path) -> int | None:
    """Id of the folder's last process, which may have ended; None where no process has written its id."""
    try:
        return int((folder / PID).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _try_lock(folder: Path) -> int | None:
    """Takes the folder's lock and returns its file descriptor; None where a process holds the lock."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _process_exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal_group(leader: int, chosen: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, chosen)
