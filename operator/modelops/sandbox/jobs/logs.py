"""The log of a job: kept in a file, sent from its start to every client, and followed while it grows."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.hub.store import now

STARTED = "===== Job started"
"""Start of the line that the service writes before the job's own lines; SDKs skip it."""


class LogStreams(BaseModel):
    """How logs are streamed: in the normal way, or with failures that the real service has shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_alive: Annotated[float, Field(gt=0)] = 30.0
    """Seconds without a line after which a keep-alive is sent."""
    replays: Annotated[int, Field(ge=1)] = 1
    """How often a new connection receives the earlier lines."""
    silent_after: Annotated[int, Field(ge=0)] | None = None
    """A half-open connection: after this number of events only keep-alives are sent. None: never."""


NORMAL = LogStreams()


class JobLog:
    """The log of one job. Lines are `{"data": text, "timestamp": ISO 8601}`."""

    def __init__(self, file: Path, *, closed: bool = False) -> None:
        self._file = file
        self._closed = closed
        self._changed = asyncio.Event()

    def append(self, *lines: str) -> None:
        """Append lines and notify the followers."""
        timestamp = now()
        with self._file.open("a") as file:
            for line in lines:
                file.write(json.dumps({"data": line, "timestamp": timestamp}) + "\n")
        self._notify()

    def mark_start(self) -> None:
        """Append the service's own line at the start of an attempt."""
        self.append(f"{STARTED} at {now()} =====")

    def close(self) -> None:
        """End the log: no line will follow, and followers end."""
        self._closed = True
        self._notify()

    async def stream(self, *, tail: int | None, settings: LogStreams = NORMAL) -> AsyncIterator[str | None]:
        """Yield the lines from the beginning (or the last `tail`, and the start marks) until the log is closed.

        Yields None, for a keep-alive, after `settings.keep_alive` seconds without a line.
        """
        offset, sent, replays = 0, 0, settings.replays
        while True:
            changed, closed = self._changed, self._closed
            lines, offset = self._read(offset)
            for line in (lines if tail is None else _tail(lines, tail)) * replays:
                while sent == settings.silent_after:
                    await asyncio.sleep(settings.keep_alive)
                    yield None
                yield line
                sent += 1
            tail, replays = None, 1
            if closed:
                return
            try:
                await asyncio.wait_for(changed.wait(), settings.keep_alive)
            except TimeoutError:
                yield None

    def _read(self, offset: int) -> tuple[list[str], int]:
        try:
            with self._file.open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            return [], offset
        complete = content[: content.rfind(b"\n") + 1]
        return complete.decode().splitlines(), offset + len(complete)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _tail(lines: list[str], count: int) -> list[str]:
    marks = [line for line in lines if json.loads(line)["data"].startswith(STARTED)]
    others = deque((line for line in lines if line not in marks), maxlen=count)
    return [*marks, *others]
