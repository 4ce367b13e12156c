"""An agents.yaml that is mounted as by the kubelet, and a loopback server that records its requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.loopback_server import serving
from tests.patience import deadline_after, patient

SALT = "7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11"


def eventually(condition: Callable[[], Any], *, within: float = 5.0) -> Any:
    """The first true result of `condition`; fails after `within` seconds."""
    deadline = deadline_after(within)
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true within {patient(within):.0f} s"
        threading.Event().wait(0.01)
    return found


def agents_yaml(
    *,
    weight: int | None = None,
    generation: int = 1,
    salt: str = SALT,
    state: str = "Progressing",
    endpoint_url: str = "http://127.0.0.1:1/v1",
    until: str = "2099-01-01T00:00:00Z",
    key_env: str = "ROUTER_TEST_KEY",
) -> str:
    """An agents.yaml with the agent `docs`, and with a canary if there is a weight."""
    text = "agents:\n  docs:\n    model: org/base\n    endpoint: huggingface\n    version: v1.0.0\n"
    if weight is None:
        return text
    return text + (
        f"    routing:\n      generation: {generation}\n      salt: {salt}\n"
        f"      rollout: {{uid: {salt}, step: 1, state: {state}}}\n      canary_until: {until}\n"
        f"      canary: {{weight: {weight}, model: org/tuned, served_model: tuned, endpoint: huggingface, "
        f"endpoint_url: '{endpoint_url}', api_key_env: {key_env}, version: v1.1.0-rc.1}}\n"
    )


class Mount:
    """`agents.yaml -> ..data/agents.yaml`, `..data -> <revision>`; replaced by a rename, as by the kubelet."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "agents.yaml"
        self._folder = folder
        self._revision = 0

    def write(self, text: str) -> None:
        """Writes a new revision of the volume."""
        self._revision += 1
        revision = self._folder / f"..rev{self._revision}"
        revision.mkdir()
        (revision / "agents.yaml").write_text(text)
        (self._folder / "..tmp").symlink_to(revision.name)
        (self._folder / "..tmp").rename(self._folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/agents.yaml")


class Recorder:
    """Answers with `status` and records the requests: (method, path, authorization, JSON body)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.answer: dict[str, Any] = {}
        self.requests: list[tuple[str, str, str | None, Any]] = []

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The bodies of the POSTs."""
        return [body for method, _, _, body in self.requests if method == "POST"]


@contextmanager
def recording() -> Iterator[Recorder]:
    """A server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _record(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found.requests.append((self.command, self.path, self.headers.get("Authorization"), body))
            self.send_response(found.status)
            content = json.dumps(found.answer).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _record  # noqa: N815 - http.server's names

    with serving(Handler) as url:
        found = Recorder(url)
        yield found
