"""Processes that the demo starts: each with a log, none of which outlives it unless it is told to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import modelops.sandbox.jobs

_SHIELD = Path(modelops.sandbox.jobs.__file__).with_name("shield.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "XDG_CACHE_HOME")
_PATIENCE_SECONDS = 12.0


@dataclass(frozen=True)
class Child:
    """A running process; `log` has everything that it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        said = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line[:400] for line in said[-lines:])

    def kill(self) -> None:
        """SIGKILL: no time for last words. Returns when it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen. Returns when it is gone."""
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE_SECONDS)
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
) -> Child:
    """`python -m module`, with no more of our environment than a program needs.

    Call it from the main thread: without `outlive` the process is killed when the thread that started it
    ends.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    if not outlive:
        command = [sys.executable, "-I", "-S", str(_SHIELD), str(os.getpid()), *command]
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
    return Child(name, process, log)
