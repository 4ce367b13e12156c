"""Waits for a server until it is ready, has ended, or its time is up."""

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from modelops.localcluster.errors import ClusterError

_LAST_LINES = 20


def wait_until(ready: Callable[[], bool], *, server: str, directory: Path, seconds: float) -> None:
    """Return when `ready()` is true. Raise ClusterError with the last log lines if `server` ends or is late."""
    deadline = time.monotonic() + seconds
    while not ready():
        ended = directory / f"{server}.exit"
        if ended.exists():
            raise ClusterError(
                f"{server} ended with exit code {ended.read_text().strip()}\n{_log_tail(directory, server)}"
            )
        if time.monotonic() > deadline:
            raise ClusterError(f"{server} is not ready after {seconds:.0f} s\n{_log_tail(directory, server)}")
        time.sleep(0.05)


def responds_ok(port: int, path: str, *, ca_file: Path | None = None, token: str | None = None) -> bool:
    """Whether a GET on loopback returns 200. With `ca_file` over TLS, verified against that file."""
    try:
        if ca_file is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        else:
            trust = ssl.create_default_context(cafile=str(ca_file))
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trust)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def _log_tail(directory: Path, server: str) -> str:
    log = directory / f"{server}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"last lines of {log}:", *(f"  {line}" for line in lines[-_LAST_LINES:])])
