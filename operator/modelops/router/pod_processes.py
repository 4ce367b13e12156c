"""Which processes beside this one have ended without a last report: their locks are free.

Each process that reports holds an exclusive lock (POSIX, `fcntl.lockf`) on a file of its own. The kernel releases it
when the process ends, however it ends, and never before. So a process that finds the lock of another one free knows
that the other one is dead: not slow, not stopped, and not cut off from the network. Unlike a process id, a lock is
never reused, and it is the same in every PID namespace. A child does not inherit it (`flock` would be inherited).

The files are in `/dev/shm`, which the containers of a Pod share and which outlives each of them; elsewhere in `TMPDIR`
or `/tmp`. Without such a folder, or without `fcntl`, nothing is known of other processes and nothing is said.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from typing import IO, Final

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

MAX_NAMES: Final = 64
"""Ended processes in one report; the others are in the next ones."""

_own: Final[set[tuple[int, str]]] = set()
"""(process id, path) of this process's files: to open and close one of them would release its lock (man 2 fcntl)."""


def shared_folder(agent: str, pod: str, report_url: str) -> str | None:
    """The folder of the processes of one agent in one Pod that report to one operator; None where there is none."""
    name = hashlib.sha256("\n".join((agent, pod, report_url)).encode()).hexdigest()[:16]
    for place in ("/dev/shm", os.environ.get("TMPDIR"), "/tmp"):
        if place and os.access(place, os.W_OK | os.X_OK) and os.path.isdir(place):  # noqa: PTH112
            return os.path.join(place, f"modelops-router-{os.getuid()}", name)  # noqa: PTH118
    return None


class PodProcesses:
    """Holds this process's lock, and finds the locks that are free. Used by one thread, that of the reports."""

    def __init__(self, folder: str | None, process: str) -> None:
        self._folder = folder if fcntl is not None else None
        self._path = f"{folder}/{process}"
        self._hidden = f"{folder}/.{process}"
        self._file: IO[str] | None = None
        self._named: tuple[str, ...] = ()

    def ended(self) -> list[str]:
        """Processes that have ended, at most `MAX_NAMES`. Also takes this process's lock, where it has none (yet)."""
        self._named = ()
        if self._folder is not None:
            with suppress(OSError):
                self._hold()
                self._named = tuple(self._free_locks())
        return list(self._named)

    def forget_named(self) -> None:
        """The operator knows what `ended` returned last: nobody has to say it again."""
        for name in self._named:
            with suppress(OSError):
                os.unlink(f"{self._folder}/{name}")  # noqa: PTH108
        self._named = ()

    def leave(self) -> None:
        """The operator knows that this process ends: the others need not say it."""
        if self._file is None or self._folder is None:
            return
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108
        self._file.close()
        self._file = None
        _own.difference_update({(os.getpid(), self._path), (os.getpid(), self._hidden)})
        with suppress(OSError):
            os.rmdir(self._folder)  # noqa: PTH106 - refused while another process has its file there

    def _hold(self) -> None:
        """Takes the lock, or takes it again where the file or the lock was lost, as by a process that closes all files.

        The file gets its name only when it is locked, so that its lock is never free under that name.
        """
        if self._file is not None:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._path)):  # noqa: PTH116
                    return
        self._make_folder()
        _own.update({(os.getpid(), self._path), (os.getpid(), self._hidden)})
        file = open(self._hidden, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(self._hidden, self._path)  # noqa: PTH104
        self._file = file

    def _make_folder(self) -> None:
        """Creates the folder for this user alone. Raises PermissionError where somebody else made it before."""
        parent = os.path.dirname(str(self._folder))  # noqa: PTH120
        with suppress(FileExistsError):
            os.mkdir(parent, 0o700)  # noqa: PTH102
        found = os.lstat(parent)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"{parent} is not a folder of this user alone")
        with suppress(FileExistsError):
            os.mkdir(str(self._folder), 0o700)  # noqa: PTH102

    def _free_locks(self) -> list[str]:
        found: list[str] = []
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208
            path = f"{self._folder}/{name}"
            if name.startswith(".") or (os.getpid(), path) in _own:
                continue
            with suppress(OSError), open(path, encoding="utf-8") as file:  # noqa: PTH123
                # A shared lock, so that two processes that look at the same time do not take each other for the owner.
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                found.append(name)
                if len(found) == MAX_NAMES:
                    break
        return found
