"""A watch that goes on: over its time limit, over a connection that is cut, and over a history that is too old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, Final

from modelops.api.v1alpha1.names import Resource
from modelops.client.errors import Unavailable
from modelops.client.transport import Json, Transport

WATCH_SECONDS: Final = 300
"""Time after which the API server ends a watch, so that a dead connection is noticed."""
PATIENCE_SECONDS: Final = 60.0
"""Time without any answer after which a watch gives up."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


async def watch_events(
    transport: Transport,
    path: str,
    *,
    resource: Resource,
    namespace: str,
    field_selector: str | None,
    seen: Iterable[Json] = (),
) -> AsyncGenerator[tuple[str, Json], None]:
    """Pairs of the type of an event and the object: what is there as ADDED, then every change.

    After a gap the objects are listed again and compared, so that each object's last state and each deletion is told
    once. What cannot be listed at first is an error; later it is tried again for PATIENCE_SECONDS. `seen` are objects
    that the caller has read: what has happened to them since is told, deletions included.
    """
    known: dict[str, Json] = {item["metadata"]["uid"]: item for item in seen}
    version, pause, answered = "", _FIRST_PAUSE, float("-inf")
    selector = {"fieldSelector": field_selector}

    while True:
        try:
            if not version:
                listed = await transport.request(
                    "list", path, resource=resource, namespace=namespace, query=selector
                )
                version = listed["metadata"]["resourceVersion"]
                now = {item["metadata"]["uid"]: item for item in listed["items"]}
                differences = list(_differences(known, now))
                known = now
                for difference in differences:
                    yield difference
            answered, pause = time.monotonic(), _FIRST_PAUSE
            query: dict[str, Any] = {
                **selector,
                "watch": True,
                "allowWatchBookmarks": True,
                "resourceVersion": version,
                "timeoutSeconds": WATCH_SECONDS,
            }
            stream = transport.stream(
                path, resource=resource, namespace=namespace, query=query, seconds=WATCH_SECONDS + 30
            )
            async with aclosing(stream) as following:
                async for event in following:
                    answered = time.monotonic()
                    if event["type"] == "ERROR":  # Most often 410: the history that was asked for is gone.
                        version = ""
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "BOOKMARK":
                        continue
                    _remember(known, event)
                    yield event["type"], event["object"]
        except Unavailable:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _remember(known: dict[str, Json], event: Json) -> None:
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event["object"]


def _differences(known: dict[str, Json], now: dict[str, Json]) -> list[tuple[str, Json]]:
    """What happened between two lists."""
    deleted = [("DELETED", item) for uid, item in known.items() if uid not in now]
    changed = [
        ("MODIFIED" if uid in known else "ADDED", item)
        for uid, item in now.items()
        if uid not in known
        or known[uid]["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]
    ]
    return [*deleted, *changed]
