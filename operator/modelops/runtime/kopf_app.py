"""The kopf application: it pumps events of the three kinds into the cache, and does nothing else.

kopf gets no storage, posts nothing, scans nothing and has no peers: leadership is our lease's, retries are
our queue's. `on.event` handlers never fail and never wait.
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
Pump = Callable[[Resource, str, Json], None]
"""Takes an event: resource, type (ADDED, MODIFIED, DELETED, or LISTED) and object."""


def registry_for(pump: Pump, connection: Connection) -> kopf.OperatorRegistry:
    """The handlers: one per kind, and how to log in."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=_session(connection))

    @kopf.on.event(AGENT_MODELS.group, AGENT_MODELS.version, AGENT_MODELS.plural, registry=registry)
    async def agent_model(event: Any, **_: Any) -> None:
        pump(AGENT_MODELS, event["type"] or "LISTED", event["object"])

    @kopf.on.event(TRAINING_RUNS.group, TRAINING_RUNS.version, TRAINING_RUNS.plural, registry=registry)
    async def training_run(event: Any, **_: Any) -> None:
        pump(TRAINING_RUNS, event["type"] or "LISTED", event["object"])

    @kopf.on.event(ROLLOUTS.group, ROLLOUTS.version, ROLLOUTS.plural, registry=registry)
    async def rollout(event: Any, **_: Any) -> None:
        pump(ROLLOUTS, event["type"] or "LISTED", event["object"])

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as a mere pump (research in docs/designs: what each of these prevents)."""
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
    pump: Pump, connection: Connection, *, namespaces: Sequence[str], started: Callable[[], None]
) -> None:
    """Pumps until cancelled, or until kopf fails. It ends every task that is created after it: start yours
    first.

    `started` is called when kopf has taken the process' signals, so that they can be taken back.
    """
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry_for(pump, connection),
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
    """Remembers nothing: kopf would copy every object for it, at every event."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """Remembers nothing: there are no handlers that make progress."""

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
