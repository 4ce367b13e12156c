"""kopf as the source of events of the three kinds: it passes them to the cache, and does nothing else.

kopf has no storage, posts no Events, does not scan for resources and has no peers: the operator's own lease
decides the leader, and its own queue retries. The `on.event` handlers never fail and never wait.

kopf runs in a thread with an event loop of its own, because only so can it be started again. When one of its tasks
fails, such as a watch whose CRD was deleted, `kopf.run_tasks` waits for the others for ever (kopf 1.45.2); and at its
end it cancels every task of its loop that began after it, a submission of a paid job among them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import kopf

from modelops.adapters.kube import Connection
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource

KINDS = (AGENT_MODELS, TRAINING_RUNS, ROLLOUTS)
EventHandler = Callable[[Resource, str, Json], None]
"""Receives an event: the resource, the type (ADDED, MODIFIED, DELETED or LISTED) and the object."""

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 5.0
_log = logging.getLogger(__name__)
# It warns at each start that signals are ignored outside the main thread, where the operator handles them itself.
logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


_IDENTITY: Any = "modelops"  # of kopf's peering, which is off; its type is not public


class KopfEvents:
    """Passes the events of the three kinds to `on_event`, in the event loop of `run`.

    `prepare` is awaited before kopf is started again: it waits until the kinds are served and lists them, because kopf
    does not say what was deleted meanwhile. `namespaces` is called at each start; empty stands for all of them.
    `problem` says why no events come at the moment; it is empty while they do.
    """

    def __init__(
        self,
        on_event: EventHandler,
        connection: Connection,
        *,
        namespaces: Callable[[], Sequence[str]],
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._on_event = on_event
        self._connection = connection
        self._namespaces = namespaces
        self._prepare = prepare
        self.problem = ""

    async def run(self) -> None:
        """Runs kopf until cancelled, and starts it again whenever one of its tasks ends."""
        backoff = _FIRST_BACKOFF
        while True:
            thread = _KopfThread(self._on_event, self._connection, self._namespaces())
            started = asyncio.get_running_loop().time()
            try:
                error = await thread.wait_for_end()
            finally:
                thread.stop()
            if asyncio.get_running_loop().time() - started > _LONGEST_BACKOFF:
                backoff = _FIRST_BACKOFF
            self.problem = f"kopf's watches of the three kinds ended, and are started again: {error!r}"
            _log.error("%s", self.problem)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
            await self._prepare()
            self.problem = ""


class _KopfThread:
    """One start of kopf. Events and the end are passed to the event loop that created this object."""

    def __init__(self, on_event: EventHandler, connection: Connection, namespaces: Sequence[str]) -> None:
        self._on_event = on_event
        self._connection = connection
        self._namespaces = namespaces
        self._outer = asyncio.get_running_loop()
        self._end: asyncio.Future[BaseException | None] = self._outer.create_future()
        self._inner = asyncio.new_event_loop()
        self._stopped = False
        threading.Thread(target=self._run, name="kopf", daemon=True).start()

    async def wait_for_end(self) -> BaseException | None:
        """Waits until one of kopf's tasks ends; returns its error."""
        return await self._end

    def stop(self) -> None:
        """Ends kopf and delivers nothing more; does not wait for the thread."""
        self._stopped = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended by itself
            self._inner.call_soon_threadsafe(self._cancel_all)

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self._inner):
            task.cancel()

    def _run(self) -> None:
        try:
            with (
                asyncio.Runner(loop_factory=lambda: self._inner) as runner,
                contextlib.suppress(asyncio.CancelledError),
            ):
                runner.run(self._watch())
        except Exception as error:  # noqa: BLE001 - the edge of the thread: the end must be told
            self._tell_end(error)

    async def _watch(self) -> None:
        tasks = await kopf.spawn_tasks(
            registry=build_registry(self._deliver, self._connection),
            settings=kopf_settings(),
            standalone=True,
            # kopf would make one of the user's name, and a container's user has none.
            identity=_IDENTITY,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
        )
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        errors = [task.exception() for task in done if not task.cancelled()]
        self._tell_end(next((error for error in errors if error is not None), None))

    def _deliver(self, resource: Resource, event: str, item: Json) -> None:
        self._call(self._on_event, resource, event, item)

    def _tell_end(self, error: BaseException | None) -> None:
        def tell() -> None:
            if not self._end.done():
                self._end.set_result(error)

        self._call(tell)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls the function in the operator's loop, unless this start was stopped meanwhile."""

        def unless_stopped() -> None:
            if not self._stopped:
                function(*arguments)

        with contextlib.suppress(RuntimeError):  # the operator's loop is closed: the process ends
            self._outer.call_soon_threadsafe(unless_stopped)


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
