"""One process of the docs agent: it asks its model for docstrings until it is stopped.

`python -m modelops.demo.agent NAME --tasks FILE --status FILE --watch FILE [--rate 8] [--agent docs]`

It does what a team's own agent would do: for each conversation it asks `modelops.router` for a route, calls the model
there, and lets the router count the requests. It also writes a status file, which the demo displays.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelops.router import Request, Route, Router, WatchConfig

SYSTEM = "You write the first paragraph of a Python docstring. Answer with that paragraph only."
WORKERS = 4
REQUESTS_PER_CONVERSATION = 6
TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.02
_WRITE_SECONDS = 0.2


class Agent:
    """Worker threads that hold conversations, and the status that they write."""

    def __init__(
        self, name: str, *, router: Router, tasks: Sequence[str], rate: float, most: float = math.inf
    ) -> None:
        """`rate`: requests per second of all workers together. `tasks`: user messages to pick from.

        `most`: the number of requests after which it sends none.
        """
        self._name = name
        self._router = router
        self._tasks = tasks
        self._pause = WORKERS / rate
        self._left = most
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._requests: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._changes: list[dict[str, Any]] = []
        self._stable = ""
        self._last_canary = 0.0
        self._first_error = 0.0

    def run(self, status: Path) -> None:
        """Run until stopped; write the status file after every routing change and five times a second."""
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        known, written = None, 0.0
        while not self._stopped.wait(_POLL_SECONDS):
            state, now = self._router.state(), time.time()
            current = (state.generation, state.weight)
            if current != known:
                known = current
                change = {"t": now, "generation": state.generation, "weight": state.weight}
                self._changes = [*self._changes[-19:], change]
                written = 0.0
            if now - written >= _WRITE_SECONDS:
                written = now
                self._write(status)
        self._router.close()

    def stop(self) -> None:
        """Make `run` return."""
        self._stopped.set()

    def _work(self) -> None:
        connections: dict[str, HTTPConnection] = {}
        while not self._stopped.is_set():
            conversation = f"{self._name}-{uuid.uuid4().hex[:12]}"
            for _ in range(REQUESTS_PER_CONVERSATION):
                if self._stopped.wait(self._pause * random.uniform(0.7, 1.3)) or not self._may_send():
                    return
                self._send_request(conversation, random.choice(self._tasks), connections)

    def _may_send(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _send_request(self, conversation: str, task: str, connections: dict[str, HTTPConnection]) -> None:
        with self._router.request(conversation) as request:
            started = time.time()
            request.ok = _complete(request, task, connections)
        self._count(request.route, ok=request.ok, started=started)

    def _count(self, route: Route, *, ok: bool, started: float) -> None:
        with self._lock:
            counts = self._requests[route.version or route.model]
            counts[0] += 1
            counts[1] += not ok
            if route.track == "canary":
                self._last_canary = max(self._last_canary, started)
                if not ok and not self._first_error:
                    self._first_error = time.time()
            else:
                self._stable = route.version or route.model

    def _write(self, file: Path) -> None:
        state = self._router.state()
        with self._lock:
            status = {
                "name": self._name,
                "pid": os.getpid(),
                "t": time.time(),
                "stable": self._stable,
                "weight": state.weight,
                "generation": state.generation,
                "reachable": state.canary_reachable,
                "watching": state.watch_live,
                "requests": {version: counts[0] for version, counts in self._requests.items()},
                "errors": {version: counts[1] for version, counts in self._requests.items()},
                "changes": self._changes,
                "lastCanary": self._last_canary,
                "firstError": self._first_error,
            }
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(status))
        fresh.replace(file)


def _complete(request: Request, task: str, connections: dict[str, HTTPConnection]) -> bool:
    """Send one chat completion to the request's route. Returns whether the model answered."""
    route = request.route
    url = urlsplit(route.endpoint_url or "")
    body = {
        "model": route.served_model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}],
        "max_tokens": 256,
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {os.environ.get(route.api_key_env or '', '')}",
    }
    connection = connections.get(url.netloc)
    if connection is None:
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = connections[url.netloc] = kind(url.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", f"{url.path}/chat/completions", json.dumps(body).encode(), headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, HTTPException):
        connection.close()
        return False
    if response.status != 200:
        return False
    usage: Mapping[str, Any] = json.loads(content).get("usage") or {}
    request.tokens = int(usage.get("total_tokens", 0))
    request.cost_micro_usd = round(float(usage.get("cost") or 0) * 1_000_000)
    return True


def main() -> None:
    """Run until SIGTERM or SIGINT. API keys and MODELOPS_REPORT_URL are read from the environment."""
    parser = argparse.ArgumentParser(prog="python -m modelops.demo.agent", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--tasks", type=Path, required=True, help="JSON list of user messages")
    parser.add_argument("--status", type=Path, required=True, help="file to write the agent's status to")
    parser.add_argument("--watch", type=Path, required=True, help="JSON of a modelops.router.WatchConfig")
    parser.add_argument("--rate", type=float, default=8.0, help="requests per second")
    parser.add_argument("--agent", default="docs", help="its key in agents.yaml")
    parser.add_argument("--most", type=float, default=math.inf, help="requests after which it sends none")
    arguments = parser.parse_args()
    watch = WatchConfig(**json.loads(arguments.watch.read_text()))
    router = Router(arguments.agent, watch=watch)
    router.wait_ready(60.0)
    agent = Agent(
        arguments.name,
        router=router,
        tasks=json.loads(arguments.tasks.read_text()),
        rate=arguments.rate,
        most=arguments.most,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.run(arguments.status)


if __name__ == "__main__":
    main()
