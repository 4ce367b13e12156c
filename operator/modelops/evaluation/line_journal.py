"""A file of JSON lines that a program continues after it was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self


class LineJournal:
    """A context manager. `keep` gets each line on disk and its offset in bytes; an incomplete last line, left by a
    crash, is dropped."""

    def __init__(self, path: Path, keep: Callable[[dict[str, Any], int], None]) -> None:
        self._path = path
        self._keep = keep
        self._end = 0

    def __enter__(self) -> Self:
        self._file = self._opened()
        self._load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, document: dict[str, Any]) -> int:
        """Add a line to the disk; returns its offset."""
        line = _line(document)
        self._file.write(line)
        self._file.flush()
        offset = self._end
        self._end += len(line)
        return offset

    def replace(self, documents: Iterable[dict[str, Any]]) -> None:
        """Have these lines instead, and keep them anew. A crash leaves the earlier ones or these."""
        new = self._path.with_name(f".{self._path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(map(_line, documents))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._file.close()
        self._file = self._opened()
        self._load()

    def _load(self) -> None:
        """Keep each line, and continue after the last whole one."""
        self._end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            self._keep(json.loads(line), self._end)
            self._end += len(line)
        self._file.truncate(self._end)
        self._file.seek(0, os.SEEK_END)

    def _opened(self) -> BinaryIO:
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode() + b"\n"
