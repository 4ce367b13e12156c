"""Asks Prometheus. Redirects are not followed, and the answer is bounded in time and size."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

import aiohttp

from modelops.adapters.certificates import certificate_problem
from modelops.adapters.prometheus.result import number_of
from modelops.ports import MetricQuestion, PrometheusQuestion, Refused, Unavailable

SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
MOST_BYTES: Final = 1024 * 1024

OnCall = Callable[[str, float], None]
"""Called after each request with its outcome (ok, Unavailable, Refused) and its seconds."""


class PrometheusMetrics:
    """`ports.MetricProvider` over aiohttp; the session is opened by the first question."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def measure(self, question: MetricQuestion) -> float:
        """The query's number. Raises Unavailable or Refused."""
        assert isinstance(question, PrometheusQuestion)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, ssl=ssl.create_default_context()),
                timeout=self._timeout,
                # A cookie that one agent's token got must not speak for another agent at the same host.
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "modelops-operator", "Accept": "application/json"},
            )
        form = {"query": question.query, "timeout": f"{max(1, round(self._seconds * 0.8))}s"}
        headers = {"Authorization": f"Bearer {question.token}"} if question.token else {}
        try:
            async with self._session.post(
                f"{question.url}/api/v1/query", data=form, headers=headers, allow_redirects=False
            ) as response:
                content = await response.content.read(MOST_BYTES + 1)
                while len(content) <= MOST_BYTES and (more := await response.content.read(MOST_BYTES)):
                    content += more
                status = response.status
        except TimeoutError:
            raise Unavailable(f"{question.service} has not answered in {self._seconds:g} s") from None
        except aiohttp.InvalidURL:
            raise Refused(f"{question.service}: the address cannot be read") from None
        except aiohttp.ClientError as error:
            why = certificate_problem(error) or type(error).__name__
            raise Unavailable(f"{question.service} cannot be reached ({why})") from None
        if len(content) > MOST_BYTES:
            raise Refused(
                "the query's answer has more than 1 MiB: put an aggregation such as sum(...) around it"
            )
        return number_of(content, status=status, service=question.service)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
