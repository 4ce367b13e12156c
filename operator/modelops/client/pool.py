"""Connections to one API server, which several callers may share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies_environment

from modelops.client.access import USER_AGENT, Access, Opened, open_access


@dataclass(eq=False)
class Connections:
    """A resolved access with its open connections. `in_use`: requests that use them now; `is_retired`: no new ones."""

    opened: Opened
    api: Any
    in_use: int = 0
    is_retired: bool = False


class Pool:
    """Opens the access with the first request, and again after its credential was refused."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._opening = asyncio.Lock()
        self._current: Connections | None = None

    async def opened(self) -> Opened:
        """The resolved access. Raises AccessError."""
        return (await self._connections()).opened

    @asynccontextmanager
    async def using(self) -> AsyncIterator[Connections]:
        """The connections for one request, which stay open until it has ended. Raises AccessError."""
        connections = await self._connections()
        connections.in_use += 1
        try:
            yield connections
        finally:
            connections.in_use -= 1
            await _close_unused(connections)

    async def retire(self, connections: Connections) -> None:
        """Have the credential read again for the next request: it may have expired. What runs is not cut off."""
        if self._current is connections:
            self._current = None
        connections.is_retired = True
        await _close_unused(connections)

    async def close(self) -> None:
        """Close the connections at once."""
        async with self._opening:
            current, self._current = self._current, None
            if current is not None:
                await current.api.close()

    async def _connections(self) -> Connections:
        async with self._opening:
            if self._current is None:
                opened = await open_access(self._access)
                self._current = Connections(opened, _new_api(opened))
            return self._current


async def _close_unused(connections: Connections) -> None:
    if connections.is_retired and not connections.in_use:
        await connections.api.close()


def _new_api(opened: Opened) -> Any:
    from kubernetes.aio.client import ApiClient

    # Only with `trust_env` are proxies found. But each request then reads ~/.netrc, in a thread; kubectl never does.
    has_proxy = bool(getproxies_environment().keys() - {"no"})
    opened.configuration.client_session_kwargs = {"trust_env": has_proxy}
    api = ApiClient(opened.configuration)
    api.user_agent = USER_AGENT
    return api
