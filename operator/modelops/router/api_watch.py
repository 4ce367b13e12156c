"""A watch of the one ConfigMap that holds agents.yaml, on the standard library.

Needs `get`, `list` and `watch` on that ConfigMap (a Role with `resourceNames`). List, then watch from its
resourceVersion with bookmarks; a 410 lists again; everything else backs off with jitter. A dead connection is
noticed by TCP keep-alive in about 20 s, and by a read timeout just above the length that the server was asked
to end the watch after.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from modelops.router.connections import connection_to, path_of
from modelops.router.watch_config import WatchConfig

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

CONNECT_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 60
SILENCE_SECONDS: Final = WATCH_SECONDS + 10.0
FIRST_BACKOFF_SECONDS: Final = 0.1
LONGEST_BACKOFF_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 10.0
"""A watch that lasted longer than this was a good one: its loss is the first failure again."""

_LONGEST_LINE: Final = 8 * 1024 * 1024


class WatchListener(Protocol):
    """Who wants to know. Called from the watch's thread only."""

    def on_watch_text(self, text: str | None) -> None:
        """The key's text; None where the ConfigMap or the key does not exist."""

    def on_watch_lost(self, problem: str) -> None:
        """The API does not answer; `problem` is for people and holds no secret."""


class WatchProblem(Exception):
    """The API server answered with something other than the list or the watch."""


class _Gone(Exception):
    """The resourceVersion is too old: list again."""


class ApiWatch:
    """Keeps a listener told. `run` is the body of a daemon thread; `close` ends it."""

    def __init__(self, config: WatchConfig, listener: WatchListener, stopped: threading.Event) -> None:
        self._config = config
        self._listener = listener
        self._stopped = stopped
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._version: str | None = None
        self._failures = 0

    def run(self) -> None:
        """Watches until stopped. A cut connection is taken up again at once, from where it was."""
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                if self._version is None:
                    self._version = self._list()
                self._watch(self._version)
                continue
            except _Gone:
                self._version = None
                problem = "the resourceVersion is too old"
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the server sends
                problem = f"{type(error).__name__}: {error}"
            finally:
                self._disconnect()
            if time.monotonic() - begun > SETTLED_SECONDS:
                self._failures = 0
            self._back_off(problem)

    def _back_off(self, problem: str) -> None:
        self._failures += 1
        if self._failures == 1 or self._stopped.is_set():
            return
        self._version = None
        self._listener.on_watch_lost(f"watch of ConfigMap {self._name} failed: {problem}")
        longest = min(FIRST_BACKOFF_SECONDS * 2 ** min(self._failures, 20), LONGEST_BACKOFF_SECONDS)
        self._stopped.wait(random.uniform(longest / 2, longest))

    def close(self) -> None:
        """Interrupts a read that is under way; the thread then sees that it is stopped."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def _name(self) -> str:
        return f"{self._config.namespace}/{self._config.name}"

    def _list(self) -> str:
        answer = json.load(self._get({}, timeout=CONNECT_SECONDS))
        items = answer.get("items") or []
        self._tell(items[0] if items else None)
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        """Follows the events until the server ends the watch in order."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(WATCH_SECONDS * 3 // 4, WATCH_SECONDS)),
        }
        begun = time.monotonic()
        response = self._get(query, timeout=SILENCE_SECONDS)
        while not self._stopped.is_set():
            line = response.readline(_LONGEST_LINE)
            if line:
                self._event(json.loads(line))
            elif time.monotonic() - begun < 1.0:
                raise WatchProblem("the server ended the watch at once")
            else:
                return

    def _event(self, event: Mapping[str, Any]) -> None:
        found = event["object"]
        if event["type"] == "ERROR":
            if found.get("code") == 410:
                raise _Gone
            raise WatchProblem(f"{found.get('code')} {found.get('reason')}")
        if event["type"] in ("ADDED", "MODIFIED"):
            self._tell(found)
        elif event["type"] == "DELETED":
            self._tell(None)
        self._version = str(found["metadata"]["resourceVersion"])
        self._failures = 0

    def _tell(self, configmap: Mapping[str, Any] | None) -> None:
        if configmap is None:
            self._listener.on_watch_text(None)
        else:
            self._listener.on_watch_text((configmap.get("data") or {}).get(self._config.key))

    def _get(self, query: Mapping[str, str], *, timeout: float) -> HTTPResponse:
        config = self._config
        connection = self._connect()
        headers = {"Accept": "application/json", "User-Agent": "modelops-router"}
        token = Path(config.token_file).read_text().strip() if config.token_file else config.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        selector = {"fieldSelector": f"metadata.name={config.name}", **query}
        path = path_of(config.url, f"/api/v1/namespaces/{quote(config.namespace)}/configmaps")
        path = f"{path}?{urlencode(selector)}"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status == 410:
            raise _Gone
        if response.status != 200:
            raise WatchProblem(f"HTTP {response.status} {response.reason}")
        if self._socket is not None:
            self._socket.settimeout(timeout)
        return response

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            url, ca_file = self._config.url, self._config.ca_file
            self._connection = connection_to(url, timeout=CONNECT_SECONDS, ca_file=ca_file)
            self._connection.connect()
            self._socket = self._connection.sock
            _keep_alive(self._socket)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _keep_alive(sock: socket.socket) -> None:
    """Notice a peer that is gone without a word: 10 s of silence, then two probes 5 s apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
