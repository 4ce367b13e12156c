"""Agents that use the real router and send real requests to the models that it picks."""

from __future__ import annotations

import itertools
import json
import os
import threading
from contextlib import suppress
from http.client import HTTPException

from modelops.localcluster import LocalCluster
from modelops.router import Request, Router, WatchConfig
from modelops.router.connections import new_connection, request_path

QUESTION = {"messages": [{"role": "user", "content": "def add(a, b):\n    return a + b"}]}


class Agents:
    """`count` instances of the agent `docs`, as threads: each has its own router and sends `rate` requests a second."""

    def __init__(
        self, cluster: LocalCluster, namespace: str, *, report_url: str, token: str, count: int, rate: float
    ) -> None:
        watch = WatchConfig(
            url=cluster.url,
            namespace=namespace,
            name="agents",
            ca_file=str(cluster.ca_file),
            token=cluster.token,
        )
        self.routers = [
            Router("docs", file=None, watch=watch, report_url=report_url, report_token=token)
            for _ in range(count)
        ]
        self._pause = 1 / rate
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_requests, args=(r,), daemon=True) for r in self.routers
        ]
        for thread in self._threads:
            thread.start()

    def weights(self) -> set[int]:
        """The weights that the routers use."""
        return {router.state().weight for router in self.routers}

    def models(self, sessions: int = 200) -> set[str]:
        """The models that the routers pick now for a sample of sessions."""
        return {r.pick(f"looking-{n}").model for r in self.routers for n in range(sessions)}

    def close(self) -> None:
        """Stops the requests and closes the routers."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)
        for router in self.routers:
            router.close()

    def die(self) -> None:
        """Ends as killed processes do: without a last report."""
        for router in self.routers:
            assert router._reporter is not None
            router._reporter._post = lambda: "killed"  # type: ignore[method-assign]
        self.close()

    def _send_requests(self, router: Router) -> None:
        for number in itertools.count():
            if self._stopped.wait(self._pause):
                break
            with suppress(LookupError, OSError, HTTPException):
                router.call(f"session-{number // 2}", ask_model)


def ask_model(request: Request) -> None:
    """Sends one question to the model that the router picked; any status but 200 counts as an error."""
    route = request.route
    connection = new_connection(route.endpoint_url or "", timeout=5)
    key = os.environ.get(route.api_key_env or "", "")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    body = json.dumps({**QUESTION, "model": route.served_model})
    try:
        connection.request("POST", request_path(route.endpoint_url or "", "/chat/completions"), body, headers)
        response = connection.getresponse()
        response.read()
        request.ok = response.status == 200
    finally:
        connection.close()
