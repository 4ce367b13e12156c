"""Processes that the demo starts. Each has a log file, and none outlives the demo unless `outlive` is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelops.sandbox.jobs

_DIE_WITH_PARENT = Path(modelops.sandbox.jobs.__file__).with_name("die_with_parent.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "XDG_CACHE_HOME")
_STOP_SECONDS = 12.0
_READY_SECONDS = 40.0


class EnvironmentFailedError(RuntimeError):
    """A program did not start, or has ended. The message has the last lines of its log."""


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

    def describe_end(self) -> str:
        """Say with which code it ended, and how its log ends."""
        return (
            f"{self.name} ended with code {self.popen.returncode}; {self.log} ends with:\n{self.log_tail()}"
        )

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


def wait_until_leading(operator: DemoProcess, *, port: int, check: Callable[[], None]) -> None:
    """Wait until the operator leads and its caches are synced. `check` raises what ends the wait.

    Raises:
        EnvironmentFailedError: it does not lead within 40 s.
    """
    deadline = time.monotonic() + _READY_SECONDS
    url = f"http://127.0.0.1:{port}/readyz"
    answer: Any = "no answer"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        check()
        try:
            with opener.open(url, timeout=2) as response:
                answer = json.load(response)
            if answer["phase"] == "leading":
                return
        except (OSError, ValueError) as error:
            answer = error
        time.sleep(0.05)
    raise EnvironmentFailedError(
        f"the operator did not become the leader within {_READY_SECONDS:.0f} s ({answer}); "
        f"{operator.log} ends with:\n{operator.log_tail()}"
    )
