"""What `helm test` says of an operator that is not ready yet, or never. tests/cluster has the rights and the objects."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler

import pytest
from tests.loopback_server import serving

from modelops.ports import Unavailable
from modelops.runtime.installcheck import lasting_problems, main, readiness_problems

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


async def test_rights_that_the_api_server_does_not_know_yet_are_asked_for_again() -> None:
    answers: list[list[str] | Unavailable] = [Unavailable("no route to host"), ["Rollout: forbidden"], []]

    async def ask() -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    assert await lasting_problems(ask, seconds=60) == []
    assert not answers


@pytest.mark.parametrize("refusal", [["Rollout: forbidden"], Unavailable("no route to host")])
async def test_a_problem_that_lasts_is_reported(refusal: list[str] | Unavailable) -> None:
    async def ask() -> list[str]:
        if isinstance(refusal, Unavailable):
            raise refusal
        return refusal

    expected = [str(refusal)] if isinstance(refusal, Unavailable) else refusal
    assert await lasting_problems(ask, seconds=0.1) == expected


@pytest.mark.parametrize("arguments", [[], ["everything"], ["operator", "objects"]])
def test_wrong_usage_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m modelops.runtime.installcheck operator|objects" in capsys.readouterr().err
