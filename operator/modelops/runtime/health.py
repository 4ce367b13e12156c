"""The server of /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from modelops.listening import base_url, listen, local_host
from modelops.runtime.metrics import Metrics


@dataclass
class Health:
    """The state that the probes report. `phase` is for people: starting, standby, leading or stopping.

    `liveness_problem` is called at each /healthz; it returns a reason to restart this process, or an empty
    string. `missing` names the steps that are not done yet, and `watch_problems` returns the watches that deliver
    nothing at the moment: a leader is ready when both are empty.
    """

    phase: str = "starting"
    missing: tuple[str, ...] = ("start",)
    liveness_problem: Callable[[], str] = field(default=lambda: "")
    watch_problems: Callable[[], tuple[str, ...]] = field(default=lambda: ())
    progress: Callable[[], str] = field(default=lambda: "")
    """How far the first pass over all objects is; empty when it is over."""
    warnings: tuple[str, ...] = ()
    """What is wrong and does not keep the process from being ready; for people."""
    left_out: Callable[[], tuple[str, ...]] = field(default=lambda: ())
    """The namespaces in which the operator does not work, as further warnings."""

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """What keeps this process from being ready; for people."""
        return (*self.missing, *self.watch_problems())

    @property
    def ready(self) -> bool:
        """Whether the process is ready: it leads with everything loaded, or it stands by and could take over."""
        return self.phase == "standby" or (self.phase == "leading" and not self.waiting_for)


class ManagementServer:
    """Serves the three paths from `start` to `close`. Any answer shows that the event loop runs."""

    def __init__(self, health: Health, metrics: Metrics, *, host: str, port: int) -> None:
        self._health = health
        self._metrics = metrics
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Starts to listen and returns the base URL. Raises OSError where the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, listen(self._host, self._port)).start()
        return base_url(local_host(self._host), self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        problem = self._health.liveness_problem()
        return web.json_response({"ok": not problem, "problem": problem}, status=503 if problem else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        health = self._health
        body = {"ready": health.ready, "phase": health.phase, "missing": list(health.waiting_for)}
        if progress := health.progress():
            body["progress"] = progress
        if warnings := [*health.warnings, *health.left_out()]:
            body["warnings"] = warnings
        return web.json_response(body, status=200 if health.ready else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )
