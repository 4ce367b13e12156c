"""Faulty answers of an API server to a watch."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.router.loopback import agents_yaml, eventually

from modelops.router import Router, WatchConfig
from modelops.router import api_watch as api_watch_module

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_watch_module, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(api_watch_module, "MAX_BACKOFF_SECONDS", 0.05)


class Script:
    """A server: lists `text` at version 10 and answers the n-th watch with `watches[n]`; later ones hang."""

    def __init__(self, *watches: Answer, text: str) -> None:
        self.text = text
        self.lists = 0
        self.versions: list[str] = []
        self.closed = threading.Event()
        self._watches = list(watches)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        assert query["fieldSelector"] == ["metadata.name=agents"]
        if "watch" not in query:
            self.lists += 1
            send(handler, {"metadata": {"resourceVersion": "10"}, "items": [configmap(self.text, "9")]})
            return
        assert query["allowWatchBookmarks"] == ["true"]
        self.versions.append(query["resourceVersion"][0])
        if self._watches:
            self._watches.pop(0)(handler)
        else:
            begin(handler)
            self.closed.wait(20)


def configmap(text: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": "agents", "resourceVersion": version}, "data": {"agents.yaml": text}}


def send(handler: BaseHTTPRequestHandler, body: object, status: int = 200) -> None:
    content = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def begin(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()


def events(*found: tuple[str, dict[str, Any]]) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin(handler)
        for kind, thing in found:
            handler.wfile.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")

    return answer


def raw(content: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin(handler)
        handler.wfile.write(content)

    return answer


def refusal(status: int) -> Answer:
    return lambda handler: send(handler, {"kind": "Status"}, status)


@contextmanager
def watching(script: Script) -> Iterator[Router]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.answer(self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True).start()
    config = WatchConfig(f"http://127.0.0.1:{server.server_port}", "ns", "agents")
    try:
        with Router("docs", watch=config) as router:
            yield router
    finally:
        script.closed.set()
        server.shutdown()
        server.server_close()


GONE = ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
BOOKMARK = ("BOOKMARK", {"metadata": {"resourceVersion": "42"}})


@pytest.mark.parametrize(
    "fault", [pytest.param(events(GONE), id="an event"), pytest.param(refusal(410), id="the answer")]
)
def test_a_version_that_is_too_old_lists_again(fault: Answer) -> None:
    script = Script(fault, text=agents_yaml(weight=100))
    with watching(script) as router:
        eventually(lambda: script.lists == 2 and len(script.versions) == 2)
        assert router.state().watch_live


def test_after_a_lost_connection_the_watch_resumes_from_the_last_bookmark_without_a_list() -> None:
    script = Script(events(BOOKMARK), text=agents_yaml())
    with watching(script):
        eventually(lambda: script.versions == ["10", "42"])
    assert script.lists == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refusal(429), id="429"),
        pytest.param(refusal(500), id="500"),
        pytest.param(raw(b"<html>\n"), id="no JSON"),
        pytest.param(raw(b'{"type": "MODIFIED"}\n'), id="no object"),
        pytest.param(raw(b"[]\n"), id="a list"),
        pytest.param(events(("ERROR", {"code": 500, "reason": "InternalError"})), id="an error event"),
        pytest.param(raw(b""), id="the end at once"),
    ],
)
def test_a_faulty_watch_is_lost_backs_off_and_recovers(fault: Answer) -> None:
    script = Script(fault, fault, fault, text=agents_yaml(weight=100))
    with watching(script) as router:
        eventually(lambda: len(script.versions) == 4 and router.state().watch_live)
        assert router.state().watch_losses >= 1
        assert router.pick("any").track == "canary"


def test_a_malformed_object_keeps_the_last_valid_configuration() -> None:
    broken = ("MODIFIED", configmap("agents: [", "11"))
    script = Script(events(broken, BOOKMARK), text=agents_yaml(weight=100))
    with watching(script) as router:
        eventually(lambda: router.state().config_errors)
        assert router.pick("any").track == "canary"
        assert router.state().watch_live
