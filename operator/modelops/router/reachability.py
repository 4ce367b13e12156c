"""Does this process, with its own credentials, reach the canary's endpoint?

Asked as soon as a canary appears, also at weight 0, so that no session is sent to an endpoint that an agent
has no key for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Final

from modelops.router.table import Route

TIMEOUT_SECONDS: Final = 5.0
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 15.0

_STATUSES: Final = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "RateLimited"}


def reach(route: Route, environ: Mapping[str, str] = os.environ) -> str | None:
    """`GET {endpoint_url}/models` with the route's own key: None where it answers 200, else a class of error.

    Classes: NoEndpointURL, BadEndpointURL, KeyMissing, Unauthorized, Forbidden, NotFound, RateLimited,
    HTTP<status>, Timeout, ConnectionRefused, NameUnresolved, TLS, Unreachable. Never the key, never the body.
    """
    from modelops.router.connections import connection_to, path_of

    if not route.endpoint_url:
        return "NoEndpointURL"
    headers = {"Accept": "application/json", "User-Agent": "modelops-router"}
    if route.api_key_env:
        key = environ.get(route.api_key_env)
        if not key:
            return "KeyMissing"
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection = connection_to(route.endpoint_url, timeout=TIMEOUT_SECONDS)
    except ValueError:
        return "BadEndpointURL"
    try:
        connection.request("GET", path_of(route.endpoint_url, "/models"), headers=headers)
        status = connection.getresponse().status
    except Exception as error:  # noqa: BLE001 - whatever a server does is an answer to this question
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
    """Checks the canary in force until it is reached. `run` is the body of a daemon thread."""

    def __init__(self, on_result: Callable[[], None], stopped: threading.Event) -> None:
        self._on_result = on_result
        self._stopped = stopped
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._canary: Route | None = None
        self._result: tuple[bool, str | None] | None = None

    def look_at(self, canary: Route | None) -> None:
        """The canary in force; None for none. What was found out about the same target stays true."""
        with self._lock:
            same = canary and self._canary and _target(canary) == _target(self._canary)
            self._canary = canary
            if same:
                return
            self._result = None
        self._changed.set()

    @property
    def reachable(self) -> bool | None:
        """Whether the canary was reached; None without a canary or an answer yet."""
        result = self._result
        return result[0] if result else None

    @property
    def error(self) -> str | None:
        """The class of error of the last try, where it failed."""
        result = self._result
        return result[1] if result else None

    def run(self) -> None:
        """Checks until stopped; again after 1 s, up to 15 s, while the endpoint is not reached."""
        retry: float | None = None
        while not self._stopped.is_set():
            if self._changed.wait(retry):
                retry = None
            if self._stopped.is_set():
                return
            self._changed.clear()
            retry = self._check(retry)

    def wake(self) -> None:
        """Makes `run` look at `stopped`."""
        self._changed.set()

    def _check(self, last_retry: float | None) -> float | None:
        canary = self._canary
        if canary is None:
            return None
        error = reach(canary)
        with self._lock:
            if self._canary is None or _target(self._canary) != _target(canary):
                return FIRST_RETRY_SECONDS
            before, self._result = self._result, (error is None, error)
        if before != self._result:
            self._on_result()
        if error is None:
            return None
        return min(LONGEST_RETRY_SECONDS, last_retry * 2 if last_retry else FIRST_RETRY_SECONDS)


def _target(route: Route) -> tuple[str | None, ...]:
    return route.endpoint_url, route.api_key_env, route.served_model
