"""A detached process that its folder knows: one at a time, found after a restart, ended with its children.

Whether it runs is told by a lock (`flock`) on the folder's `lock` file: the process holds it from before it
starts until it is gone, however it goes, and a process id that was given to somebody else cannot hold it. The
process id, for ending it, is written by the process itself before it becomes the program, so that an operator
that dies right after the start leaves nothing that nobody knows of.
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
PATIENCE_SECONDS: Final = 3.0
"""From the polite signal to the other one."""

_BECOME: Final = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'


class AlreadyRunning(Exception):
    """The folder's process is there already."""


def spawn(folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the command in a session of its own, in the folder, with its output appended to the log.

    Raises AlreadyRunning.
    """
    lock = _taken(folder)
    if lock is None:
        raise AlreadyRunning(str(folder))
    try:
        (folder / PID).unlink(missing_ok=True)
        with (folder / LOG).open("ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", _BECOME, str(folder / PID), *command],
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
    """Whether the folder's process runs. What a dead one left behind is ended on the way."""
    for _ in range(3):
        lock = _taken(folder)
        if lock is not None:
            os.close(lock)
            return False
        leader = process_id(folder)
        if leader is None or _exists(leader):
            return True
        time.sleep(0.02)  # A fork elsewhere in this process may hold a copy of the lock until its exec.
    if leader is not None:
        # Its children hold the lock; as long as they live no other process is given the group's number.
        _signal_group(leader, signal.SIGKILL)
    return False


def end(folder: Path) -> None:
    """Ends the folder's process and its children; returns when they are gone, or after twice the patience."""
    for chosen in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE_SECONDS
        sent = False
        while time.monotonic() < deadline:
            lock = _taken(folder)
            if lock is not None:
                os.close(lock)
                return
            leader = process_id(folder)
            if leader is not None and not sent:
                _signal_group(leader, chosen)
                sent = True
            time.sleep(0.02)


def process_id(folder: Path) -> int | None:
    """Of the folder's last process, which may be gone; None where none has come far enough to write it."""
    try:
        return int((folder / PID).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _taken(folder: Path) -> int | None:
    """The lock's file descriptor, held; None where a process holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _exists(process: int) -> bool:
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
