"""Calls of POST /chat/completions with few steps for each.

The `openai` SDK takes three times the processor time for a call, which a model's latency would contain, and with 32
calls at once they would wait for one another. So the calls that are timed are plain requests.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

CONNECT_SECONDS = 10.0
MOST_BYTES = 32 * 1024 * 1024
"""Of one answer, after decompression: more than any model writes."""
_IDLE_SECONDS = 4.0
"""Servers close a connection that nobody used for 5 s or longer. A request on such a connection would be lost."""
_MOST_REDIRECTS = 3
_ERROR_BYTES = 64 * 1024


class TooLarge(Exception):
    """The answer has more than MOST_BYTES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer. `retry_after` is the header's value."""

    status: int
    body: bytes
    retry_after: str | None = None


class ChatConnection:
    """Connections to one OpenAI-compatible service; a later call uses them again.

    They follow HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE, as the SDKs do.
    """

    def __init__(self, base_url: str, *, api_key: str) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "modelops-evaluation",
        }
        self._proxy = _proxy_for(self._url)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, document: Mapping[str, Any]) -> HttpAnswer:
        """The answer to one request, which is made once. The caller limits the time of it.

        Raises aiohttp.ClientError, TimeoutError where no connection was made in time, TooLarge, and ValueError where
        the document cannot be written as JSON.
        """
        body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
        async with self._open().post(
            self._url, data=body, proxy=self._proxy, max_redirects=_MOST_REDIRECTS
        ) as answer:
            return HttpAnswer(
                status=answer.status,
                body=await (_error_body(answer) if answer.status >= 400 else _whole_body(answer)),
                retry_after=answer.headers.get("Retry-After"),
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """The session, which needs a running event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    keepalive_timeout=_IDLE_SECONDS,
                    ssl=_trusted() if self._url.startswith("https:") else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            )
        return self._session


async def _whole_body(answer: aiohttp.ClientResponse) -> bytes:
    """Raises TooLarge."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise TooLarge
    return b"".join(parts)


async def _error_body(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of an error's body; empty where it cannot be read: it only explains a failure that is known."""
    body = bytearray()
    try:
        async for part in answer.content.iter_any():
            body += part
            if len(body) >= _ERROR_BYTES:
                break
    except aiohttp.ClientError:
        pass
    return bytes(body[:_ERROR_BYTES])


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities of the system, or of SSL_CERT_FILE. Reading them takes 50 ms, so it is done once."""
    return ssl.create_default_context()


def _proxy_for(url: str) -> str | None:
    """The proxy of the environment for this address, looked up once for all calls."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if found and "://" in found else f"http://{found}" if found else None
