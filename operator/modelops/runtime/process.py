"""The operator's process: it stands by, leads and stops. The order of these steps matters, see `_lead`."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.adapters.kube.answers import NotFound
from modelops.adapters.reports import ReportForwarder
from modelops.api.v1alpha1.names import GROUP, LEASE, VERSION
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.lease import LeaderLease, LeaseTimes, is_dead_here, process_identity
from modelops.engine.queue import KeyedQueue
from modelops.listening import base_url, reachable_host
from modelops.loopback import SWITCH, NotLoopbackError, assert_address
from modelops.ports import Unavailable
from modelops.runtime.address_file import AddressFile
from modelops.runtime.crd_fields import compare_crds
from modelops.runtime.health import Health, ManagementServer
from modelops.runtime.installation import installation_id
from modelops.runtime.kopf_app import KINDS, KopfEvents
from modelops.runtime.metrics import Metrics
from modelops.runtime.namespaces import NamespaceReturned, WorkNamespaces
from modelops.runtime.settings import Settings
from modelops.runtime.watches import ClusterWatches
from modelops.runtime.wiring import build_operator

REPORTS_ANNOTATION: Final = f"{GROUP}/reports-url"
"""Of the lease: where its holder receives the agents' reports."""
STOPPED, FAILED, LEASE_LOST = 0, 1, 3
"""Exit codes. After FAILED and LEASE_LOST the process must be started again, as a Deployment does."""

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
        self._address_file = AddressFile(settings.state_dir / "operator.json")

    async def run(self) -> int:
        """Leads until a signal, a failure, or the loss of the lease; returns the exit code.

        Raises:
            ConfigurationError, Refused: the environment or the cluster cannot be used; the message says why.
        """
        settings = self._settings
        connection = Connection.discover(settings.kubeconfig)
        _log.info("using API server %s, from %s", connection.server, connection.source)
        self._install_signal_handlers()
        server = ManagementServer(self._health, self._metrics, host=settings.host, port=settings.metrics_port)
        self._urls["metrics"] = await server.start()
        transport = Transport(connection, on_call=self._metrics.kubernetes_request)
        try:
            async with KubeClient(transport) as kube, _in_background(self._metrics.measure_lag()):
                return await self._acquire_lease_and_lead(kube, connection)
        finally:
            await server.close()
            self._address_file.remove()

    async def _acquire_lease_and_lead(self, kube: KubeClient, connection: Connection) -> int:
        """Waits for the CRDs and for the lease, then leads."""
        namespace = self._settings.namespace or connection.namespace
        duration = self._settings.lease_seconds
        lease = LeaderLease(
            kube.with_before_write(lambda: None),
            namespace=namespace,
            name=LEASE,
            identity=process_identity(),
            clock=self._clock,
            times=LeaseTimes(duration=duration, renew_deadline=duration * 2 / 3, retry=duration * 2 / 15),
            holder_is_dead=is_dead_here,
        )
        kube.before_write = lease.require_leadership
        self._metrics.lease_transitions(lambda: lease.transitions)
        if not await self._run_unless_stopped(self._wait_for_crds(kube)):
            return STOPPED
        self._health.phase, self._health.missing = "standby", ("lease",)
        if not await self._stand_by(lease):
            return STOPPED
        self._health.phase, self._health.missing = "leading", ("caches",)
        self._health.liveness_problem = lambda: "" if lease.held else "the lease was not renewed in time"
        self._metrics.leading(True)
        try:
            return await self._lead(kube, connection, lease, namespace)
        finally:
            self._health.phase, self._health.liveness_problem = "stopping", lambda: ""
            self._metrics.leading(False)
            await lease.release()

    async def _stand_by(self, lease: LeaderLease) -> bool:
        """Waits for the lease, and meanwhile sends agents' reports on to the leader; False after a signal."""
        settings = self._settings
        # Whoever opens a sandboxed operator to other machines by MODELOPS_BIND_ADDRESS has its leader on one of them.
        environ = {SWITCH: "1"} if settings.sandbox and not settings.bind_address else {}

        def refusal(url: str) -> str:
            try:
                assert_address("the address of the leader", url, environ)
            except NotLoopbackError as error:
                return str(error)
            return ""

        forwarder = ReportForwarder(
            lambda: lease.annotation_of_holder(REPORTS_ANNOTATION),
            host=settings.host,
            port=settings.report_port,
            may_send=refusal,
        )
        try:
            await forwarder.start()
            _log.info("until it leads, this process sends reports on from port %d", forwarder.port)
        except OSError as error:
            _log.warning("reports are not sent on, because the port cannot be used: %s", error)
        try:
            return await self._run_unless_stopped(lease.acquire())
        finally:
            await forwarder.close()

    async def _lead(
        self, kube: KubeClient, connection: Connection, lease: LeaderLease, namespace: str
    ) -> int:
        """Fills the cache, then starts the queue; at the end stops the queue before everything else.

        The cache must be complete first, because a decision from an incomplete cache could take a record for
        missing.
        """
        settings = self._settings
        cache = ObjectCache(monotonic=self._clock.monotonic)
        lease_task = asyncio.create_task(lease.hold(), name="lease")
        parts = build_operator(
            settings,
            kube=kube,
            cache=cache,
            clock=self._clock,
            metrics=self._metrics,
            installation=await installation_id(kube, namespace),
            home=namespace,
        )
        namespaces = WorkNamespaces(settings.watch_namespaces)
        self._health.left_out = lambda: namespaces.warnings
        watches = ClusterWatches(kube, cache, self._metrics, namespaces=namespaces, home=namespace)
        events = KopfEvents(
            watches.apply_event,
            connection,
            namespaces=lambda: namespaces.working,
            prepare=lambda: self._list_kinds(kube, watches),
        )
        running = [lease_task]
        try:
            await parts.reports.start()
            self._urls["reports"] = parts.reports.url
            lease.annotations = {REPORTS_ANNOTATION: reachable_url(parts.reports.url)}
            watches.start()
            self._health.watch_problems = lambda: (*watches.problems, *filter(None, [events.problem]))
            if not await self._run_unless_stopped(self._fill_cache(kube, watches), lease_task):
                return STOPPED if self._stop.is_set() else LEASE_LOST
            self._metrics.serve_objects(parts.object_metrics.render)
            running += [
                asyncio.create_task(parts.poller.run(), name="job poller"),
                asyncio.create_task(parts.orphan_jobs.run(), name="orphan jobs"),
                asyncio.create_task(parts.notifier.run(), name="notifications"),
                asyncio.create_task(watches.relist_every(settings.resync_seconds), name="full lists"),
                asyncio.create_task(namespaces.until_one_returns(kube), name="left out namespaces"),
            ]
            parts.queue.start()
            running.append(asyncio.create_task(events.run(), name="kopf"))
            self._health.progress = lambda: first_pass(parts.queue)
            _log.info("leading with %d objects in the cache: %s", len(cache), self._urls)
            self._address_file.write(self._urls)
            return await self._wait_for_end(running, lease_task)
        finally:
            _log.info("stopping")
            self._metrics.serve_objects()
            self._health.phase, self._health.watch_problems = "stopping", lambda: ()
            await parts.queue.close(grace=_GRACE_SECONDS)
            parts.touches.close()
            await watches.close()
            await _cancel_all(running)
            await parts.reports.close()
            await parts.metric_answers.close()
            await asyncio.to_thread(parts.close)

    async def _wait_for_end(self, running: list[asyncio.Task[None]], lease_task: asyncio.Task[None]) -> int:
        """Waits for a signal or for the end of a task; returns the exit code."""
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        done, _ = await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._stop.is_set():
            return STOPPED
        if lease_task in done:
            return LEASE_LOST
        for task in done:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, NamespaceReturned):
                _log.warning("%s", error)
                continue
            _log.error("task %r ended unexpectedly: %r", task.get_name(), error, exc_info=error)
        return FAILED

    async def _wait_for_crds(self, kube: KubeClient) -> None:
        """Waits until the API server serves the three kinds."""
        logged: tuple[str, ...] = ()
        while True:
            missing = await self._missing_crds(kube)
            if not missing:
                return
            self._health.missing = missing
            if missing != logged:
                _log.warning(
                    "waiting for %s; if a CRD is missing, run `kubectl apply -f crds/`", ", ".join(missing)
                )
                logged = missing
            await asyncio.sleep(_POLL_SECONDS)

    async def _missing_crds(self, kube: KubeClient) -> tuple[str, ...]:
        wanted = {f"{kind.plural}.{kind.group}": kind.plural for kind in KINDS}
        try:
            found = await kube.transport.call("get", f"/apis/{GROUP}/{VERSION}", plural="apis")
        except NotFound:
            return tuple(wanted)
        except Unavailable as error:
            return (f"the API server ({error})",)
        served = {resource["name"] for resource in found["resources"]}
        return tuple(name for name, plural in wanted.items() if plural not in served)

    async def _fill_cache(self, kube: KubeClient, watches: ClusterWatches) -> None:
        """Lists the three kinds, then waits for the first list of every watch."""
        await self._list_kinds(kube, watches)
        while watches.unsynced:
            self._health.missing = watches.unsynced
            await asyncio.sleep(0.01)
        self._health.missing = ()

    async def _list_kinds(self, kube: KubeClient, watches: ClusterWatches) -> None:
        """Lists the three kinds as soon as the API server serves all of them."""
        while True:
            missing = await self._missing_crds(kube)
            try:
                if not missing:
                    await watches.relist()
                    await self._compare_crds(kube)
                    return
                problem = f"the API server does not serve {', '.join(missing)}: `kubectl apply -f crds/`"
            except Unavailable as error:
                problem = str(error)
            _log.warning(
                "the three kinds cannot be listed, it is tried again in %.0f s: %s", _POLL_SECONDS, problem
            )
            await asyncio.sleep(_POLL_SECONDS)

    async def _compare_crds(self, kube: KubeClient) -> None:
        """Says in the log and in /readyz where a CRD has other fields than this operator."""
        found = await compare_crds(kube.transport)
        for warning in found:
            if warning not in self._health.warnings:
                _log.warning("%s", warning)
        self._health.warnings = found

    async def _run_unless_stopped(self, work: Coroutine[Any, Any, None], *others: asyncio.Task[None]) -> bool:
        """Runs `work`; returns whether it ended before a signal and before one of `others`. Raises its errors."""
        working, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait([working, stopped, *others], return_when=asyncio.FIRST_COMPLETED)
        await _cancel_all([stopped])
        if not working.done():
            await _cancel_all([working])
            return False
        await working
        return True

    def _install_signal_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)


def first_pass(queue: KeyedQueue) -> str:
    """How many of the objects that were there at the start have been decided on; empty when all have."""
    left, size = queue.first_pass_left, queue.first_pass_size
    return f"{size - left} of {size} objects were decided on since the start" if left else ""


def reachable_url(url: str) -> str:
    """The URL for other Pods: an address of this host instead of "every address"."""
    parts = urlsplit(url)
    host = reachable_host(parts.hostname or "")
    return base_url(host, parts.port or 80) + parts.path


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await _cancel_all([task])


async def _cancel_all(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
