"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from modelops.runtime.metrics import Metrics


@dataclass
class Health:
    """What the probes are answered from. `phase` is for people: starting, standby, leading, stopping.

    `alive` is asked at each /healthz; a reason to restart this process, or an empty string.
    `missing`: what is waited for before the process counts as ready.
    """

    phase: str = "starting"
    missing: tuple[str, ...] = ("start",)
    alive: Callable[[], str] = field(default=lambda: "")

    @property
    def ready(self) -> bool:
        """A standby is ready too: it would take over."""
        return self.phase == "standby" or (self.phase == "leading" and not self.missing)


class ManagementServer:
    """Serves the three paths from `start` to `close`; an answer at all shows that the event loop lives."""

    def __init__(self, health: Health, metrics: Metrics, *, host: str, port: int) -> None:
        self._health = health
        self._metrics = metrics
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listens; returns the base URL. Raises OSError where the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host = "127.0.0.1" if self._host == "0.0.0.0" else self._host
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        problem = self._health.alive()
        return web.json_response({"ok": not problem, "problem": problem}, status=503 if problem else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        health = self._health
        body = {"ready": health.ready, "phase": health.phase, "missing": list(health.missing)}
        return web.json_response(body, status=200 if health.ready else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )
