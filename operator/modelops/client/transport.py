"""Requests to the API server by the official package, with our errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from modelops.api.v1alpha1.names import Resource
from modelops.client.access import Impersonation, Opened
from modelops.client.errors import Unavailable, Uncertain, api_error
from modelops.client.pool import Connections, Pool

Json = dict[str, Any]
MERGE_PATCH: Final = "application/merge-patch+json"
REQUEST_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 15.0
"""Time for which a request is repeated that the API server was too busy to begin with."""
_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
_NEXT: Final = (
    "Is this the right cluster (--context), and is the network up? `kubectl get --raw /readyz` asks it, too"
)
_WRITES: Final = ("create", "update", "patch", "delete")


class Transport:
    """Requests in the name of one caller, by a pool of connections that is opened by the first of them.

    `impersonate`: in whose name; by default that of the access. Its connections are then those of somebody else.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        impersonate: Impersonation | None = None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._pool, self._impersonate, self._seconds = pool, impersonate, request_seconds

    def impersonating(self, user: Impersonation) -> Transport:
        """Requests in the name of `user` by the same connections."""
        return Transport(self._pool, impersonate=user, request_seconds=self._seconds)

    @property
    def impersonated_user(self) -> str | None:
        """The user who was given to `impersonating`."""
        return self._impersonate.user if self._impersonate is not None else None

    async def opened(self) -> Opened:
        """The resolved access. Raises AccessError."""
        return await self._pool.opened()

    async def close(self) -> None:
        """Close the connections, unless they are somebody else's."""
        if self._impersonate is None:
            await self._pool.close()

    async def request(
        self,
        verb: str,
        path: str,
        *,
        resource: Resource | None = None,
        namespace: str | None = None,
        query: Mapping[str, str | int | bool | None] | None = None,
        body: Any = None,
    ) -> Json:
        """The answer to one request, by its Kubernetes verb.

        Raises:
            ClientError: the one that fits the answer; Unavailable or, for a write, Uncertain where there was none.
        """
        import aiohttp

        patience, credentials_read_again = time.monotonic() + min(BUSY_SECONDS, self._seconds), False
        while True:
            async with self._pool.using() as connections:
                opened = connections.opened
                try:
                    response = await self._send(
                        connections, verb, path, query=query, body=body, seconds=self._seconds
                    )
                    text = (await response.read()).decode("utf-8", errors="replace")
                except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
                    raise Unavailable(
                        f"the API server does not answer ({opened.description}): {error}. {_NEXT}"
                    ) from error
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    if verb in _WRITES:
                        raise _lost(verb, opened, error) from error
                    raise Unavailable(
                        f"the API server did not answer in time ({opened.description}): "
                        f"{error or type(error).__name__}. {_NEXT}"
                    ) from error
            if response.status == 401 and not credentials_read_again:  # The credential may have expired.
                credentials_read_again = True
                await self._pool.retire(connections)
                continue
            # 429: the API server has not begun with the request, for example while it starts.
            is_busy = response.status == 429 or (response.status == 503 and verb not in _WRITES)
            if is_busy and time.monotonic() < patience:
                await asyncio.sleep(_pause(response.headers.get("Retry-After")))
                continue
            if response.status >= 300:
                raise self._error(opened, response.status, text, verb, resource, namespace)
            answer: Json = json.loads(text)
            return answer

    async def stream(
        self,
        path: str,
        *,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, Any],
        seconds: float,
    ) -> AsyncGenerator[Json, None]:
        """The events of a watch until the server ends it, within `seconds`. Raises as `request` does."""
        import aiohttp

        async with self._pool.using() as connections:
            opened = connections.opened
            try:
                response = await self._send(
                    connections, "watch", path, query=query, body=None, seconds=seconds
                )
                async with response.response as stream:
                    if stream.status >= 300:
                        text = (await response.read()).decode("utf-8", errors="replace")
                        raise self._error(opened, stream.status, text, "watch", resource, namespace)
                    async for line in stream.content:
                        yield json.loads(line)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise Unavailable(
                    f"the watch of {resource.plural} was cut off ({opened.description}): "
                    f"{error or type(error).__name__}"
                ) from error

    async def _send(
        self,
        connections: Connections,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: Any,
        seconds: float,
    ) -> Any:
        import aiohttp
        from multidict import CIMultiDict

        content = MERGE_PATCH if verb == "patch" else "application/json"
        method, url, headers, sent, _ = await connections.api.param_serialize(
            _METHODS[verb],
            path,
            query_params=[(name, _text(value)) for name, value in (query or {}).items() if value is not None],
            header_params={"Accept": "application/json", "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        impersonated = self._impersonated(connections.opened)
        if impersonated is not None:
            headers = CIMultiDict([*headers.items(), *impersonated.headers()])  # Several have the same name.
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=10)
        return await connections.api.call_api(method, url, headers, sent, _request_timeout=timeout)

    def _impersonated(self, opened: Opened) -> Impersonation | None:
        return self._impersonate or opened.impersonate

    def _error(
        self,
        opened: Opened,
        status: int,
        text: str,
        verb: str,
        resource: Resource | None,
        namespace: str | None,
    ) -> Exception:
        impersonated = self._impersonated(opened)
        user = impersonated.user if impersonated is not None else None
        return api_error(status, text, verb=verb, resource=resource, namespace=namespace, user=user)


def _pause(retry_after: str | None) -> float:
    """Seconds until the next try: what the API server asks for, at most five."""
    return min(float(retry_after), 5.0) if retry_after and retry_after.isdigit() else 1.0


def _lost(verb: str, opened: Opened, error: BaseException) -> Uncertain:
    return Uncertain(
        f"the answer of the API server was lost ({opened.description}: {error or type(error).__name__}), so it is "
        f"unknown whether it carried out the {verb}: look at the object before you repeat it"
    )


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
