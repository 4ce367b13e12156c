"""Waits until the API server serves a CRD that was just applied."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_NO_CONDITIONS_YET = "accessor error"
"""What kubectl 1.36 says and ends with, where the API server has not yet written the first condition of a new CRD."""


def wait_until_established(kubectl: Sequence[str | Path], *what: str | Path, seconds: float = 30) -> None:
    """Waits until every CRD is established. `kubectl`: the command with its options; `what`: its further arguments.

    Raises:
        TimeoutError: a CRD is not established after `seconds`, or kubectl failed; the message is kubectl's.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = max(1.0, deadline - time.monotonic())
        command = [*kubectl, "wait", "--for=condition=Established", f"--timeout={left:.0f}s", *what]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
        if _NO_CONDITIONS_YET not in done.stderr or time.monotonic() >= deadline:
            raise TimeoutError(f"kubectl wait for {' '.join(map(str, what))}: {done.stderr.strip()}")
        time.sleep(0.1)
