"""A file of JSON lines that a program continues after it was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self


class LineJournal:
    """A context manager. `keep` gets each line on disk; an incomplete last line, left by a crash, is dropped."""

    def __init__(self, path: Path, keep: Callable[[dict[str, Any]], None]) -> None:
        self._path = path
        self._keep = keep

    def __enter__(self) -> Self:
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._keep(json.loads(line))
        self._file = self._opened()
        self._file.truncate(len(whole))
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, document: dict[str, Any]) -> None:
        """Add a line to the disk."""
        self._file.write(_line(document))
        self._file.flush()

    def replace(self, documents: Iterable[dict[str, Any]]) -> None:
        """Have these lines instead. A crash leaves the earlier ones or these."""
        new = self._path.with_name(f".{self._path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(map(_line, documents))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._file.close()
        self._file = self._opened()
        self._file.seek(0, os.SEEK_END)

    def _opened(self) -> BinaryIO:
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode() + b"\n"
