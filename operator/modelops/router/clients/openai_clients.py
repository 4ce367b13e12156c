"""Clients of the package `openai` that send by the router."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from modelops.router.clients import Connections
from modelops.router.clients.attempt import BASE_URL, NO_KEY
from modelops.router.clients.tracing import knowing_the_run_above
from modelops.router.clients.transport import AsyncRoutedTransport, RoutedTransport

if TYPE_CHECKING:
    from modelops.router.clients.routing import Routing

RETRIES: Final = 0
"""How often the client of `openai` tries again by itself. The router's fallback to stable is the second try: retries of
the client would only delay it, and ask a canary that fails again and again."""
_TRACING: Final = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")
_making = threading.Lock()


def routed_client(
    router: Routing,
    connections: Connections,
    session_key: object,
    *,
    fallback: bool,
    trace: bool = True,
    http_client: httpx2.Client | None = None,
    **options: Any,
) -> openai.OpenAI:
    """A client for one session. `http_client` sends its requests; `trace`: they are traced where tracing is on."""
    _refuse_target(options)

    def send(request: httpx2.Request) -> httpx2.Response:
        return (http_client or _shared(connections)).send(request, stream=True)

    transport = RoutedTransport(router, session_key, fallback=fallback, send=send)
    client = openai.OpenAI(
        base_url=BASE_URL,
        api_key=NO_KEY,
        http_client=httpx2.Client(transport=transport),
        **{"max_retries": RETRIES, **options},
    )
    return _traced(client) if trace else client


def routed_async_client(
    router: Routing,
    connections: Connections,
    session_key: object,
    *,
    fallback: bool,
    trace: bool = True,
    http_client: httpx2.AsyncClient | None = None,
    **options: Any,
) -> openai.AsyncOpenAI:
    """`routed_client` for asyncio."""
    _refuse_target(options)

    async def send(request: httpx2.Request) -> httpx2.Response:
        return await (http_client or _of_loop(connections)).send(request, stream=True)

    transport = AsyncRoutedTransport(router, session_key, fallback=fallback, send=send)
    client = openai.AsyncOpenAI(
        base_url=BASE_URL,
        api_key=NO_KEY,
        http_client=httpx2.AsyncClient(transport=transport),
        **{"max_retries": RETRIES, **options},
    )
    return _traced(client) if trace else client


def _refuse_target(options: dict[str, Any]) -> None:
    for name in ("base_url", "api_key"):
        if name in options:
            raise TypeError(f"{name} is the route's, from agents.yaml: leave it out")


def _shared(connections: Connections) -> httpx2.Client:
    with _making:
        connections.leave_those_of_the_parent()
        if connections.shared is None:
            connections.shared = openai.DefaultHttpxClient()
        found: httpx2.Client = connections.shared
        return found


def _of_loop(connections: Connections) -> httpx2.AsyncClient:
    loop = asyncio.get_running_loop()
    with _making:
        connections.leave_those_of_the_parent()
        found: httpx2.AsyncClient | None = connections.of_loop.get(loop)
        if found is None:
            # A client's open connections know their loop, so that a weak reference alone never lets it go.
            for ended in [one for one in connections.of_loop if one.is_closed()]:
                del connections.of_loop[ended]
            found = connections.of_loop[loop] = openai.DefaultAsyncHttpxClient()
        return found


def _traced(client: Any) -> Any:
    """The client, whose calls are runs of LangSmith where the program traces."""
    if "langsmith" in sys.modules or any(os.environ.get(name, "").lower() == "true" for name in _TRACING):
        with suppress(ImportError):
            from langsmith.utils import tracing_is_enabled
            from langsmith.wrappers import wrap_openai

            if not tracing_is_enabled():
                return client
            traced = wrap_openai(client)
            asynchronous = isinstance(client, openai.AsyncOpenAI)
            for resource in (traced.chat.completions, traced.completions, traced.responses):
                for name in ("create", "parse"):
                    if call := getattr(resource, name, None):
                        setattr(resource, name, knowing_the_run_above(call, asynchronous=asynchronous))
            return traced
    return client
