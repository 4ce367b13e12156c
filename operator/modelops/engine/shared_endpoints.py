"""One listing of an account's endpoints for all objects that wait for one of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from modelops.ports import (
    NOT_CREATED,
    Clock,
    Endpoint,
    EndpointRequest,
    Endpoints,
    Refused,
    Unavailable,
    Uncertain,
)

REFUSAL_SECONDS: Final = 60.0
"""How long a refused endpoint is listed as failed before its creation can be tried again."""
NOT_CREATED_SECONDS: Final = 15.0
"""How long an endpoint is listed as not created, at least, before its creation is tried again."""
LONGEST_PAUSE_SECONDS: Final = 300.0
FORGET_SECONDS: Final = 900.0
"""How long an account that is not used is kept."""

Account = tuple[str, str]
"""Token and namespace."""


@dataclass(slots=True)
class _Account:
    """The state of one account. Times are seconds of the monotonic clock."""

    listed_at: float = float("-inf")
    listed: tuple[Endpoint, ...] = ()
    problem: Unavailable | Refused | None = None
    not_before: float = float("-inf")
    changes: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    not_made: dict[str, tuple[float, Endpoint]] = field(default_factory=dict)
    """Endpoints that the service did not make, by name, each with the time until which it is listed."""


class SharedEndpoints:
    """`ports.Endpoints` in front of the service's: lists each account once per interval for all callers.

    A failure is kept for as long as the service asks for, or for the interval. A creation or deletion by the operator
    makes the next call list again. If the service refuses a creation, the endpoint is listed as failed for a minute,
    with the service's message. Its rollout then ends with that message, and other objects do not wait. If the service
    does not take a creation at the moment, the endpoint is listed as `NOT_CREATED` with the service's message, until
    the creation is tried again.
    """

    def __init__(self, endpoints: Endpoints, *, clock: Clock, interval_seconds: float) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._accounts: dict[Account, _Account] = {}

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        """All endpoints, at most `interval_seconds` old. Raises the service's last answer where that was an error."""
        account = self._account(token, namespace)
        async with account.lock:
            if self._clock.monotonic() >= account.not_before:
                await self._refresh(account, token, namespace)
        if account.problem is not None:
            raise account.problem
        return account.listed + self._not_made(account)

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        """Creates an endpoint. A refusal is returned as a failed endpoint. Raises Unavailable, Uncertain."""
        account = self._account(token, namespace)
        until, known = account.not_made.get(request.name, (0.0, None))
        if known is not None and known.state != NOT_CREATED and self._clock.monotonic() < until:
            return known
        try:
            made = await self._endpoints.create(token, namespace, request)
        except Refused as error:
            return self._note_not_made(account, request, "failed", error, seconds=REFUSAL_SECONDS)
        except (Unavailable, Uncertain) as error:
            requested = getattr(error, "retry_after", None) or 0.0
            pause = min(LONGEST_PAUSE_SECONDS, max(requested, NOT_CREATED_SECONDS))
            self._note_not_made(account, request, NOT_CREATED, error, seconds=pause)
            raise
        finally:
            self._mark_changed(account)
        account.not_made.pop(request.name, None)
        return made

    async def delete(self, token: str, namespace: str, name: str) -> None:
        """Deletes an endpoint. A missing endpoint is no error."""
        account = self._account(token, namespace)
        try:
            await self._endpoints.delete(token, namespace, name)
        finally:
            account.not_made.pop(name, None)
            self._mark_changed(account)

    async def resume(self, token: str, namespace: str, name: str) -> None:
        """Starts a paused endpoint again."""
        try:
            await self._endpoints.resume(token, namespace, name)
        finally:
            self._mark_changed(self._account(token, namespace))

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        """The answer of the service."""
        return await self._endpoints.usd_micro_per_hour(token, namespace, request)

    async def answers(self, token: str, url: str) -> bool:
        """The answer of the service."""
        return await self._endpoints.answers(token, url)

    async def _refresh(self, account: _Account, token: str, namespace: str) -> None:
        before = account.changes
        try:
            account.listed, account.problem = await self._endpoints.list(token, namespace), None
            pause = self._interval_seconds
        except (Unavailable, Refused) as error:
            account.problem = error
            requested = getattr(error, "retry_after", None) or 0.0
            pause = min(LONGEST_PAUSE_SECONDS, max(requested, self._interval_seconds))
        account.listed_at = self._clock.monotonic()
        if account.changes == before:
            account.not_before = account.listed_at + pause

    def _note_not_made(
        self, account: _Account, request: EndpointRequest, state: str, error: Exception, *, seconds: float
    ) -> Endpoint:
        """The endpoint that the service did not make, which is listed in this state for these seconds."""
        endpoint = Endpoint(
            name=request.name,
            state=state,
            url="",
            repo=request.repo,
            revision=request.revision,
            message=str(error),
        )
        account.not_made[request.name] = self._clock.monotonic() + seconds, endpoint
        return endpoint

    def _not_made(self, account: _Account) -> tuple[Endpoint, ...]:
        now, there = self._clock.monotonic(), {endpoint.name for endpoint in account.listed}
        for name, (until, _) in [*account.not_made.items()]:
            if now >= until or name in there:
                del account.not_made[name]
        return tuple(endpoint for _, endpoint in account.not_made.values())

    def _account(self, token: str, namespace: str) -> _Account:
        key, now = (token, namespace), self._clock.monotonic()
        known = self._accounts.get(key)
        if known is None:
            for old in [k for k, a in self._accounts.items() if now - a.listed_at > FORGET_SECONDS]:
                if not self._accounts[old].lock.locked() and not self._accounts[old].not_made:
                    del self._accounts[old]
            known = self._accounts[key] = _Account()
        return known

    def _mark_changed(self, account: _Account) -> None:
        account.changes += 1
        account.not_before = float("-inf")
