"""The kopf application: it passes the events of the three kinds to the cache, and does nothing else.

kopf has no storage, posts no Events, does not scan for resources and has no peers: the operator's own lease
decides the leader, and its own queue retries. The `on.event` handlers never fail and never wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import kopf

from modelops.adapters.kube import Connection
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource

KINDS = (AGENT_MODELS, TRAINING_RUNS, ROLLOUTS)
EventHandler = Callable[[Resource, str, Json], None]
"""Receives an event: the resource, the type (ADDED, MODIFIED, DELETED or LISTED) and the object."""


def build_registry(on_event: EventHandler, connection: Connection) -> kopf.OperatorRegistry:
    """The kopf handlers: one per kind, and one for the login."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=_session(connection))

    @kopf.on.event(AGENT_MODELS.group, AGENT_MODELS.version, AGENT_MODELS.plural, registry=registry)
    async def agent_model(event: Any, **_: Any) -> None:
        on_event(AGENT_MODELS, event["type"] or "LISTED", event["object"])

    @kopf.on.event(TRAINING_RUNS.group, TRAINING_RUNS.version, TRAINING_RUNS.plural, registry=registry)
    async def training_run(event: Any, **_: Any) -> None:
        on_event(TRAINING_RUNS, event["type"] or "LISTED", event["object"])

    @kopf.on.event(ROLLOUTS.group, ROLLOUTS.version, ROLLOUTS.plural, registry=registry)
    async def rollout(event: Any, **_: Any) -> None:
        on_event(ROLLOUTS, event["type"] or "LISTED", event["object"])

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """Settings of kopf with everything switched off except the watches."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.finalizer = "modelops.code-chef.dev/kopf-unused"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 300
    settings.networking.error_backoffs = (0.5, 1, 2, 4, 8)
    return settings


async def run_kopf(
    on_event: EventHandler, connection: Connection, *, namespaces: Sequence[str], started: Callable[[], None]
) -> None:
    """Passes events to `on_event` until cancelled, or until kopf fails.

    At its end kopf cancels every task that was created after its start, so create other tasks before. `started`
    is called when kopf has installed its signal handlers, so that the caller can replace them.
    """
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=build_registry(on_event, connection),
        settings=kopf_settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    started()
    await kopf.run_tasks(tasks, ignored=existing)


def _session(connection: Connection) -> aiohttp.ClientSession:
    context = connection.ssl_context()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=True if context is None else context),
        headers=connection.headers(),
    )


class NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing. kopf would otherwise copy every object at every event."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """Stores nothing, because no handler has progress."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence
