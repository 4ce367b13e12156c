"""An HTTP proxy in front of the API server that records every write with its body and its answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from tests.cluster.operator_process import kubeconfig_through

from modelops.adapters.kube import Connection
from modelops.ports import Json

_DROPPED = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_READ_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Write:
    """One request other than GET. `at` is the time of its answer in Unix seconds."""

    at: float
    method: str
    path: str
    status: int
    body: Json
    answer: Json

    @property
    def resource(self) -> str:
        """`rollouts/status`, `configmaps`, ..."""
        parts = self.path.split("/")
        after = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
        return "/".join([after[0], *after[2:]])

    @property
    def name(self) -> str:
        """Name of the object, from the answer."""
        return str(self.answer.get("metadata", {}).get("name", ""))


@dataclass
class RecordingProxy:
    """A running proxy; `writes` has all writes so far."""

    upstream: Connection
    url: str = ""
    writes: list[Write] = field(default_factory=list)
    session: aiohttp.ClientSession | None = None
    streams: set[asyncio.Task[None]] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards one request; the answer to a watch is streamed."""
        assert self.session is not None
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
        sent = await request.read()
        async with self.session.request(
            request.method, self.upstream.server + request.path_qs, headers=headers, data=sent or None
        ) as answer:
            if request.query.get("watch") in ("1", "true"):
                return await self._stream_watch(request, answer)
            content = await answer.read()
        if request.method != "GET":
            self._record(request, answer.status, sent, content)
        content_type = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
        return web.Response(status=answer.status, body=content, headers=content_type)

    async def _stream_watch(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        stream = asyncio.current_task()
        assert stream is not None
        self.streams.add(stream)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except (aiohttp.ClientError, ConnectionResetError, TimeoutError):
            pass
        finally:
            self.streams.discard(stream)
        return response

    def _record(self, request: web.Request, status: int, sent: bytes, content: bytes) -> None:
        self.writes.append(
            Write(
                at=time.time(),
                method=request.method,
                path=request.path,
                status=status,
                body=json.loads(sent) if sent else {},
                answer=json.loads(content) if content else {},
            )
        )


@asynccontextmanager
async def recording_proxy(
    upstream: Connection, folder: Path, *, namespace: str
) -> AsyncIterator[tuple[RecordingProxy, Path]]:
    """Runs a proxy on a free port of 127.0.0.1; yields it and a kubeconfig that connects through it."""
    proxy = RecordingProxy(upstream)
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    context = upstream.ssl_context()
    connector = aiohttp.TCPConnector(limit=0, ssl=True if context is None else context)
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_READ_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as proxy.session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            kubeconfig = folder / "kubeconfig-through-proxy"
            yield proxy, kubeconfig_through(upstream, proxy.url, kubeconfig, namespace=namespace)
        finally:
            for stream in proxy.streams:
                stream.cancel()
            await asyncio.gather(*proxy.streams, return_exceptions=True)
            await runner.cleanup()
