"""Reverse proxies between the operator and the world: they record what it changes, and strike at one write.

The operator knows nothing of them: its kubeconfig and its service URLs lead here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length"}
_READS = re.compile(r"/preupload/|validate-yaml|/paths-info|/objects/batch|selfsubject|tokenreviews")
_HOUSEKEEPING = re.compile(r"/leases|/events(\?|$)|/configmaps/modelops-installation")


class Moment(StrEnum):
    """When to strike, seen from a write."""

    BEFORE = "before"
    """It has arrived here and is not passed on."""
    HELD = "held"
    """As before, but it is passed on later: when `release` is called."""
    LOST = "lost"
    """It was carried out; its answer is never seen."""
    ANSWERED = "answered"
    """Its answer has been sent."""


@dataclass(frozen=True)
class Write:
    """One request that changes something; `status` 0 where it was not passed on or not answered."""

    number: int
    service: str
    method: str
    path: str
    body: bytes = b""
    status: int = 0

    @property
    def line(self) -> str:
        """For people: `kube PUT rollouts/one/status`."""
        path = self.path.partition("?")[0]
        short = re.sub(r"^/(apis/[^/]+|api)/v[^/]+/namespaces/[^/]+/", "", path)
        return f"{self.number} {self.service} {self.method} {short} {self.status}"


@dataclass
class Strike:
    """At the first write that `matches`: `act`, at that moment."""

    moment: Moment
    matches: Callable[[Write], bool]
    act: Callable[[], Awaitable[None]]


class Recorder:
    """What the operator changed, over all services, in order. Leases, Events and reads by POST do not count."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.strike: Strike | None = None
        self.struck: Write | None = None
        self._acting: asyncio.Task[None] | None = None
        self.acted = asyncio.Event()
        """The strike has done its work."""
        self.held = asyncio.Event()
        self.released = asyncio.Event()

    def release(self) -> None:
        """Passes the held request on."""
        self.released.set()

    def lines(self, service: str = "") -> list[str]:
        """What was written, for messages."""
        return [write.line for write in self.writes if service in write.service]

    def arrived(self, service: str, method: str, path: str, body: bytes) -> Write | None:
        """The write that this request is, or None."""
        if method in ("GET", "HEAD", "OPTIONS") or _READS.search(path) or _HOUSEKEEPING.search(path):
            return None
        write = Write(len(self.writes) + 1, service, method, path, body)
        self.writes.append(write)
        return write

    def answered(self, write: Write, status: int) -> None:
        """Notes its answer."""
        self.writes[write.number - 1] = Write(
            write.number, write.service, write.method, write.path, write.body, status
        )

    def due(self, write: Write | None) -> Strike | None:
        """The strike, where it is for this write; once."""
        strike = self.strike
        if write is None or strike is None or not strike.matches(write):
            return None
        self.strike, self.struck = None, write
        return strike

    async def act(self, strike: Strike) -> None:
        """Does what the strike is for, also where the caller's end cancels its request."""

        async def whole() -> None:
            await strike.act()
            self.acted.set()

        self._acting = asyncio.create_task(whole())
        await asyncio.shield(self._acting)


class RecordingProxy:
    """One service's proxy: plain HTTP here, whatever `upstream` is there."""

    def __init__(
        self, service: str, upstream: str, recorder: Recorder, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._service = service
        self._upstream = upstream.rstrip("/")
        self._recorder = recorder
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Passes one request on."""
        body = await request.read()
        recorder = self._recorder
        write = recorder.arrived(self._service, request.method, request.path_qs, body)
        strike = recorder.due(write)
        if strike is not None and strike.moment is Moment.BEFORE:
            await recorder.act(strike)
            return _cut(request)
        if strike is not None and strike.moment is Moment.HELD:
            await recorder.act(strike)
            recorder.held.set()
            await recorder.released.wait()
        if write is None:
            return await self._pass_on(request, body)
        return await asyncio.shield(self._carry_out(request, body, write, strike))

    async def _carry_out(
        self, request: web.Request, body: bytes, write: Write, strike: Strike | None
    ) -> web.StreamResponse:
        """A write is passed on whole, also where the caller is gone meanwhile."""
        async with self._asked(request, body) as answer:
            content = await answer.read()
        self._recorder.answered(write, answer.status)
        if strike is not None and strike.moment is Moment.LOST:
            await self._recorder.act(strike)
            return _cut(request)
        response = web.Response(status=answer.status, headers=_kept(answer), body=content)
        if strike is not None and strike.moment is Moment.ANSWERED:
            with suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
            await self._recorder.act(strike)
        return response

    async def _pass_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        async with self._asked(request, body) as answer:
            response = web.StreamResponse(status=answer.status, headers=_kept(answer))
            with suppress(ConnectionError):
                await response.prepare(request)
                if request.method != "HEAD":
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                await response.write_eof()
            return response

    def _asked(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        assert self._session is not None
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
        return self._session.request(
            request.method,
            self._upstream + request.raw_path,
            headers=headers,
            data=body or None,
            allow_redirects=False,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Runs it; gives its address."""
        app = web.Application(client_max_size=256 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        connector = aiohttp.TCPConnector(limit=0, ssl=True if self._tls is None else self._tls)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=timeout, skip_auto_headers=("User-Agent",)
        ) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                self._recorder.release()
                await runner.cleanup()


def _kept(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [(key, value) for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP]


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
