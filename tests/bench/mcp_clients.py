"""`python -m tests.bench.mcp_clients`: MCP clients at once, by the official SDK. It reads what to call from its standard
input, and writes how long each call took."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def call_all(
    address: str, tokens: list[str], calls: list[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Connect a client for each token; then all make their calls, one after another."""
    seconds: list[float] = []
    errors: list[str] = []

    async def call(client: Client) -> None:
        for name, arguments in calls:
            started = time.perf_counter()
            try:
                answer = await client.call_tool(name, arguments)
            except Exception as error:  # noqa: BLE001 - a lost call is what is counted
                errors.append(f"{name}: {type(error).__name__} {error}")
                continue
            if answer.is_error:
                errors.append(f"{name}: {answer.content}")
            else:
                seconds.append(time.perf_counter() - started)

    async with AsyncExitStack() as stack:
        clients = []
        for token in tokens:
            headers = {"Authorization": f"Bearer {token}"}
            web = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60))
            transport = streamable_http_client(address, http_client=web)
            clients.append(await stack.enter_async_context(Client(transport)))
        started, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(call(client) for client in clients))
        wall, processor = time.perf_counter() - started, time.process_time() - used
    return {"seconds": seconds, "errors": errors, "wall": wall, "processor": processor}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(call_all(**json.load(sys.stdin)))))
