"""Lines on disk that are found again by their place: what a program has made and does not keep in memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class Spool:
    """A new file, readable by its owner only, of lines that end with a newline. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._end = 0
        self._written = True

    def add(self, line: bytes) -> int:
        """Append; returns the place to ask for."""
        if not self._written:
            self._file.seek(0, os.SEEK_END)
            self._written = True
        place = self._end
        self._file.write(line)
        self._end += len(line)
        return place

    def line(self, place: int) -> bytes:
        """The line that begins there."""
        self._file.seek(place)
        self._written = False
        return self._file.readline()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
