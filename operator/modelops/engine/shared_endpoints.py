"""One look at all endpoints of an account, for everybody who waits for one of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from modelops.ports import Clock, Endpoint, EndpointRequest, Endpoints, Refused, Unavailable

REFUSAL_SECONDS: Final = 60.0
"""How long a refused endpoint is shown as failed before its creation may be tried again."""
LONGEST_PAUSE_SECONDS: Final = 300.0
FORGET_SECONDS: Final = 900.0

Account = tuple[str, str]
"""Token and namespace."""


@dataclass(slots=True)
class _Account:
    """What is known of one account. Moments are on the monotonic clock."""

    looked_at: float = float("-inf")
    listed: tuple[Endpoint, ...] = ()
    problem: Unavailable | Refused | None = None
    not_before: float = float("-inf")
    changes: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused: dict[str, tuple[float, Endpoint]] = field(default_factory=dict)


class SharedEndpoints:
    """`ports.Endpoints` in front of another: lists each account once per interval, however many ask.

    A failure is remembered for as long as the service asks, or for the interval. Our own creations and
    deletions make the next look a new one. A creation that the service refuses shows for a minute as an
    endpoint that has failed, with the service's words: its rollout ends with them, and nothing else waits.
    """

    def __init__(self, endpoints: Endpoints, *, clock: Clock, interval_seconds: float) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._accounts: dict[Account, _Account] = {}

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        """At most `interval_seconds` old. Raises what the service answered last, where that was an error."""
        account = self._account(token, namespace)
        async with account.lock:
            if self._clock.monotonic() >= account.not_before:
                await self._look(account, token, namespace)
        if account.problem is not None:
            raise account.problem
        return account.listed + self._failed(account)

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        """A refusal is returned as a failed endpoint."""
        account, now = self._account(token, namespace), self._clock.monotonic()
        refused = account.refused.get(request.name)
        if refused is not None and now - refused[0] < REFUSAL_SECONDS:
            return refused[1]
        try:
            made = await self._endpoints.create(token, namespace, request)
        except Refused as error:
            made = Endpoint(
                name=request.name,
                state="failed",
                url="",
                repo=request.repo,
                revision=request.revision,
                message=str(error),
            )
            account.refused[request.name] = self._clock.monotonic(), made
            return made
        finally:
            self._changed(account)
        account.refused.pop(request.name, None)
        return made

    async def delete(self, token: str, namespace: str, name: str) -> None:
        """A missing one is no error."""
        account = self._account(token, namespace)
        try:
            await self._endpoints.delete(token, namespace, name)
        finally:
            account.refused.pop(name, None)
            self._changed(account)

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        """As the service behind says."""
        return await self._endpoints.usd_micro_per_hour(token, namespace, request)

    async def answers(self, token: str, url: str) -> bool:
        """As the service behind says."""
        return await self._endpoints.answers(token, url)

    async def _look(self, account: _Account, token: str, namespace: str) -> None:
        before = account.changes
        try:
            account.listed, account.problem = await self._endpoints.list(token, namespace), None
            pause = self._interval_seconds
        except (Unavailable, Refused) as error:
            account.problem = error
            told = getattr(error, "retry_after", None) or 0.0
            pause = min(LONGEST_PAUSE_SECONDS, max(told, self._interval_seconds))
        account.looked_at = self._clock.monotonic()
        if account.changes == before:
            account.not_before = account.looked_at + pause

    def _failed(self, account: _Account) -> tuple[Endpoint, ...]:
        now, there = self._clock.monotonic(), {endpoint.name for endpoint in account.listed}
        for name, (since, _) in [*account.refused.items()]:
            if now - since >= REFUSAL_SECONDS or name in there:
                del account.refused[name]
        return tuple(endpoint for _, endpoint in account.refused.values())

    def _account(self, token: str, namespace: str) -> _Account:
        key, now = (token, namespace), self._clock.monotonic()
        known = self._accounts.get(key)
        if known is None:
            for old in [k for k, a in self._accounts.items() if now - a.looked_at > FORGET_SECONDS]:
                if not self._accounts[old].lock.locked() and not self._accounts[old].refused:
                    del self._accounts[old]
            known = self._accounts[key] = _Account()
        return known

    def _changed(self, account: _Account) -> None:
        account.changes += 1
        account.not_before = float("-inf")
