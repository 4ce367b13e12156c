"""The one number of an answer of Prometheus, or a sentence that says why there is none."""

from __future__ import annotations

import json
import math
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.loopback_server import EndlessAnswer, serving

from modelops.adapters.prometheus import PrometheusMetrics
from modelops.adapters.prometheus.result import number_of
from modelops.ports import PrometheusQuestion, Refused, Unavailable


def body(kind: str, result: Any, **more: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def series(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [1765357200.0, value]}


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (body("scalar", [1, "0.25"]), 0.25),
        (body("vector", [series("3e-05", job="a")]), 3e-05),
        (body("vector", [series("+Inf")]), math.inf),
        (body("vector", [series("-Inf")]), -math.inf),
    ],
)
def test_one_number(answer: bytes, number: float) -> None:
    assert number_of(answer, status=200, service="Prometheus") == number


def test_nan_is_a_number_for_the_caller_to_judge() -> None:
    assert math.isnan(number_of(body("vector", [series("NaN")]), status=200, service="Prometheus"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (body("vector", []), "no data: the query has no series"),
        (
            body("vector", [series("1", a="b"), series("2", a="c")]),
            r'has 2 series, and not one: \{a="b"\} and \{a="c"\}',
        ),
        (body("matrix", [{"metric": {}, "values": []}]), "a range of values"),
        (body("string", [1, "x"]), "a string"),
        (body("vector", [{"metric": {}, "histogram": [1, {}]}]), "histogram_quantile"),
        (body("vector", [{"metric": {}, "value": [1, "many"]}]), "is no number"),
        (body("vector", [series("1")], warnings=["store-1 has not answered"]), "store-1 has not answered"),
        (b'{"status": "error", "error": "parse error:\\n  unexpected"}', "query: parse error: unexpected$"),
        (b"<html>", "before /api/v1/query"),
        (b"[]", "before /api/v1/query"),
    ],
)
def test_what_is_no_number_is_refused(answer: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        number_of(answer, status=200, service="Prometheus")


@pytest.mark.parametrize(
    ("status", "error", "why"),
    [
        (401, Refused, "refuses the token"),
        (403, Refused, "refuses the token"),
        (302, Refused, "is not followed"),
        (400, Refused, "refuses the query: bad"),
        (404, Refused, "refuses the query: bad"),
        (429, Unavailable, "cannot answer now"),
        (503, Unavailable, "cannot answer now .HTTP 503.: bad"),
    ],
)
def test_http_errors(status: int, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        number_of(b'{"status": "error", "error": "bad"}', status=status, service="Prometheus")


async def measured(url: str, token: str = "", seconds: float = 2.0) -> float:
    provider = PrometheusMetrics(seconds=seconds)
    try:
        return await provider.measure(PrometheusQuestion(url=url, token=token, query="up"))
    finally:
        await provider.close()


async def test_a_cookie_that_one_token_got_is_not_sent_with_another() -> None:
    seen: list[str | None] = []

    class SetsCookie(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Cookie"))
            answer = body("scalar", [1, "1"])
            self.send_response(200)
            self.send_header("Set-Cookie", "session=of-the-first-agent; Path=/")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    provider = PrometheusMetrics(seconds=2)
    with serving(SetsCookie) as url:
        url = url.replace("127.0.0.1", "localhost")  # A cookie of an address is not kept anyway.
        for token in ("first", "second"):
            await provider.measure(PrometheusQuestion(url=url, token=token, query="up"))
    await provider.close()
    assert seen == [None, None]


async def test_the_token_is_sent_and_no_redirect_is_followed() -> None:
    seen: list[tuple[str, str | None]] = []

    class Redirects(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

    with serving(Redirects) as url, pytest.raises(Refused, match="is not followed"):
        await measured(url, "t0ken")
    assert seen == [("/api/v1/query", "Bearer t0ken")]


async def test_an_answer_without_an_end_and_one_that_is_too_long_are_given_up() -> None:
    class Long(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b" " * (1024 * 1024 + 10))

    with serving(EndlessAnswer) as url, pytest.raises(Unavailable, match=r"has not answered in 0\.3 s"):
        await measured(url, seconds=0.3)
    with serving(Long) as url, pytest.raises(Refused, match="more than 1 MiB"):
        await measured(url)


async def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await measured("http://127.0.0.1:1")
