"""`ports.Programs` as local processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from modelops.adapters.programs.folder import ProgramFolder
from modelops.adapters.programs.process import AlreadyRunning, end, is_running, spawn
from modelops.ports import Json, ProgramState

INHERITED: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""What a program gets of the operator's own environment; everything else is given to it by name."""
LOCKS: Final = 64
"""Shared by all names, so that they do not become more with every program that ever was."""


class LocalPrograms:
    """Each program has `<state_dir>/programs/<name>`; `ended` is called in the event loop with the name.

    A process that a former operator started is found by its folder; nobody is told of its end then, so ask.
    Secrets are in the processes' environment and in this object, never on disk or on a command line.
    At most `most` run at a time: a further start does nothing, and is asked for again at the next look.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        python: str = sys.executable,
        ended: Callable[[str], None] | None = None,
        most: int = 4,
    ) -> None:
        self._programs = state_dir / "programs"
        self._python = python
        self._ended = ended
        self._most = most
        self._children: set[str] = set()
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    async def observe(self, name: str) -> ProgramState | None:
        """A program that died three times in a row without progress has failed; before that, start it."""
        return await asyncio.to_thread(self._observe, name)

    async def start(self, name: str, module: str, given: Json, environment: Mapping[str, str]) -> None:
        """Does nothing where it runs or has a result. Raises Refused where the folder has another input."""
        if name not in self._children and len(self._children) >= self._most:
            return
        self._children.add(name)
        process = None
        try:
            process = await asyncio.to_thread(self._start, name, module, given, environment)
        finally:
            if process is None:
                self._children.discard(name)
        if process is not None:
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=self._wait, args=(name, process, loop), name=f"wait-{name}", daemon=True
            ).start()

    async def retry(self, name: str) -> None:
        """Does nothing where there is no result, or one that is not transient."""
        await asyncio.to_thread(self._retry, name)

    async def stop(self, name: str) -> None:
        """Takes up to six seconds where the program does not go by itself."""
        await asyncio.to_thread(self._stop, name)

    def _observe(self, name: str) -> ProgramState | None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCKS]:
            if not folder.exists:
                return None
            folder.bound_log()
            running = is_running(folder.path)
            if not running and folder.result is None:
                folder.count_death(*self._secrets.get(name, ()))
            # A result counts when the process is gone: nothing of it changes any more.
            return ProgramState(
                running=running, progress=folder.progress, result=None if running else folder.result
            )

    def _start(
        self, name: str, module: str, given: Json, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCKS]:
            folder.give(given)
            self._secrets[name] = tuple(value for value in environment.values() if len(value) >= 8)
            if not is_running(folder.path) and folder.result is None:
                folder.count_death(*self._secrets[name])
            if folder.result is not None:
                return None
            inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
            own = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
            command = [self._python, "-m", module, str(folder.path)]
            try:
                return spawn(folder.path, command, {**inherited, **own, **environment})
            except AlreadyRunning:
                return None

    def _retry(self, name: str) -> None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCKS]:
            result = folder.result if folder.exists and not is_running(folder.path) else None
            if result is not None and not result["ok"] and result.get("transient"):
                folder.forget_result()

    def _stop(self, name: str) -> None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCKS]:
            if folder.path.is_dir():
                end(folder.path)
                folder.remove()
            self._secrets.pop(name, None)

    def _wait(self, name: str, process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> None:
        """Leaves no zombie, and tells of the end at once."""
        process.wait()
        self._children.discard(name)
        if self._ended is not None:
            with suppress(RuntimeError):  # The loop is closed: the operator ends.
                loop.call_soon_threadsafe(self._ended, name)
