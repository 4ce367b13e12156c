"""A watch of the ConfigMap that contains agents.yaml, on the standard library.

It needs `get`, `list` and `watch` on that ConfigMap (a Role with `resourceNames`). It lists the ConfigMap and
then watches it from the list's resourceVersion, with bookmarks. After a 410 it lists again; after other errors
it waits with exponential backoff and jitter. A dead connection is detected by TCP keep-alive in about 20 s, and
by a read timeout that is slightly longer than the requested length of the watch.
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

from modelops.router.connections import new_connection, request_path
from modelops.router.watch_config import WatchConfig

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

CONNECT_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 60
SILENCE_SECONDS: Final = WATCH_SECONDS + 10.0
FIRST_BACKOFF_SECONDS: Final = 0.1
MAX_BACKOFF_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 10.0
"""After a watch of this length the count of failures starts at zero again."""

_MAX_LINE_BYTES: Final = 8 * 1024 * 1024


class WatchListener(Protocol):
    """The callbacks of the watch. They are called only from the watch's thread."""

    def on_watch_text(self, text: str | None) -> None:
        """The API server sent the key's text; None where the ConfigMap or the key does not exist."""

    def on_watch_lost(self, problem: str) -> None:
        """The watch failed. `problem` is a message for people, without secrets."""


class WatchError(Exception):
    """The API server sent neither a list nor a watch."""


class _Expired(Exception):
    """HTTP 410: the resourceVersion is too old; list again."""


class ApiWatch:
    """Watches the ConfigMap and calls a listener. `run` is the body of a daemon thread; `close` ends it."""

    def __init__(self, config: WatchConfig, listener: WatchListener, stopped: threading.Event) -> None:
        self._config = config
        self._listener = listener
        self._stopped = stopped
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._version: str | None = None
        self._failures = 0

    def run(self) -> None:
        """Watches until stopped. After a lost connection the watch resumes at once from its last version."""
        while not self._stopped.is_set():
            begun = time.monotonic()
            try:
                if self._version is None:
                    self._version = self._list()
                self._watch(self._version)
                continue
            except _Expired:
                self._version = None
                problem = "the resourceVersion is too old"
            except Exception as error:  # noqa: BLE001 - no answer of the server may end the thread
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
        self._listener.on_watch_lost(f"the watch of ConfigMap {self._name} failed: {problem}")
        longest = min(FIRST_BACKOFF_SECONDS * 2 ** min(self._failures, 20), MAX_BACKOFF_SECONDS)
        self._stopped.wait(random.uniform(longest / 2, longest))

    def close(self) -> None:
        """Interrupts the current read, so that the thread notices that it is stopped."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def _name(self) -> str:
        return f"{self._config.namespace}/{self._config.name}"

    def _list(self) -> str:
        answer = json.load(self._get({}, timeout=CONNECT_SECONDS))
        items = answer.get("items") or []
        self._notify(items[0] if items else None)
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        """Handles events until the server ends the watch regularly."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(WATCH_SECONDS * 3 // 4, WATCH_SECONDS)),
        }
        begun = time.monotonic()
        response = self._get(query, timeout=SILENCE_SECONDS)
        while not self._stopped.is_set():
            line = response.readline(_MAX_LINE_BYTES)
            if line:
                self._handle_event(json.loads(line))
            elif time.monotonic() - begun < 1.0:
                raise WatchError("the server ended the watch within a second")
            else:
                return

    def _handle_event(self, event: Mapping[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            if item.get("code") == 410:
                raise _Expired
            raise WatchError(f"{item.get('code')} {item.get('reason')}")
        if event["type"] in ("ADDED", "MODIFIED"):
            self._notify(item)
        elif event["type"] == "DELETED":
            self._notify(None)
        self._version = str(item["metadata"]["resourceVersion"])
        self._failures = 0

    def _notify(self, configmap: Mapping[str, Any] | None) -> None:
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
        path = request_path(config.url, f"/api/v1/namespaces/{quote(config.namespace)}/configmaps")
        path = f"{path}?{urlencode(selector)}"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status == 410:
            raise _Expired
        if response.status != 200:
            raise WatchError(f"HTTP {response.status} {response.reason}")
        if self._socket is not None:
            self._socket.settimeout(timeout)
        return response

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            url, ca_file = self._config.url, self._config.ca_file
            self._connection = new_connection(url, timeout=CONNECT_SECONDS, ca_file=ca_file)
            self._connection.connect()
            self._socket = self._connection.sock
            _keep_alive(self._socket)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _keep_alive(sock: socket.socket) -> None:
    """Detects a dead peer: after 10 s of silence, two probes 5 s apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
