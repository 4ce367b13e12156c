"""The mounted agents.yaml. The kubelet replaces a symlink in its path, so the file itself is never modified."""

from __future__ import annotations

import os

_Stamp = tuple[int, int, int, int]


class MountedFile:
    """Reads a file again when its path leads to a new file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._stamp: _Stamp | None = None

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
