"""A file of lines that are read again by their offset: rendered examples that are not kept in memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType


class LineFile:
    """A new file, readable by its owner only, of lines that end with a newline. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._end = 0
        self._at_end = True

    def append(self, line: bytes) -> int:
        """Append a line; returns its offset in bytes, for `read_line`."""
        if not self._at_end:
            self._file.seek(0, os.SEEK_END)
            self._at_end = True
        offset = self._end
        self._file.write(line)
        self._end += len(line)
        return offset

    def read_line(self, offset: int) -> bytes:
        """The line that begins at this offset."""
        self._file.seek(offset)
        self._at_end = False
        return self._file.readline()

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
