"""A small HTTP server on loopback, for answers that the sandbox does not give."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDLESS_SECONDS = 20.0
"""How long an answer without an end is sent where the client stays: longer than a test waits."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answers requests by the handler, which logs nothing; yields the address."""
    quiet = type(handler.__name__, (handler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Sends white space until the client is gone."""
    until = time.monotonic() + ENDLESS_SECONDS
    while time.monotonic() < until:
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.05)


class EndlessAnswer(BaseHTTPRequestHandler):
    """Sends white space until the client is gone, as OpenRouter does while it waits for a provider.

    A path that begins with a number, such as /503/x, is answered with that status.
    """

    def do_GET(self) -> None:
        first = self.path.split("/")[1]
        self.send_response(int(first) if first.isdecimal() else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        drip(self)

    def do_POST(self) -> None:
        self.do_GET()
