"""A TCP proxy in front of the API server that can lose or stall answers. It accepts HTTP and connects with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from modelops.adapters.kube import Connection


class LosingProxy:
    """Forwards bytes in both directions.

    With `lose_answers` the server handles a request, and the caller's connection is closed instead of the answer;
    `answers_lost` counts them. With `stall_answers` the answer never arrives. `request_lines` has the first line of
    every request.
    """

    def __init__(self, upstream: Connection) -> None:
        self.upstream = upstream
        self.lose_answers = False
        self.answers_lost = 0
        self.stall_answers = False
        self.request_lines: list[str] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def writes(self) -> list[str]:
        """First lines of all requests but GET."""
        return [line for line in self.request_lines if not line.startswith("GET ")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        parts = urlsplit(self.upstream.server)
        context = self.upstream.ssl_context()
        assert isinstance(context, ssl.SSLContext)
        up_reader, up_writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        up, down = self._forward(reader, up_writer), self._return(up_reader, writer)
        tasks = [asyncio.create_task(up), asyncio.create_task(down)]
        self._tasks.update(tasks)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._tasks.difference_update(tasks)
        up_writer.close()
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            line = data.split(b"\r\n", 1)[0]
            if line.endswith(b"HTTP/1.1"):
                self.request_lines.append(line.decode().removesuffix(" HTTP/1.1"))
            writer.write(data)
            await writer.drain()

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            if self.lose_answers:
                self.answers_lost += 1
                return
            if self.stall_answers:
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def losing_proxy(upstream: Connection) -> AsyncIterator[LosingProxy]:
    """A running proxy on a free port of loopback; `url` is its address."""
    proxy = LosingProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy._tasks):
            task.cancel()
