"""One POST to a receiver: bounded in time and size, without redirects, and only to addresses that are allowed.

The URL is a secret, so no text of an exception is passed on: those of aiohttp have the host and the port.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from modelops.domain.notifications.hosts import NotificationHosts, is_public
from modelops.domain.retry_after import retry_after_seconds
from modelops.ports import SendResult

TOTAL_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
MOST_READ: Final = 4096
"""Bytes of an answer that are read; nothing is done with them, but the connection can be used again."""
_MOST_REDIRECT: Final = 399
_FINAL: Final = frozenset({400, 405, 410, 411, 413, 414, 415, 422})
"""Answers that another try of the same request would get again. 401, 403 and 404 may be corrected at the receiver."""


class _AddressRefused(OSError):
    """The name leads to an address inside."""


class _OwnThreads(AbstractResolver):
    """Resolves in threads of its own: a name whose servers do not answer holds none that the operator needs."""

    _threads: Final = ThreadPoolExecutor(8, thread_name_prefix="notification-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of the host. Raises OSError."""

        def asked() -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=of,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for of, _, protocol, _, address in socket.getaddrinfo(
                    host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            ]

        return await asyncio.get_running_loop().run_in_executor(self._threads, asked)

    async def close(self) -> None:
        """The threads are kept for the next notification."""


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses addresses that are not public unless the host is allowed.

    It is asked at each connection, so that a name that leads elsewhere later is refused as well.
    """

    def __init__(self, allowed: frozenset[str], *, inner: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._inner = inner or _OwnThreads()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of the host. Raises OSError where one of them is not allowed."""
        found = await self._inner.resolve(host, port, family)
        if host.lower() not in self._allowed and not all(is_public(one["host"]) for one in found):
            raise _AddressRefused("the name leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Closes the resolver behind it."""
        await self._inner.close()


class HttpSender:
    """Sends notifications, by the proxies of the operator's environment where it has some."""

    def __init__(self, hosts: NotificationHosts, *, total_seconds: float = TOTAL_SECONDS) -> None:
        self._hosts = hosts
        self._total_seconds = total_seconds

    async def send(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """One request, with a session of its own: a notification comes a few times a day, and none keeps a socket."""
        refusal = self._hosts.refusal(url)
        if refusal:
            return SendResult(problem=f"the URL is not allowed: {refusal}")
        timeout = aiohttp.ClientTimeout(total=self._total_seconds, sock_connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(resolver=PublicResolver(self._allowed(url)), force_close=True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    trust_env=not self._hosts.loopback,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    max_line_size=8190,
                    max_field_size=8190,
                ) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                await answer.content.read(MOST_READ)
                return result_of(answer.status, answer.headers.get("Retry-After"))
        except TimeoutError:
            return SendResult(problem=f"no answer within {self._total_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return SendResult(problem=problem_of(error))

    def _allowed(self, url: str) -> frozenset[str]:
        """Hosts whose address may be inside: a listed one, all of the sandbox, and the proxies of the installation."""
        proxies = {urlsplit(proxy).hostname or "" for proxy in getproxies().values()}
        listed = self._hosts.loopback or self._hosts.is_listed(url)
        own = {urlsplit(url).hostname or ""} if listed else set()
        return frozenset(host.lower() for host in (*proxies, *own) if host)

    async def close(self) -> None:
        """Nothing is kept open."""


def result_of(status: int, retry_after: str | None) -> SendResult:
    """What an answer means. `retry_after`: the header."""
    if 200 <= status < 300:
        return SendResult()
    if status <= _MOST_REDIRECT:
        problem = (
            f"it answered HTTP {status} and named another address, which is not followed: store that one"
        )
        return SendResult(problem=problem)
    wait = retry_after_seconds(retry_after, now=datetime.now(UTC)) if status in (429, 503) else None
    return SendResult(problem=f"it answered HTTP {status}", retry_after=wait, final=status in _FINAL)


def problem_of(error: Exception) -> str:
    """What went wrong, without the address that the text of the error has."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _AddressRefused):
            return "its name leads to an address that is not public: have the host added to MODELOPS_NOTIFICATION_HOSTS"
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it cannot be connected to"
    return f"the request failed ({type(error).__name__})"
