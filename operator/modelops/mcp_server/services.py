"""What the tools of one server share."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mcp.server.mcpserver import Context

from modelops.client import Access, AsyncClient
from modelops.mcp_server.callers import Callers, OneCaller
from modelops.mcp_server.local_key import local_key
from modelops.mcp_server.quotes import Quotes
from modelops.mcp_server.rate import RateLimit
from modelops.tools.datasets import Catalogs


@dataclass(frozen=True, kw_only=True)
class Services:
    """`only_people`: a client that cannot ask a person is refused, instead of being given a quote. `catalogs`: how the
    datasets of LangSmith are read; None where its package is missing.
    """

    callers: Callers
    quotes: Quotes = field(default_factory=lambda: Quotes(secrets.token_bytes(32)))
    rate: RateLimit | None = None
    only_people: bool = False
    catalogs: Catalogs | None = None


Opener = Callable[[], AbstractAsyncContextManager[Services]]
Ctx: TypeAlias = Context[Services, Any]


def services_of(ctx: Ctx) -> Services:
    """The services of the server that serves this call."""
    return ctx.request_context.lifespan_context


def local_services(access: Access, *, only_people: bool = False, catalogs: Catalogs | None = None) -> Opener:
    """The services of a server on the caller's own machine: every call has the rights of `access`."""
    quotes = Quotes(local_key())

    @asynccontextmanager
    async def opened() -> AsyncIterator[Services]:
        async with AsyncClient(access) as client:
            yield Services(
                callers=OneCaller(client), quotes=quotes, only_people=only_people, catalogs=catalogs
            )

    return opened
