"""JSON lines on disk, each read when it is used, so that memory does not grow with the texts in them."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any

Place = tuple[int, int]
"""Where a line begins, and its length with the newline, in bytes."""


class StoredLines:
    """The lines of a file, by their places. The line that was read last stays in memory, since one is used for several
    of its fields. The file may grow meanwhile; it is closed with the last user of this object."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._last: tuple[Place, Any] = ((-1, 0), None)

    def read(self, place: Place) -> Any:
        """The document in this line."""
        at, document = self._last
        if at == place:
            return document
        document = json.loads(os.pread(self._file, place[1], place[0]))
        self._last = (place, document)
        return document
