"""Who calls, and with whose rights the call is carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Protocol

from modelops.api.v1alpha1.names import Resource
from modelops.client import AsyncClient
from modelops.client.kinds import Kind

CREATED_BY: Final = "modelops-mcp"
"""Value of the label with which the server marks what it creates."""


@dataclass(frozen=True)
class Need:
    """A right that a tool needs before it does or asks anything."""

    verb: str
    resource: Resource


@dataclass(frozen=True)
class Caller:
    """The user of one call, as the API server knows it, with a client that has exactly this user's rights."""

    name: str
    client: AsyncClient


class Callers(Protocol):
    """Finds the caller of the call that is being served."""

    def calling(self) -> AbstractAsyncContextManager[Caller]:
        """The caller, for the time of one call. Raises ClientError."""
        ...

    async def require(self, caller: Caller, need: Need) -> None:
        """Raise Forbidden, with who can grant it, where the caller lacks a right."""
        ...


class OneCaller:
    """Every call has the rights of the process: of its kubeconfig. For stdio, and for HTTP on this machine."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._caller: Caller | None = None

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Caller]:
        """The user of the kubeconfig."""
        if self._caller is None:
            self._caller = Caller(name=(await self._client.whoami()).name, client=self._client)
        yield self._caller

    async def require(self, caller: Caller, need: Need) -> None:
        """Ask the API server about the caller's own right."""
        client = caller.client
        kinds: tuple[Kind[Any], ...] = (client.agent_models, client.training_runs, client.rollouts)
        kind = next(one for one in kinds if one.resource == need.resource)
        await kind.require(need.verb)


_current: ContextVar[Caller] = ContextVar("caller")


@contextmanager
def acting_for(caller: Caller) -> Iterator[None]:
    """What runs inside finds this caller by `current_caller`."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def current_caller() -> Caller:
    """The caller of the call that is being served."""
    return _current.get()
