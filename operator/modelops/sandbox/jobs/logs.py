"""What a job has said: kept in a file, replayed to everybody who asks, and followed while it grows."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.hub.store import now

STARTED = "===== Job started"
"""Begins the line that the service itself puts before the job's own; SDKs drop it."""


class LogStreams(BaseModel):
    """How logs are streamed: as the service does it, or as it was seen to fail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_alive: Annotated[float, Field(gt=0)] = 30.0
    """Seconds without a line until a keep-alive is sent."""
    replays: Annotated[int, Field(ge=1)] = 1
    """How often a connection is told what was said before it."""
    silent_after: Annotated[int, Field(ge=0)] | None = None
    """Half-open: after so many events a connection stays, and only keep-alives come."""


USUAL = LogStreams()


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

    async def stream(self, *, tail: int | None, as_asked: LogStreams = USUAL) -> AsyncIterator[str | None]:
        """The events from the beginning (or the last `tail`, with the start marks), until the log is closed.

        None, a keep-alive, comes after a while without a line.
        """
        offset, sent, replays = 0, 0, as_asked.replays
        while True:
            grown, closed = self._grown, self._closed
            lines, offset = self._read(offset)
            for line in (lines if tail is None else _last(lines, tail)) * replays:
                while sent == as_asked.silent_after:
                    await asyncio.sleep(as_asked.keep_alive)
                    yield None
                yield line
                sent += 1
            tail, replays = None, 1
            if closed:
                return
            try:
                await asyncio.wait_for(grown.wait(), as_asked.keep_alive)
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
