"""The guide's example of a stream: only a stream that the model ended counts as an answer."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from tests.unit.docs.pages import ROOT, blocks
from tests.unit.router.loopback import Mount

from modelops.router import Router

GUIDE = ROOT / "docs" / "guides" / "agents.md"


def event(content: str = "", finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps({**chunk, **more})}\n\n"


USAGE = event(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
DONE = "data: [DONE]\n\n"
ERROR = event(finish="error", error={"code": "server_error", "message": "the provider disconnected"})


@pytest.fixture
def server() -> Iterator[list[str]]:
    """Streams the events of the list that is returned; its first entry becomes the server's address."""
    events: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write("".join(events[1:]).encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    events.append(f"http://127.0.0.1:{found.server_port}/v1")
    threading.Thread(target=lambda: found.serve_forever(poll_interval=0.02), daemon=True).start()
    yield events
    found.shutdown()
    found.server_close()


@pytest.fixture
def agent(server: list[str], mount: Mount, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The guide's functions, run as they are written."""
    mount.write(
        f"agents:\n  docs:\n    model: m\n    endpoint_url: {server[0]}\n    api_key_env: ROUTER_TEST_KEY\n"
    )
    monkeypatch.setenv("ROUTER_TEST_KEY", "key")
    monkeypatch.setenv("MODELOPS_AGENTS_FILE", str(mount.file))
    given: dict[str, Any] = {"os": os}
    for block in blocks(GUIDE):
        if block.test == "python":
            exec(compile(block.text, str(GUIDE), "exec"), given)
    yield given
    given["router"].close()


def counted(router: Router) -> tuple[int, int, int]:
    """Requests, errors and tokens of stable."""
    found = router._counters.as_report()["tracks"]["stable"]
    return found["requests"], found["errors"], found["tokens"]


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([event("Hello"), event(finish="stop"), USAGE, DONE], (1, 0, 3)),
        ([event("Hello"), event(finish="length"), DONE], (1, 0, 0)),
        ([event("Hello"), DONE], (1, 1, 0)),
        ([event("Hello")], (1, 1, 0)),
        ([DONE], (1, 1, 0)),
        ([event("Hello"), event(finish="error"), DONE], (1, 1, 0)),
    ],
    ids=["whole", "without usage", "no finish reason", "cut off", "empty", "finish reason error"],
)
def test_a_stream_is_an_answer_only_if_the_model_ended_it(
    agent: dict[str, Any], server: list[str], events: list[str], outcome: tuple[int, int, int]
) -> None:
    server += events
    list(agent["stream_answer"]("thread", []))
    assert counted(agent["router"]) == outcome


def test_an_error_event_in_a_stream_is_an_error(agent: dict[str, Any], server: list[str]) -> None:
    server += [event("Hello"), ERROR, DONE]
    with pytest.raises(openai.APIError, match="disconnected"):
        list(agent["stream_answer"]("thread", []))
    assert counted(agent["router"]) == (1, 1, 0)


def test_a_reader_that_leaves_a_stream_is_no_error(agent: dict[str, Any], server: list[str]) -> None:
    server += [event("Hello"), event(" you"), event(finish="stop"), DONE]
    reading = agent["stream_answer"]("thread", [])
    assert next(reading) == "Hello"
    reading.close()
    assert counted(agent["router"]) == (0, 0, 0)
