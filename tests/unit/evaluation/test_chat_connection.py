"""What a service may do with a connection: each is one failed call, and the key stays with the service."""

from __future__ import annotations

import asyncio
import json
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest
from tests.loopback_server import serving
from tests.unit.evaluation.asked import request

from modelops.evaluation import chat_connection
from modelops.evaluation.model_client import ModelClient
from modelops.evaluation.reply import Reply
from modelops.evaluation.request import Arm


class Service(BaseHTTPRequestHandler):
    """Says "good" to all; a test sets the body, or where it redirects to."""

    protocol_version = "HTTP/1.1"
    body = json.dumps({"choices": [{"message": {"content": "good"}}]}).encode()
    redirect = ""
    connections: ClassVar[set[int]] = set()
    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.connections.add(self.client_address[1])
        self.keys.append(self.headers["Authorization"])
        self.send_response(307 if self.redirect else 200)
        if self.redirect:
            self.send_header("Location", self.redirect)
        self.send_header("Content-Length", "0" if self.redirect else str(len(self.body)))
        self.end_headers()
        self.wfile.write(b"" if self.redirect else self.body)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-key")
    Service.connections.clear()
    Service.keys.clear()


def ask(url: str, *, times: int = 1) -> list[Reply]:
    async def call() -> list[Reply]:
        arm = Arm(model="m", base_url=f"{url}/v1", api_key_env="KEY", version="v1.0.0")
        client = ModelClient("baseline", arm, prompt=request().prompt)
        try:
            return [await client.ask([{"role": "user", "content": "x"}]) for _ in range(times)]
        finally:
            await client.close()

    return asyncio.run(call())


def test_calls_use_one_connection_again() -> None:
    with serving(Service) as url:
        assert [reply.text for reply in ask(url, times=3)] == ["good"] * 3
    assert len(Service.connections) == 1


def test_an_answer_without_an_end_in_sight_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_connection, "MOST_BYTES", 10_000)
    monkeypatch.setattr(Service, "body", b" " * 200_000)
    with serving(Service) as url:
        assert ask(url)[0].error == "an answer of more bytes than any model writes"


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"9" * 10_000, b"\xff"])
def test_an_answer_that_cannot_be_read_is_one_failed_call(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(Service, "body", body)
    with serving(Service) as url:
        assert ask(url)[0].error == "an answer that is no JSON"


def test_a_service_that_is_not_there_is_said() -> None:
    with serving(Service) as url:
        pass
    assert (ask(url)[0].error or "").startswith("no connection: Connect call failed")


def test_the_key_is_not_sent_to_another_service() -> None:
    class Other(Service):
        redirect = ""

    with serving(Other) as elsewhere:
        moved = type("Moved", (Service,), {"redirect": f"{elsewhere}/v1/chat/completions"})
        with serving(moved) as url:
            assert ask(url)[0].text == "good"
    assert Service.keys == ["Bearer sk-key", None]
