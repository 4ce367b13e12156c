"""A standby's server for agents' reports: it sends each one on to the leader, whose address the lease names.

So the replicas can be behind one Service, which sends a report to any of them. The leader checks the token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp import web

from modelops.adapters.reports.body import MAX_BODY_BYTES
from modelops.adapters.reports.server import PATH
from modelops.listening import listen

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 5.0


class ReportForwarder:
    """Forwards reports from `start` to `close`. `leader_url` returns the leader's report address; empty: none is known.

    `may_send` returns why a token may not be sent to an address; empty where it may be.
    """

    def __init__(
        self,
        leader_url: Callable[[], str],
        *,
        host: str,
        port: int,
        may_send: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._leader_url = leader_url
        self._host = host
        self._port = port
        self._may_send = may_send
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def port(self) -> int:
        """The port on which it listens."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the forwarder is not started: call start() first")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listens. Raises OSError where the port is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self._forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=5.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listen(self._host, self._port)).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))

    async def close(self) -> None:
        """Stops listening, so that the leader's own server can take the port."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._session = self._runner = None

    async def _forward(self, request: web.Request) -> web.Response:
        url = self._leader_url()
        refusal = self._may_send(url) if url else "no process leads at the moment"
        if refusal or self._session is None:
            return _unavailable(f"{refusal}; report again")
        headers = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        headers["Content-Type"] = "application/json"
        body = await request.read()
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                content_type = answer.headers.get("Content-Type")
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers={"Content-Type": content_type} if content_type else None,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("a report could not be sent on to the leader at %s: %r", url, error)
            return _unavailable("the leader did not answer; report again")


def _unavailable(message: str) -> web.Response:
    return web.json_response({"error": message}, status=503)
