"""A typed client of the three kinds, for the command line, MCP server, conversation, and programs of your own.

`Client` is for ordinary code, `AsyncClient` for asyncio; both have the same methods. The caller's kubeconfig, service
account or impersonation decides what is allowed. Needs the extra `cli` (the official `kubernetes` package), which is
imported when a client is opened.
"""

from modelops.client.access import Access, Impersonation
from modelops.client.async_client import AsyncClient, User
from modelops.client.errors import (
    AccessError,
    AlreadyExists,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotServed,
    Unavailable,
    Uncertain,
    Unreadable,
    WaitTimeout,
)
from modelops.client.kinds import Event, EventType, Listing, has_finished
from modelops.client.sync_client import Client

__all__ = [
    "Access",
    "AccessError",
    "AlreadyExists",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Event",
    "EventType",
    "Forbidden",
    "Impersonation",
    "Invalid",
    "Listing",
    "NotFound",
    "NotServed",
    "Unavailable",
    "Uncertain",
    "Unreadable",
    "User",
    "WaitTimeout",
    "has_finished",
]
