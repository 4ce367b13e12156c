"""Checks whether this process reaches the canary's endpoint with its own credentials.

The check starts as soon as a canary appears, also at weight 0, so that no session is sent to an endpoint for
which the agent has no key. It is repeated when a request to the canary fails.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from modelops.router.routing_table import Route

TIMEOUT_SECONDS: Final = 5.0
FIRST_RETRY_SECONDS: Final = 1.0
MAX_RETRY_SECONDS: Final = 15.0
CONFIRM_SECONDS: Final = 2.0
"""A canary that was reached before counts as unreachable once a second check, this much later, fails too."""

_STATUSES: Final = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "RateLimited"}


def endpoint_error(route: Route, environ: Mapping[str, str] = os.environ) -> str | None:
    """Sends `GET {endpoint_url}/models` with the route's key. Returns None for 200, else the class of the error.

    Classes: NoEndpointURL, BadEndpointURL, KeyMissing, Unauthorized, Forbidden, NotFound, RateLimited,
    HTTP<status>, Timeout, ConnectionRefused, NameUnresolved, TLS, Unreachable. Never the key, and never the body.
    """
    from modelops.router.connections import new_connection, request_path

    if not route.endpoint_url:
        return "NoEndpointURL"
    headers = {"Accept": "application/json", "User-Agent": "modelops-router"}
    if route.api_key_env:
        key = environ.get(route.api_key_env)
        if not key:
            return "KeyMissing"
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection = new_connection(route.endpoint_url, timeout=TIMEOUT_SECONDS)
    except ValueError:
        return "BadEndpointURL"
    try:
        connection.request("GET", request_path(route.endpoint_url, "/models"), headers=headers)
        status = connection.getresponse().status
    except Exception as error:  # noqa: BLE001 - every failure of the server is a result of this check
        return _error_class(error)
    finally:
        connection.close()
    return None if status == 200 else _STATUSES.get(status, f"HTTP{status}")


def _error_class(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "Timeout"
    if isinstance(error, ConnectionRefusedError):
        return "ConnectionRefused"
    known = {"gaierror": "NameUnresolved", "SSLError": "TLS", "SSLCertVerificationError": "TLS"}
    return known.get(type(error).__name__, "Unreachable")


class CanaryCheck:
    """Checks the current canary until it is reached, and again when it fails. `run` is the body of a daemon thread."""

    def __init__(self, on_result: Callable[[], None], stopped: threading.Event) -> None:
        self._on_result = on_result
        self._stopped = stopped
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._canary: Route | None = None
        self._result: tuple[bool, str | None] | None = None
        self._doubted = False
        """Whether the last check failed although the canary was reached before."""
        self._checked_at = float("-inf")

    def set_canary(self, canary: Route | None) -> None:
        """Sets the current canary; None for none. A result for the same target is kept."""
        with self._lock:
            same = canary and self._canary and _target(canary) == _target(self._canary)
            self._canary = canary
            if same:
                return
            self._result, self._doubted = None, False
        self._changed.set()

    def check_again(self) -> None:
        """Checks a canary that was reached once more, at most once a second, because a request to it failed."""
        if self.reachable and not self._doubted and monotonic() - self._checked_at >= FIRST_RETRY_SECONDS:
            self._changed.set()

    @property
    def reachable(self) -> bool | None:
        """Whether the canary was reached; None without a canary, and previous the first result."""
        result = self._result
        return result[0] if result else None

    @property
    def error(self) -> str | None:
        """The class of the error of the last check, if it failed."""
        result = self._result
        return result[1] if result else None

    def run(self) -> None:
        """Checks until stopped. While the endpoint is not reached, the checks are repeated after 1 s to 15 s."""
        retry: float | None = None
        while not self._stopped.is_set():
            if self._changed.wait(retry):
                retry = None
            if self._stopped.is_set():
                return
            self._changed.clear()
            retry = self._check(retry)

    def wake(self) -> None:
        """Wakes `run`, so that it notices that it is stopped."""
        self._changed.set()

    def _check(self, last_retry: float | None) -> float | None:
        canary = self._canary
        if canary is None:
            return None
        self._checked_at = monotonic()
        error = endpoint_error(canary)
        with self._lock:
            if self._canary is None or _target(self._canary) != _target(canary):
                return FIRST_RETRY_SECONDS
            if error is not None and self.reachable and not self._doubted:
                self._doubted = True
                return CONFIRM_SECONDS
            self._doubted = False
            previous, self._result = self._result, (error is None, error)
        if previous != self._result:
            self._on_result()
        if error is None:
            return None
        return min(MAX_RETRY_SECONDS, last_retry * 2 if last_retry else FIRST_RETRY_SECONDS)


def _target(route: Route) -> tuple[str | None, ...]:
    return route.endpoint_url, route.api_key_env, route.served_model
