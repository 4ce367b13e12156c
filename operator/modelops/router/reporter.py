"""Reports to the operator: the models that this process uses, and the outcomes of its requests.

A report is posted every 5 s, at once after a change, within a second after the canary failed a request, and at
the interpreter's exit. The counters are cumulative, so the next report replaces a lost one and nothing is queued.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelops.router.connections import new_connection, request_path

if TYPE_CHECKING:
    from http.client import HTTPConnection

REPORT_SECONDS: Final = 5.0
CANARY_FAILURE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 2.0
EXIT_SECONDS: Final = 1.0
"""How long an exit waits for the last reports of all reporters together."""

_reporters: Final[weakref.WeakKeyDictionary[threading.Thread, Reporter]] = weakref.WeakKeyDictionary()


def report_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """`MODELOPS_REPORT_TOKEN`, else the current content of `MODELOPS_REPORT_TOKEN_FILE` (projected tokens rotate)."""
    path = environ.get("MODELOPS_REPORT_TOKEN_FILE")
    if environ.get("MODELOPS_REPORT_TOKEN") or not path:
        return environ.get("MODELOPS_REPORT_TOKEN")
    return Path(path).read_text().strip()


class Reporter:
    """Sends the body that `report` returns. `run` is the body of a daemon thread."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        report: Callable[[], dict[str, Any]],
        on_answer: Callable[[Any], None] = lambda _: None,
        on_sent: Callable[[], None] = lambda: None,
        stopped: threading.Event,
    ) -> None:
        self.sent = 0
        self.failed = 0
        self.last_problem: str | None = None
        self._url = url
        self._token = token
        self._report = report
        self._on_answer = on_answer
        self._on_sent = on_sent
        self._stopped = stopped
        self._wake = threading.Event()
        self._canary_failed = False
        self._failures_in_a_row = 0
        self._reported_at = float("-inf")
        self._connection: HTTPConnection | None = None

    def report_soon(self) -> None:
        """Sends a report at once, because something changed."""
        self._wake.set()

    def report_canary_failure(self) -> None:
        """Sends a report at once, but at most one per second, because the canary failed a request."""
        self._canary_failed = True
        if monotonic() - self._reported_at >= CANARY_FAILURE_SECONDS:
            self._wake.set()

    def stop(self) -> None:
        """Makes `run` send a last report and return."""
        self._stopped.set()
        self._wake.set()

    def run(self) -> None:
        """Reports until stopped, and then once more."""
        while not self._stopped.is_set():
            self._wake.clear()
            self._canary_failed = False
            self._reported_at = monotonic()
            seconds = REPORT_SECONDS if self._send() else self._retry_seconds()
            # A canary failure within a second of the last report waits until that second is over.
            if not self._wake.wait(min(seconds, CANARY_FAILURE_SECONDS)) and not self._canary_failed:
                self._wake.wait(max(0.0, seconds - CANARY_FAILURE_SECONDS))
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
        self._on_sent()
        return True

    def _post(self) -> str | None:
        """Posts one report. Returns None if the operator accepted it, else the problem, without the token."""
        try:
            if self._connection is None:
                self._connection = new_connection(self._url, timeout=TIMEOUT_SECONDS)
            body = json.dumps(self._report(), separators=(",", ":"), allow_nan=False).encode()
            self._connection.request("POST", request_path(self._url), body=body, headers=self._headers())
            response = self._connection.getresponse()
            answer = response.read(64 * 1024)
            if response.will_close or not response.isclosed():
                self._disconnect()
            if response.status == 200:
                self._take(answer)
            return None if response.status < 300 else f"HTTP {response.status}"
        except Exception as error:  # noqa: BLE001 - a failed report must not end the thread
            self._disconnect()
            return type(error).__name__

    def _take(self, answer: bytes) -> None:
        """Hands on what the operator answered; an answer of another form says nothing."""
        with suppress(ValueError):
            said = json.loads(answer)
            if isinstance(said, dict):
                self._on_answer(said.get("sessionLimits"))

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
    """Sends a last report at exit, for a process that ends without closing its router."""
    _reporters[thread] = reporter


@atexit.register
def _send_last_reports() -> None:
    deadline = monotonic() + EXIT_SECONDS
    alive = [(thread, reporter) for thread, reporter in _reporters.items() if thread.is_alive()]
    for _, reporter in alive:
        reporter.stop()
    for thread, _ in alive:
        thread.join(max(0.0, deadline - monotonic()))
