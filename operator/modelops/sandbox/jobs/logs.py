"""What a job has said: kept in a file, replayed to everybody who asks, and followed while it grows."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from modelops.sandbox.hub.store import now

STARTED = "===== Job started"
"""Begins the line that the service itself puts before the job's own; SDKs drop it."""


class JobLog:
    """The log of one job. Lines are `{"data": text, "timestamp": ISO 8601}`."""

    def __init__(self, file: Path, *, closed: bool = False) -> None:
        self._file = file
        self._closed = closed
        self._grown = asyncio.Event()

    def append(self, *lines: str) -> None:
        """Adds lines and wakes the followers."""
        timestamp = now()
        with self._file.open("a") as file:
            for line in lines:
                file.write(json.dumps({"data": line, "timestamp": timestamp}) + "\n")
        self._wake()

    def mark_start(self) -> None:
        """Adds the service's own line."""
        self.append(f"{STARTED} at {now()} =====")

    def close(self) -> None:
        """No line will follow; followers end."""
        self._closed = True
        self._wake()

    async def stream(self, *, tail: int | None, keep_alive: float) -> AsyncIterator[str | None]:
        """The events from the beginning (or the last `tail`, with the start marks), until the log is closed.

        None comes after `keep_alive` seconds without a line.
        """
        offset = 0
        while True:
            grown, closed = self._grown, self._closed
            lines, offset = self._read(offset)
            for line in lines if tail is None else _last(lines, tail):
                yield line
            tail = None
            if closed:
                return
            try:
                await asyncio.wait_for(grown.wait(), keep_alive)
            except TimeoutError:
                yield None

    def _read(self, offset: int) -> tuple[list[str], int]:
        try:
            with self._file.open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            return [], offset
        whole = content[: content.rfind(b"\n") + 1]
        return whole.decode().splitlines(), offset + len(whole)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _last(lines: list[str], count: int) -> list[str]:
    marks = [line for line in lines if json.loads(line)["data"].startswith(STARTED)]
    others = deque((line for line in lines if line not in marks), maxlen=count)
    return [*marks, *others]
