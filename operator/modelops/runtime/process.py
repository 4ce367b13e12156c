"""The life of the operator's process: standby, lead, stop. Its order is what makes it safe, see `lead`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.adapters.kube.transport import NotFound
from modelops.api.v1alpha1.names import GROUP, VERSION
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.lease import LeaderLease, LeaseTimes, is_dead_here, process_identity
from modelops.ports import Unavailable
from modelops.runtime.app import KINDS, run_kopf
from modelops.runtime.following import Following
from modelops.runtime.health import Health, ManagementServer
from modelops.runtime.installation import installation_id
from modelops.runtime.metrics import Metrics
from modelops.runtime.settings import Settings
from modelops.runtime.wiring import build_operator

LEASE: Final = "modelops-operator"
STOPPED, FAILED, LEASE_LOST = 0, 1, 3
"""Exit codes. After the last two whoever runs us starts us again."""

_POLL_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class OperatorProcess:
    """One run of the operator, from `run` to its exit code."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._health = Health()
        self._stop = asyncio.Event()
        self._urls: dict[str, str] = {}

    async def run(self) -> int:
        """Leads until a signal, a failure, or the loss of the lease.

        Raises:
            ConfigurationError, Refused: the environment or the cluster is not fit; the message says why.
        """
        settings = self._settings
        connection = Connection.discover(settings.kubeconfig)
        _log.info("API server %s, from %s", connection.server, connection.source)
        self._take_signals()
        server = ManagementServer(self._health, self._metrics, host=settings.host, port=settings.metrics_port)
        self._urls["metrics"] = await server.start()
        transport = Transport(connection, on_call=self._metrics.kubernetes_request)
        try:
            async with KubeClient(transport) as kube, _beside(self._metrics.measure_lag()):
                return await self._stand_by(kube, connection)
        finally:
            await server.close()
            self._remove_address()

    async def _stand_by(self, kube: KubeClient, connection: Connection) -> int:
        """Waits for our kinds and for the lease, then leads."""
        namespace = self._settings.namespace or connection.namespace
        duration = self._settings.lease_seconds
        lease = LeaderLease(
            kube.with_gate(lambda: None),
            namespace=namespace,
            name=LEASE,
            identity=process_identity(),
            clock=self._clock,
            times=LeaseTimes(duration=duration, renew_deadline=duration * 2 / 3, retry=duration * 2 / 15),
            holder_is_dead=is_dead_here,
        )
        kube.gate = lease.gate
        if not await self._unless_stopped(self._kinds_served(kube)):
            return STOPPED
        self._health.phase, self._health.missing = "standby", ("lease",)
        if not await self._unless_stopped(lease.acquire()):
            return STOPPED
        self._health.phase, self._health.missing = "leading", ("caches",)
        self._health.alive = lambda: "" if lease.held else "the lease was not renewed in time"
        self._metrics.leading(True)
        try:
            return await self._lead(kube, connection, lease, namespace)
        finally:
            self._health.phase, self._health.alive = "stopping", lambda: ""
            self._metrics.leading(False)
            await lease.release()

    async def _lead(
        self, kube: KubeClient, connection: Connection, lease: LeaderLease, namespace: str
    ) -> int:
        """Fills the cache completely, then works; at the end stops working before anything else is taken
        away.

        A decision made from half a cache could take a record for missing. kopf comes last, because it ends
        every task that was created after it.
        """
        settings = self._settings
        cache = ObjectCache(monotonic=self._clock.monotonic)
        held = asyncio.create_task(lease.hold(), name="lease")
        parts = build_operator(
            settings,
            kube=kube,
            cache=cache,
            clock=self._clock,
            metrics=self._metrics,
            installation=await installation_id(kube, namespace),
        )
        following = Following(kube, cache, self._metrics, namespaces=settings.watch_namespaces)
        running = [held]
        try:
            await parts.reports.start()
            self._urls["reports"] = parts.reports.url
            following.start()
            if not await self._unless_stopped(self._filled(following), held):
                return STOPPED if self._stop.is_set() else LEASE_LOST
            running += [
                asyncio.create_task(parts.poller.run(), name="job poller"),
                asyncio.create_task(parts.strays.run(), name="stray jobs"),
                asyncio.create_task(following.list_kinds_every(settings.resync_seconds), name="full listing"),
            ]
            parts.queue.start()
            running.append(
                asyncio.create_task(
                    run_kopf(
                        following.pump,
                        connection,
                        namespaces=settings.watch_namespaces,
                        started=self._take_signals,
                    ),
                    name="kopf",
                )
            )
            self._ready(len(cache))
            return await self._until_one_ends(running, held)
        finally:
            _log.info("stopping")
            self._health.phase = "stopping"
            await parts.queue.close(grace=_GRACE_SECONDS)
            await following.close()
            await _cancelled(running)
            await parts.reports.close()
            await asyncio.to_thread(parts.close)

    async def _until_one_ends(self, running: list[asyncio.Task[None]], held: asyncio.Task[None]) -> int:
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        done, _ = await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._stop.is_set():
            return STOPPED
        if held in done:
            return LEASE_LOST
        for task in done:
            error = None if task.cancelled() else task.exception()
            _log.error("%s ended: %r", task.get_name(), error, exc_info=error)
        return FAILED

    async def _kinds_served(self, kube: KubeClient) -> None:
        """Waits until the API server serves our three kinds."""
        said: tuple[str, ...] = ()
        while True:
            missing = await self._missing_kinds(kube)
            if not missing:
                return
            self._health.missing = missing
            if missing != said:
                _log.warning("waiting for %s: `kubectl apply -f crds/`", ", ".join(missing))
                said = missing
            await asyncio.sleep(_POLL_SECONDS)

    async def _missing_kinds(self, kube: KubeClient) -> tuple[str, ...]:
        wanted = {f"{kind.plural}.{kind.group}": kind.plural for kind in KINDS}
        try:
            found = await kube.transport.call("get", f"/apis/{GROUP}/{VERSION}", plural="apis")
        except NotFound:
            return tuple(wanted)
        except Unavailable as error:
            return (f"the API server: {error}",)
        served = {resource["name"] for resource in found["resources"]}
        return tuple(name for name, plural in wanted.items() if plural not in served)

    async def _filled(self, following: Following) -> None:
        """Lists the three kinds, then waits for the first list of every watch."""
        while True:
            try:
                await following.list_kinds()
                break
            except Unavailable as error:
                _log.warning("the first listing failed, again in %.0f s: %s", _POLL_SECONDS, error)
                await asyncio.sleep(_POLL_SECONDS)
        while following.missing:
            self._health.missing = following.missing
            await asyncio.sleep(0.01)
        self._health.missing = ()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None], *others: asyncio.Task[None]) -> bool:
        """Whether `work` came to its end before a signal or the end of one of `others`. Its errors are
        raised.
        """
        working, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait([working, stopped, *others], return_when=asyncio.FIRST_COMPLETED)
        await _cancelled([stopped])
        if not working.done():
            await _cancelled([working])
            return False
        await working
        return True

    def _ready(self, objects: int) -> None:
        _log.info("leading with %d objects: %s", objects, self._urls)
        self._address_file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self._urls, "pid": os.getpid()}) + "\n"
        fresh = self._address_file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._address_file)

    def _remove_address(self) -> None:
        """Unless it is that of another operator, which leads by now."""
        try:
            ours = json.loads(self._address_file.read_text()).get("pid") == os.getpid()
        except (OSError, ValueError):
            return
        if ours:
            self._address_file.unlink(missing_ok=True)

    @property
    def _address_file(self) -> Path:
        """Where /metrics and the reports are, for whoever let us choose the ports."""
        return self._settings.state_dir / "operator.json"

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await _cancelled([task])


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
