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
from types import MappingProxyType
from typing import Final

from modelops.adapters.programs.folder import ProgramFolder
from modelops.adapters.programs.process import AlreadyRunning, is_running, spawn, terminate
from modelops.ports import Json, ProgramOwner, ProgramSecret, ProgramState
from modelops.workdir import disk_full_result, is_disk_full

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
"""Variables that a program inherits from the operator. All others are set explicitly at its start."""
LOCK_COUNT: Final = 64
"""A fixed number, so that it does not grow with every program; a name is mapped to a lock by its hash."""


class LocalPrograms:
    """`ports.Programs`. The folder of a program is `<state_dir>/programs/<name>`.

    `on_ended` is called in the event loop with the name of a program that ended. It is not called for a process
    that an earlier operator started: such a process is found by its folder, so `observe` it from time to time.
    Secrets are in the processes' environment and in this object, never on disk or on a command line. At most
    `max_running` programs run at a time; a further `start` does nothing, and the next reconcile repeats it.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        python: str = sys.executable,
        on_ended: Callable[[str], None] | None = None,
        max_running: int = 4,
    ) -> None:
        self._programs = state_dir / "programs"
        self._python = python
        self._on_ended = on_ended
        self._max_running = max_running
        self._children: set[str] = set()
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._without_space: set[str] = set()
        self._locks = tuple(threading.Lock() for _ in range(LOCK_COUNT))

    async def observe(self, name: str) -> ProgramState | None:
        """The program's state. After three crashes in a row without progress its result is a failure."""
        return await asyncio.to_thread(self._observe, name)

    async def start(
        self,
        name: str,
        module: str,
        program_input: Json,
        environment: Mapping[str, str],
        *,
        secrets: Mapping[str, ProgramSecret] = MappingProxyType({}),
        owner: ProgramOwner | None = None,  # noqa: ARG002 - a process needs no owner
    ) -> None:
        """Starts the program unless it runs or has a result. Raises Refused where its folder has another input."""
        environment = {**environment, **{variable: secret.value for variable, secret in secrets.items()}}
        if name not in self._children and len(self._children) >= self._max_running:
            return
        self._children.add(name)
        process = None
        try:
            process = await asyncio.to_thread(self._start, name, module, program_input, environment)
        finally:
            if process is None:
                self._children.discard(name)
        if process is not None:
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=self._wait, args=(name, process, loop), name=f"wait-{name}", daemon=True
            ).start()

    async def retry(self, name: str) -> None:
        """Discards a transient result. Does nothing without a result, or if the result is not transient."""
        await asyncio.to_thread(self._retry, name)

    async def stop(self, name: str) -> None:
        """Ends the program and removes its folder. Takes up to six seconds for a program that ignores SIGTERM."""
        await asyncio.to_thread(self._stop, name)

    def _observe(self, name: str) -> ProgramState | None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCK_COUNT]:
            if name in self._without_space:
                return ProgramState(result=disk_full_result(folder.path))
            if not folder.exists:
                return None
            running = is_running(folder.path)
            try:
                folder.truncate_log()
                if not running and folder.result is None:
                    folder.record_crash(*self._secrets.get(name, ()))
            except OSError as error:
                self._note_full_disk(name, error)
                return ProgramState(
                    running=running, result=None if running else disk_full_result(folder.path)
                )
            # A result counts only when the process has ended, because it may still change before.
            return ProgramState(
                running=running, progress=folder.progress, result=None if running else folder.result
            )

    def _note_full_disk(self, name: str, error: OSError) -> None:
        """Remembers until the next retry that there was no space for the program. Raises every other error."""
        if not is_disk_full(error):
            raise error
        self._without_space.add(name)

    def _start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCK_COUNT]:
            self._secrets[name] = tuple(value for value in environment.values() if len(value) >= 8)
            inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
            own = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
            command = [self._python, "-m", module, str(folder.path)]
            try:
                folder.write_input(program_input)
                if not is_running(folder.path) and folder.result is None:
                    folder.record_crash(*self._secrets[name])
                if folder.result is not None:
                    return None
                return spawn(folder.path, command, {**inherited, **own, **environment})
            except AlreadyRunning:
                return None
            except OSError as error:
                self._note_full_disk(name, error)
                return None

    def _retry(self, name: str) -> None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCK_COUNT]:
            self._without_space.discard(name)
            result = folder.result if folder.exists and not is_running(folder.path) else None
            if result is not None and not result["ok"] and result.get("transient"):
                folder.discard_result()

    def _stop(self, name: str) -> None:
        folder = ProgramFolder.of(self._programs, name)
        with self._locks[hash(name) % LOCK_COUNT]:
            if folder.path.is_dir():
                terminate(folder.path)
                folder.remove()
            self._secrets.pop(name, None)
            self._without_space.discard(name)

    def _wait(self, name: str, process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> None:
        """Waits for the process, so that it leaves no zombie, and calls `on_ended`."""
        process.wait()
        self._children.discard(name)
        if self._on_ended is not None:
            with suppress(RuntimeError):  # The loop is closed, because the operator stops.
                loop.call_soon_threadsafe(self._on_ended, name)
