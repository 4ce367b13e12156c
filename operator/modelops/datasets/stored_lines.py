"""JSON lines on disk, each read when it is used, so that memory does not grow with the texts in them."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any

_AT_ONCE = 16 * 1024
"""Bytes that are read at once: most lines are shorter."""


class StoredLines:
    """The lines of a file, by their offsets in bytes. The line that was read last stays in memory, since one is used
    for several of its fields. The file may grow meanwhile; it is closed with the last user of this object."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._last: tuple[int, Any] = (-1, None)

    def read(self, offset: int) -> Any:
        """The document in the line that begins there."""
        at, document = self._last
        if at == offset:
            return document
        document = json.loads(self._line(offset))
        self._last = (offset, document)
        return document

    def _line(self, offset: int) -> bytes:
        parts: list[bytes] = []
        while part := os.pread(self._file, _AT_ONCE, offset + len(parts) * _AT_ONCE):
            line, newline, _ = part.partition(b"\n")
            parts.append(line)
            if newline:
                break
        return b"".join(parts)
