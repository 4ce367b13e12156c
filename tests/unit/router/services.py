"""Two services of models on loopback, stable and canary, whose answers a test writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback_server import serving

SALT = "7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11"
DONE = "data: [DONE]\n\n"
Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


def body(content: str | None = "Hello", finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A whole answer."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.000012}
    found = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    return {**found, **more}


def event(content: str | None = None, finish: str | None = None, **more: Any) -> str:
    """A chunk of a stream."""
    delta = {"role": "assistant"} if content is None else {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps({**chunk, **more})}\n\n"


USAGE = event(
    choices=[], usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.00001}
)


def whole(content: Any = None, status: int = 200) -> Answer:
    """Answers with a JSON body."""

    def send(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        text = json.dumps(body() if content is None else content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return send


def stream(*events: str, then: Callable[[], object] = lambda: None) -> Answer:
    """Answers with events; `then` is called before the connection is closed."""

    def send(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for text in events:
            handler.wfile.write(text.encode())
            handler.wfile.flush()
        then()

    return send


def hang_up(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True


class Service:
    """`answer` is how it answers; `asked` is what it was asked: (path, authorization, JSON body)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Answer = whole()
        self.asked: list[tuple[str, str | None, Any]] = []


@contextmanager
def service() -> Iterator[Service]:
    """A service on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append((self.path, self.headers.get("Authorization"), asked))
            try:
                found.answer(self, asked)
            except OSError:
                self.close_connection = True

        def do_GET(self) -> None:
            whole({"object": "list", "data": []})(self, {})

    with serving(Handler) as url:
        found = Service(f"{url}/v1")
        yield found


def entry(stable: Service, canary: Service, *, weight: int = 100) -> str:
    """An agents.yaml in which sessions go to the canary by the weight."""
    return (
        f"agents:\n  docs:\n    model: org/base\n    version: v1.0.0\n    endpoint_url: {stable.url}\n"
        "    api_key_env: STABLE_KEY\n"
        f"    routing:\n      generation: 1\n      salt: {SALT}\n"
        f"      rollout: {{uid: {SALT}, step: 1, state: Progressing}}\n"
        f"      canary: {{weight: {weight}, model: org/tuned, served_model: tuned, version: v1.1.0-rc.1, "
        f"endpoint_url: '{canary.url}', api_key_env: CANARY_KEY}}\n"
    )


class Gate:
    """Holds a service until the test opens it, or some seconds have passed."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        """Lets the service go on."""
        self._opened.set()

    def wait(self) -> None:
        """Waits for `open`."""
        self._opened.wait(10)
