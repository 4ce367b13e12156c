"""Reverse proxies between the operator and its services: they record its writes, and can inject a fault at one write.

The operator does not know of the proxies: its kubeconfig and its service URLs point to them.
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
    """When the fault happens, relative to a write."""

    BEFORE = "before"
    """The write has arrived at the proxy and is not forwarded."""
    HELD = "held"
    """The write is forwarded only when `release_write` is called."""
    ANSWER_LOST = "lost"
    """The write was carried out, and its answer does not reach the operator."""
    ANSWERED = "answered"
    """The answer has been sent to the operator."""


@dataclass(frozen=True)
class Write:
    """One request that changes something. `status` is 0 where the request was not forwarded or not answered."""

    number: int
    service: str
    method: str
    path: str
    body: bytes = b""
    status: int = 0

    @property
    def summary(self) -> str:
        """For messages: `7 kube PUT rollouts/one/status 200`."""
        path = self.path.partition("?")[0]
        short = re.sub(r"^/(apis/[^/]+|api)/v[^/]+/namespaces/[^/]+/", "", path)
        return f"{self.number} {self.service} {self.method} {short} {self.status}"


@dataclass
class WriteFault:
    """Runs `action` once, at this moment of the first write that `matches`."""

    moment: Moment
    matches: Callable[[Write], bool]
    action: Callable[[], Awaitable[None]]


class Recorder:
    """The operator's writes to all services, in order. Leases, Events and reads by POST are left out."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.fault: WriteFault | None = None
        self.faulted_write: Write | None = None
        self._action_task: asyncio.Task[None] | None = None
        self.fault_done = asyncio.Event()
        """Set when the fault's action has ended."""
        self.write_held = asyncio.Event()
        self.write_released = asyncio.Event()

    def release_write(self) -> None:
        """Lets the proxy forward the held write."""
        self.write_released.set()

    def summaries(self, service: str = "") -> list[str]:
        """One line for each write, for messages."""
        return [write.summary for write in self.writes if service in write.service]

    def record_write(self, service: str, method: str, path: str, body: bytes) -> Write | None:
        """Records the request if it is a write; returns None if it is not."""
        if method in ("GET", "HEAD", "OPTIONS") or _READS.search(path) or _HOUSEKEEPING.search(path):
            return None
        write = Write(len(self.writes) + 1, service, method, path, body)
        self.writes.append(write)
        return write

    def record_answer(self, write: Write, status: int) -> None:
        """Records the status of the answer to a write."""
        self.writes[write.number - 1] = Write(
            write.number, write.service, write.method, write.path, write.body, status
        )

    def take_fault(self, write: Write | None) -> WriteFault | None:
        """The fault, if it is meant for this write. A fault is returned only once."""
        fault = self.fault
        if write is None or fault is None or not fault.matches(write):
            return None
        self.fault, self.faulted_write = None, write
        return fault

    async def run_action(self, fault: WriteFault) -> None:
        """Runs the fault's action to its end, even if the end of the caller cancels its request."""

        async def run_to_its_end() -> None:
            await fault.action()
            self.fault_done.set()

        self._action_task = asyncio.create_task(run_to_its_end())
        await asyncio.shield(self._action_task)


class RecordingProxy:
    """The proxy of one service. It listens on plain HTTP; `upstream` may be HTTP or HTTPS."""

    def __init__(
        self, service: str, upstream: str, recorder: Recorder, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._service = service
        self._upstream = upstream.rstrip("/")
        self._recorder = recorder
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards one request, with the fault if there is one."""
        body = await request.read()
        recorder = self._recorder
        write = recorder.record_write(self._service, request.method, request.path_qs, body)
        fault = recorder.take_fault(write)
        if fault is not None and fault.moment is Moment.BEFORE:
            await recorder.run_action(fault)
            return _drop_connection(request)
        if fault is not None and fault.moment is Moment.HELD:
            await recorder.run_action(fault)
            recorder.write_held.set()
            await recorder.write_released.wait()
        if write is None:
            return await self._forward_read(request, body)
        return await asyncio.shield(self._forward_write(request, body, write, fault))

    async def _forward_write(
        self, request: web.Request, body: bytes, write: Write, fault: WriteFault | None
    ) -> web.StreamResponse:
        """Forwards a write completely, even if the caller has closed its connection meanwhile."""
        async with self._send_upstream(request, body) as answer:
            content = await answer.read()
        self._recorder.record_answer(write, answer.status)
        if fault is not None and fault.moment is Moment.ANSWER_LOST:
            await self._recorder.run_action(fault)
            return _drop_connection(request)
        response = web.Response(status=answer.status, headers=_forwarded_headers(answer), body=content)
        if fault is not None and fault.moment is Moment.ANSWERED:
            with suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
            await self._recorder.run_action(fault)
        return response

    async def _forward_read(self, request: web.Request, body: bytes) -> web.StreamResponse:
        async with self._send_upstream(request, body) as answer:
            response = web.StreamResponse(status=answer.status, headers=_forwarded_headers(answer))
            with suppress(ConnectionError):
                await response.prepare(request)
                if request.method != "HEAD":
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                await response.write_eof()
            return response

    def _send_upstream(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
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
        """Runs the proxy; yields its address."""
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
                self._recorder.release_write()
                await runner.cleanup()


def _forwarded_headers(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [(key, value) for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP]


def _drop_connection(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
