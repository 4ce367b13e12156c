"""The mounted agents.yaml. The kubelet replaces a symlink in its path, so the file itself is never modified."""

from __future__ import annotations

import os
from collections.abc import Iterable

_Stamp = tuple[int, int, int, int]


class MountedFile:
    """Reads a file again when its path leads to a new file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._stamp: _Stamp | None = None

    def never_changes(self) -> bool:
        """Whether the file is a mount point itself (`subPath`), so that the kubelet never replaces it.

        False where there is no Linux mount table.
        """
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:  # noqa: PTH123
                return is_mount_point(os.path.abspath(self.path), table)  # noqa: PTH100
        except OSError:
            return False

    def read_if_changed(self) -> str | None:
        """The text; None where the file is unchanged since the last call. Raises OSError, UnicodeDecodeError."""
        found = os.stat(self.path)  # noqa: PTH116 - pathlib costs 3 ms of import in every agent
        stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return None
        with open(self.path, encoding="utf-8", newline="") as file:  # noqa: PTH123
            text = file.read()
        self._stamp = stamp
        return text


def is_mount_point(path: str, mount_table: Iterable[str]) -> bool:
    """Whether a line of /proc/self/mountinfo (man 5 proc) has this path as its mount point."""
    escaped = path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    return any(escaped == line.split(" ", 5)[4] for line in mount_table)
