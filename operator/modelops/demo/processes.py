"""Processes that the demo starts. Each has a log file, and none outlives the demo unless `outlive` is set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import modelops.sandbox.jobs

_DIE_WITH_PARENT = Path(modelops.sandbox.jobs.__file__).with_name("die_with_parent.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "XDG_CACHE_HOME")
_STOP_SECONDS = 12.0


@dataclass(frozen=True)
class DemoProcess:
    """A started process. `log`: the file with its output."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def ended(self) -> bool:
        return self.popen.poll() is not None

    def log_tail(self, lines: int = 8) -> str:
        """Return the last lines of its log, each cut at 400 characters."""
        log = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line[:400] for line in log[-lines:])

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL if it still runs after 12 s; wait until the process has ended."""
        self.popen.terminate()
        try:
            self.popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def start(
    name: str,
    module: str,
    arguments: Sequence[str | Path] = (),
    *,
    environment: Mapping[str, str],
    log: Path,
    outlive: bool,
) -> DemoProcess:
    """Start `python -m module` with `environment` and a few variables of this process, such as PATH.

    Call it from the main thread: without `outlive`, the process is killed when the thread that started it ends.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    if not outlive:
        command = [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()), *command]
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**inherited, "PYTHONUNBUFFERED": "1", **environment},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return DemoProcess(name, process, log)
