"""Kubernetes Events, best effort: they never fail or delay a reconcile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from modelops.api.v1alpha1.names import FIELD_MANAGER
from modelops.ports import Conflict, Json, Missing, NotLeader, Refused, Resource, Unavailable, Uncertain

EVENTS = Resource(group="", version="v1", plural="events", kind="Event")

_MAX_WAITING = 256
_FLUSH_SECONDS = 2.0
_MAX_MESSAGE_CHARACTERS = 1024  # the API server's limit
_log = logging.getLogger(__name__)


class EventPoster:
    """A bounded queue of Events and the task that posts them one by one."""

    def __init__(self, create: Callable[[Resource, Json], Awaitable[Json]]) -> None:
        self._create = create
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(_MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._dropped = 0

    def start(self) -> None:
        """Starts the task that posts Events."""
        self._task = asyncio.create_task(self._post_all(), name="events")

    async def close(self) -> None:
        """Posts the waiting Events for at most two seconds, then stops."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._waiting.join()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def put(self, regarding: Json, *, reason: str, message: str, warning: bool) -> None:
        """Queues an Event; drops it where 256 wait already."""
        try:
            self._waiting.put_nowait(event_body(regarding, reason=reason, message=message, warning=warning))
            self._dropped = 0
        except asyncio.QueueFull:
            self._dropped += 1
            if self._dropped == 1:
                _log.warning(
                    "Events are dropped, because %d wait already; the first dropped one is %s: %s",
                    _MAX_WAITING,
                    reason,
                    message,
                )

    async def _post_all(self) -> None:
        while True:
            body = await self._waiting.get()
            try:
                await self._create(EVENTS, body)
            except (Conflict, Missing, NotLeader, Refused, Unavailable, Uncertain) as error:
                _log.info("Event %s was not posted: %s", body["reason"], error)
            finally:
                self._waiting.task_done()


def event_body(regarding: Json, *, reason: str, message: str, warning: bool) -> Json:
    """A core/v1 Event about an object, in the form that `kubectl describe` finds."""
    metadata = regarding["metadata"]
    namespace = metadata.get("namespace", "default")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # kubectl sorts Events by whole seconds, and those of one second by name: so the time comes first.
        "metadata": {
            "name": f"{time.time_ns():016x}{secrets.token_hex(2)}.{metadata['name']}"[:253],
            "namespace": namespace,
        },
        "involvedObject": {
            "apiVersion": regarding.get("apiVersion", ""),
            "kind": regarding.get("kind", ""),
            "name": metadata["name"],
            "namespace": namespace,
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message[:_MAX_MESSAGE_CHARACTERS],
        "source": {"component": FIELD_MANAGER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
