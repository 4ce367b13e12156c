"""One HTTP request to the API server, and the error that its outcome means.

Two cases are always kept apart: the request was certainly not carried out (Conflict, Missing, Refused,
Unavailable), or it may have been (Uncertain). The transport never sends a write twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from modelops.adapters.kube.answers import READ_VERBS, Unauthorized, Verb, error_of_status, parse_object
from modelops.adapters.kube.connection import Connection
from modelops.ports import Json, Refused, Unavailable, Uncertain

REQUEST_SECONDS = 10.0
CONNECT_SECONDS = 5.0

OnCall = Callable[[str, str, str], None]
"""Called after every request with the verb, the plural (`rollouts`) and the code: "200", "lost", "unreachable"."""

_METHODS: Mapping[Verb, str] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update_status": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


class Transport:
    """An aiohttp session to one API server. Use it as an async context manager."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_call: OnCall = lambda *_: None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.connection = connection
        self.on_call = on_call
        self._timeout = aiohttp.ClientTimeout(total=request_seconds, sock_connect=CONNECT_SECONDS)
        self._headers: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context = self.connection.ssl_context()
        self._headers = self.connection.headers()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, ssl=True if context is None else context),
            timeout=self._timeout,
            headers={"User-Agent": "modelops-operator", "Accept": "application/json"},
        )
        # aiohttp repeats a PUT or DELETE when a kept-alive connection turns out to be closed, and has no
        # public switch for it. The first request may have been carried out, so the engine must decide.
        self._session._retry_connection = False
        # Watches use their own connections: each occupies one, and together they would block the lease.
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=True if context is None else context),
            headers={"User-Agent": "modelops-operator", "Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._session, self._streams):
            if session is not None:
                await session.close()
        self._session = self._streams = None

    async def call(
        self,
        verb: Verb,
        path: str,
        *,
        plural: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Sends one request and returns the answer's JSON.

        Raises:
            NotFound, Expired: for a read.
            Conflict, Missing, Refused, Unavailable: the request was certainly not carried out.
            Uncertain: the answer to a write was lost, or does not say whether it was carried out.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        for last in (False, True):
            try:
                return await self._send(
                    verb, path, plural=plural, params=params, data=data, content_type=content_type
                )
            except Unauthorized as error:
                # A request with 401 was not carried out, so every verb may be repeated with a renewed token.
                renewed = self.connection.headers()
                if last or renewed == self._headers:
                    raise Refused(str(error)) from None
                self._headers = renewed
            except (aiohttp.ClientConnectionError, TimeoutError, aiohttp.ClientPayloadError) as error:
                self._raise_unless_repeatable(verb, plural, error, last=last)
        raise AssertionError("unreachable: the last try returns or raises")

    async def text(self, path: str, *, plural: str, params: Mapping[str, str]) -> str:
        """A GET with a plain text answer, such as a log. Raises the errors of `call` for a read."""
        try:
            async with self.session.get(
                self.connection.server + path, params=params, headers={**self._headers, "Accept": "*/*"}
            ) as response:
                content = await response.read()
        except (aiohttp.ClientConnectionError, TimeoutError, aiohttp.ClientPayloadError) as error:
            raise Unavailable(
                f"get {plural} at {self.connection.server}: no answer ({error!r}); the operator tries again"
            ) from error
        self.on_call("get", plural, str(response.status))
        if response.status < 300:
            return content.decode(errors="replace")
        failed = error_of_status(
            "get", response.status, content, retry_after=response.headers.get("Retry-After")
        )
        raise Unavailable(str(failed)) if isinstance(failed, Unauthorized) else failed

    async def _send(
        self,
        verb: Verb,
        path: str,
        *,
        plural: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        content_type: str,
    ) -> Json:
        headers = {**self._headers, "Content-Type": content_type} if data is not None else self._headers
        async with self.session.request(
            _METHODS[verb], self.connection.server + path, params=params, data=data, headers=headers
        ) as response:
            content = await response.read()
        self.on_call(verb, plural, str(response.status))
        if response.status < 300:
            return parse_object(verb, content)
        raise error_of_status(verb, response.status, content, retry_after=response.headers.get("Retry-After"))

    def _raise_unless_repeatable(self, verb: Verb, plural: str, error: Exception, *, last: bool) -> None:
        """Raises the error that a broken connection means; returns where a read may be tried once more."""
        what = f"{verb} {plural} at {self.connection.server}"
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            self.on_call(verb, plural, "unreachable")
            raise Unavailable(f"{what}: the server cannot be reached ({error})") from error
        self.on_call(verb, plural, "lost")
        if verb not in READ_VERBS:
            raise Uncertain(
                f"{what}: the answer was lost ({error!r}); the write may have been carried out"
            ) from error
        if last or isinstance(error, TimeoutError):
            raise Unavailable(f"{what}: no answer ({error!r})") from error

    def stream(self, path: str, *, params: Mapping[str, str], silence: float) -> Any:
        """A GET without an end, as an aiohttp context manager. `silence`: seconds without a byte until it fails."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        url = self.connection.server + path
        if self._streams is None:
            raise RuntimeError("the transport is not open: use `async with Transport(...)`")
        return self._streams.get(
            url, params=params, headers=self._headers, timeout=timeout, read_bufsize=2**20
        )

    def renew_token(self) -> None:
        """Reads the token file again."""
        self._headers = self.connection.headers()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the transport is not open: use `async with Transport(...)`")
        return self._session
