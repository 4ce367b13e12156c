"""An end by the clock for each request to LangSmith: its connection, its tries with their pauses, and its whole answer.

The timeouts of `requests` are those of one read. A service, or a proxy before it, that sends a byte now and then would
hold the caller for ever. Imported only where the SDK is needed, because it imports `requests`.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from weakref import ref

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from modelops.service_calls import CALLS, OK, REFUSED, UNAVAILABLE
from modelops.trainers.hub_client import TookTooLong, bounded

API = "langsmith"
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_SENT_AT_ONCE = 1024 * 1024
"""Bytes of a request's body in one write, as in the SDK's own adapter (langsmith/client.py, `_BLOCKSIZE_BYTES`)."""


class AnswerTookTooLong(requests.ReadTimeout):
    """The answer was not complete after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no complete answer within {seconds:g} s")
        self.seconds = seconds


class BoundedAdapter(HTTPAdapter):
    """Each request ends after `seconds`, and is counted with its tries.

    Raises AnswerTookTooLong, and then hangs up, so that nothing reads on.
    """

    def __init__(self, *, retries: Retry, seconds: float) -> None:
        self._seconds = seconds
        super().__init__(max_retries=retries)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, blocksize=_SENT_AT_ONCE, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        def ask() -> requests.Response:
            answer = super(BoundedAdapter, self).send(request, *args, **options)
            _ = answer.content  # It stays in the answer. Otherwise the caller would read it, without an end.
            return answer

        try:
            answer = bounded(ask, seconds=self._seconds)
        except TookTooLong:
            CALLS.add(API, UNAVAILABLE)
            self._hang_up()
            raise AnswerTookTooLong(self._seconds) from None
        except requests.RequestException:
            CALLS.add(API, UNAVAILABLE, failed_before=self.max_retries.total or 0)
            raise
        tries = getattr(answer.raw, "retries", None)
        CALLS.add(API, _outcome(answer.status_code), failed_before=len(tries.history) if tries else 0)
        return answer

    def _hang_up(self) -> None:
        """Ends the abandoned request: its read fails, and it finds no connection for a further try."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it has no __iter__
                _shut_down(manager.pools.get(key))
            manager.clear()


class _Used:
    """Remembers the connections and the answers of a pool, so that they can be ended from another thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.used: tuple[ref[Any], ...] = ()
        super().__init__(*args, **options)

    def _make_request(self, connection: Any, *args: Any, **options: Any) -> Any:
        self._remember(connection)
        answer = super()._make_request(connection, *args, **options)  # type: ignore[misc]
        self._remember(answer)  # A connection that the service will close has given its socket to the answer.
        return answer

    def _remember(self, one: Any) -> None:
        self.used = (*(known for known in self.used if known() not in (None, one)), ref(one))


class _HttpPool(_Used, HTTPConnectionPool):  # type: ignore[misc]
    """Over plain HTTP, as on loopback."""


class _HttpsPool(_Used, HTTPSConnectionPool):  # type: ignore[misc]
    """Over TLS."""


_POOLS: dict[str, type] = {"http": _HttpPool, "https": _HttpsPool}


def _outcome(status: int) -> str:
    if status < 400:
        return OK
    return UNAVAILABLE if status in RETRIED_STATUSES else REFUSED


def _shut_down(pool: Any) -> None:
    """Lets the reads from the pool's sockets, which other threads wait for, end at once."""
    for one in (known() for known in getattr(pool, "used", ())):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # It has ended by itself.
            if isinstance(one, HTTPConnection) and one.sock is not None:
                one.sock.shutdown(socket.SHUT_RDWR)
            elif isinstance(one, BaseHTTPResponse):
                one.shutdown()
