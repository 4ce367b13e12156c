"""Reports to the operator: what this process uses and what came of it.

A POST every 5 s, at once after a change, within a second after the canary failed, and at the interpreter's exit.
The counters are cumulative, so a report that is lost is made good by the next one and nothing is queued.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelops.router.connections import connection_to, path_of

if TYPE_CHECKING:
    from http.client import HTTPConnection

REPORT_SECONDS: Final = 5.0
ALARM_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 2.0
EXIT_SECONDS: Final = 1.0
"""How long an exit waits for the last report, of all reporters together."""

_reporting: Final[weakref.WeakKeyDictionary[threading.Thread, Reporter]] = weakref.WeakKeyDictionary()


def report_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """`MODELOPS_REPORT_TOKEN`, else what `MODELOPS_REPORT_TOKEN_FILE` holds now (projected tokens rotate)."""
    path = environ.get("MODELOPS_REPORT_TOKEN_FILE")
    if environ.get("MODELOPS_REPORT_TOKEN") or not path:
        return environ.get("MODELOPS_REPORT_TOKEN")
    return Path(path).read_text().strip()


class Reporter:
    """Sends what `report` returns. `run` is the body of a daemon thread."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        report: Callable[[], dict[str, Any]],
        stopped: threading.Event,
    ) -> None:
        self.sent = 0
        self.failed = 0
        self.last_problem: str | None = None
        self._url = url
        self._token = token
        self._report = report
        self._stopped = stopped
        self._due = threading.Event()
        self._alarmed = False
        self._failures_in_a_row = 0
        self._reported_at = float("-inf")
        self._connection: HTTPConnection | None = None

    def soon(self) -> None:
        """Something changed: report at once."""
        self._due.set()

    def alarm(self) -> None:
        """The canary failed a request: report at once, but not more often than every second."""
        self._alarmed = True
        if monotonic() - self._reported_at >= ALARM_SECONDS:
            self._due.set()

    def end(self) -> None:
        """Lets `run` send a last report and return."""
        self._stopped.set()
        self._due.set()

    def run(self) -> None:
        """Reports until stopped, and once more then."""
        while not self._stopped.is_set():
            self._due.clear()
            self._alarmed = False
            self._reported_at = monotonic()
            seconds = REPORT_SECONDS if self._send() else self._retry_seconds()
            # An alarm of the first second is not due before the second is over.
            if not self._due.wait(min(seconds, ALARM_SECONDS)) and not self._alarmed:
                self._due.wait(max(0.0, seconds - ALARM_SECONDS))
        self._send()
        self._disconnect()

    def _retry_seconds(self) -> float:
        return min(REPORT_SECONDS, RETRY_SECONDS * self._failures_in_a_row)

    def _send(self) -> bool:
        fresh = self._connection is None
        problem = self._post()
        if problem and not fresh:
            problem = self._post()
        self.last_problem = problem
        if problem:
            self.failed += 1
            self._failures_in_a_row += 1
            return False
        self.sent += 1
        self._failures_in_a_row = 0
        return True

    def _post(self) -> str | None:
        """None where the operator took it; else what went wrong, without the token."""
        try:
            if self._connection is None:
                self._connection = connection_to(self._url, timeout=TIMEOUT_SECONDS)
            body = json.dumps(self._report(), separators=(",", ":"), allow_nan=False).encode()
            self._connection.request("POST", path_of(self._url), body=body, headers=self._headers())
            response = self._connection.getresponse()
            response.read(64 * 1024)
            if response.will_close or not response.isclosed():
                self._disconnect()
            return None if response.status < 300 else f"HTTP {response.status}"
        except Exception as error:  # noqa: BLE001 - a report must never end the thread or reach a request
            self._disconnect()
            return type(error).__name__

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "modelops-router"}
        token = self._token or report_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def report_at_exit(reporter: Reporter, thread: threading.Thread) -> None:
    """What `reporter` has to say is not lost where the process ends without closing its router."""
    _reporting[thread] = reporter


@atexit.register
def _report() -> None:
    deadline = monotonic() + EXIT_SECONDS
    alive = [(thread, reporter) for thread, reporter in _reporting.items() if thread.is_alive()]
    for _, reporter in alive:
        reporter.end()
    for thread, _ in alive:
        thread.join(max(0.0, deadline - monotonic()))
