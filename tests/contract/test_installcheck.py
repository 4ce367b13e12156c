"""What `helm test` says of an operator that is not ready yet, or never. tests/cluster has the rights and the objects."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler

import pytest
from tests.loopback_server import serving

from modelops.runtime.installcheck import main, readiness_problems

MISSING = b'{"ready": false, "phase": "starting", "missing": ["CRDs"]}'


def readyz(*statuses: int) -> type[BaseHTTPRequestHandler]:
    """Answers with each status once, and with the last one from then on."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()
            self.wfile.write(MISSING)

    return Handler


async def test_an_operator_that_becomes_ready_is_waited_for() -> None:
    with serving(readyz(503, 200)) as url:
        started = time.monotonic()
        assert await readiness_problems(url, seconds=60) == []
        assert time.monotonic() - started < 60


async def test_an_operator_that_stays_unready_is_reported_with_what_it_waits_for() -> None:
    with serving(readyz(503)) as url:
        (problem,) = await readiness_problems(url, seconds=0.5)
    assert problem == f"the operator is not ready: {url} answers 503: {MISSING.decode()}"


@pytest.mark.parametrize("arguments", [[], ["everything"], ["operator", "objects"]])
def test_wrong_usage_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m modelops.runtime.installcheck operator|objects" in capsys.readouterr().err
