"""A list, then a watch, for as long as it is wanted: bookmarks, 410, silence and broken links included."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import aiohttp

from modelops.adapters.kube.client import KubeClient, base_path
from modelops.adapters.kube.transport import Expired, outcome
from modelops.ports import Conflict, Json, Missing, Refused, Resource, Unavailable, Uncertain

SILENCE_SECONDS = 70.0
"""Without an event or a bookmark (the API server sends one a minute) a watch counts as dead."""

_SERVER_SECONDS = 300
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 30.0
_log = logging.getLogger(__name__)


class WatchHandler(Protocol):
    """What a watch tells. The same object may be told twice, and an older one after a newer one."""

    def listed(self, items: Sequence[Json], resource_version: str) -> None:
        """The full set: what is not in it is gone."""

    def changed(self, item: Json) -> None:
        """Added or modified."""

    def deleted(self, item: Json) -> None:
        """Gone, as it last was (or no longer selected)."""

    def alive(self) -> None:
        """The server has just said something; also called with each of the above."""


class Watch:
    """Follows the objects of one kind that a selector names, and tells a handler; `run` never returns.

    `project` cuts an object down to what is kept of it, before the handler sees it.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        handler: WatchHandler,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        project: Callable[[Json], Json] = lambda item: item,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.label_selector = label_selector
        self._client = client
        self._handler = handler
        self._project = project
        self._silence = silence_seconds
        self._backoff = _FIRST_BACKOFF

    async def run(self) -> None:
        """Lists and watches until cancelled."""
        version = ""
        while True:
            try:
                version = version or await self._list()
                version = await self._follow(version)
                continue
            except Expired:
                version = ""
                continue
            except (aiohttp.ClientError, TimeoutError, Unavailable) as error:
                _log.info("the watch of %s is interrupted: %r", self, error)
            except (Refused, Uncertain, Conflict, Missing) as error:
                _log.error("the watch of %s is refused: %s", self, error)
                self._client.transport.renew_token()
                version = ""
            except Exception:  # noqa: BLE001 - the loop's edge: nobody else would notice a dead watch
                _log.exception("the watch of %s failed; it begins anew", self)
                version = ""
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))
            self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)

    async def _list(self) -> str:
        items, version = await self._client.list(
            self.resource, namespace=self.namespace, label_selector=self.label_selector or None
        )
        self._handler.listed([self._project(item) for item in items], version)
        self._handler.alive()
        return version

    async def _follow(self, version: str) -> str:
        """Tells events until the server closes the stream; returns where to go on."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_SERVER_SECONDS + random.randrange(_SERVER_SECONDS)),
        }
        if self.label_selector:
            params["labelSelector"] = self.label_selector
        path = base_path(self.resource, self.namespace)
        transport = self._client.transport
        async with transport.stream(path, params=params, silence=self._silence) as response:
            transport.on_call("watch", self.resource.plural, str(response.status))
            if response.status != 200:
                retry_after = response.headers.get("Retry-After")
                raise outcome("watch", response.status, await response.read(), retry_after=retry_after)
            async for line in _lines(response.content):
                event = json.loads(line)
                item = event["object"]
                self._backoff = _FIRST_BACKOFF
                if event["type"] == "ERROR":
                    raise outcome("watch", int(item.get("code", 500)), line, retry_after=None)
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._handler.deleted(self._project(item))
                elif event["type"] != "BOOKMARK":
                    self._handler.changed(self._project(item))
                self._handler.alive()
        return version

    def __str__(self) -> str:
        return (
            f"{self.resource.plural} ({self.namespace or 'all namespaces'}; {self.label_selector or 'all'})"
        )


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Complete lines of any length; StreamReader.readline has a limit that a ConfigMap can exceed."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" not in chunk:
            continue
        *whole, tail = bytes(rest).split(b"\n")
        rest = bytearray(tail)
        for line in whole:
            if line.strip():
                yield line
