"""Lists objects and then watches them; handles bookmarks, 410, silence and broken connections."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import aiohttp

from modelops.adapters.kube.answers import Expired, error_of_status
from modelops.adapters.kube.client import KubeClient, collection_path
from modelops.ports import Conflict, Json, Missing, Refused, Resource, Unavailable, Uncertain

SILENCE_SECONDS = 70.0
"""A watch without events and bookmarks for this long counts as broken (the API server sends a bookmark a minute)."""

_SERVER_SECONDS = 300
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 5.0
_KIND_IS_NOT_SERVED = "0"
"""The resourceVersion of `KubeClient.list` where the API server does not know the kind; no real list has it."""

_log = logging.getLogger(__name__)


class WatchHandler(Protocol):
    """The callbacks of a watch. An object may be reported twice, and an older version after a newer one."""

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        """The complete list: an object that is not in it does not exist."""

    def changed(self, item: Json) -> None:
        """An object was added or modified."""

    def deleted(self, item: Json) -> None:
        """An object was deleted or is no longer selected; `item` is its last state."""

    def alive(self) -> None:
        """The server sent something. Also called after each of the other callbacks."""


class Watch:
    """Watches the selected objects of one kind and calls a handler; `run` never returns.

    `project` reduces an object to the parts that are kept, before the handler is called. `problem` says why nothing
    arrives at the moment, and is empty while the watch is connected.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        handler: WatchHandler,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        project: Callable[[Json], Json] = lambda item: item,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector
        self._client = client
        self._handler = handler
        self._project = project
        self._silence = silence_seconds
        self._backoff = _FIRST_BACKOFF
        self.problem = ""

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
                if self._is_new(f"it was interrupted: {error!r}"):
                    _log.info("the watch of %s was interrupted and is resumed: %r", self, error)
            except (Refused, Uncertain, Conflict, Missing) as error:
                if self._is_new(f"the API server refused it: {error}"):
                    _log.error(
                        "the API server refused the watch of %s, the operator tries again: %s", self, error
                    )
                self._client.transport.renew_token()
                version = ""
            except Exception as error:  # noqa: BLE001 - the edge of the loop: a watch that ends would go unnoticed
                if self._is_new(f"it failed: {error!r}"):
                    _log.exception("the watch of %s failed and starts again with a list", self)
                version = ""
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))
            self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)

    def _is_new(self, problem: str) -> bool:
        """Notes why the watch is down; returns whether that has changed, so that it is logged once."""
        before, self.problem = self.problem, problem
        return before != problem

    async def _list(self) -> str:
        items, version = await self._client.list(
            self.resource,
            namespace=self.namespace,
            label_selector=self.label_selector or None,
            field_selector=self.field_selector or None,
        )
        if version == _KIND_IS_NOT_SERVED:
            resource = f"{self.resource.plural}.{self.resource.group or 'core'}"
            raise Missing(
                f"the API server does not serve {resource}: apply its CRD (`kubectl apply -f crds/`)"
            )
        await self._handler.listed([self._project(item) for item in items], version)
        self._handler.alive()
        return version

    async def _follow(self, version: str) -> str:
        """Calls the handler for each event until the server closes the stream; returns the last resourceVersion."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_SERVER_SECONDS + random.randrange(_SERVER_SECONDS)),
        }
        if self.label_selector:
            params["labelSelector"] = self.label_selector
        if self.field_selector:
            params["fieldSelector"] = self.field_selector
        path = collection_path(self.resource, self.namespace)
        transport = self._client.transport
        async with transport.stream(path, params=params, silence=self._silence) as response:
            transport.on_call("watch", self.resource.plural, str(response.status))
            if response.status != 200:
                retry_after = response.headers.get("Retry-After")
                raise error_of_status(
                    "watch", response.status, await response.read(), retry_after=retry_after
                )
            self.problem = ""
            async for line in _lines(response.content):
                event = json.loads(line)
                item = event["object"]
                self._backoff = _FIRST_BACKOFF
                if event["type"] == "ERROR":
                    raise error_of_status("watch", int(item.get("code", 500)), line, retry_after=None)
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._handler.deleted(self._project(item))
                elif event["type"] != "BOOKMARK":
                    self._handler.changed(self._project(item))
                self._handler.alive()
        return version

    def __str__(self) -> str:
        selected = self.label_selector or self.field_selector or "all"
        return f"{self.resource.plural} ({self.namespace or 'all namespaces'}; {selected})"


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Complete lines of any length. StreamReader.readline has a length limit that a ConfigMap can exceed."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" not in chunk:
            continue
        *complete, tail = bytes(rest).split(b"\n")
        rest = bytearray(tail)
        for line in complete:
            if line.strip():
                yield line
