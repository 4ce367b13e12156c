"""Serves the MCP server: over standard input and output, or over HTTP, on this machine or in a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvicorn
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer, RequestStateSecurity
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from modelops.client import Access, AsyncClient
from modelops.listening import base_url, listen
from modelops.mcp_server.impersonating import AUDIENCE, EXTRA_KEYS, ImpersonatedCallers, TokenReviewVerifier
from modelops.mcp_server.quotes import Quotes
from modelops.mcp_server.rate import RateLimit
from modelops.mcp_server.server import build_server
from modelops.mcp_server.services import Services, local_services
from modelops.tools.datasets import Catalogs

_logger = logging.getLogger(__name__)
PORT: Final = 8765
CALLS_PER_MINUTE: Final = 120
_ISSUER: Final = "https://kubernetes.default.svc"
"""Who issues the tokens. The SDK wants it named; it is not published, since nobody can log in there by OAuth."""
_SHORTEST_KEY: Final = 32
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class CannotServe(Exception):
    """The options do not fit together. The message says what to change."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """How to serve over HTTP.

    `allowed_hosts`: values of the header Host that are answered, `name` or `name:*` for every port. `token_review`:
    callers log in by a bearer token and are impersonated, with those extra fields that `extra_keys` lists. `key_file`:
    32 random bytes or more, the same in every replica; without it answers and quotes end with the process.
    `tls_certificate`, `tls_key`: files for HTTPS. `catalogs`: how the datasets of LangSmith are read.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token_review: bool = False
    audiences: tuple[str, ...] = (AUDIENCE,)
    extra_keys: tuple[str, ...] = EXTRA_KEYS
    allowed_hosts: tuple[str, ...] = ()
    calls_per_minute: int = CALLS_PER_MINUTE
    key_file: Path | None = None
    only_people: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    catalogs: Catalogs | None = None


async def serve_stdio(access: Access, *, only_people: bool = False, catalogs: Catalogs | None = None) -> None:
    """Serve the client that started this process, until it closes the standard input."""
    _log_to_stderr(logging.WARNING)
    services = local_services(access, only_people=only_people, catalogs=catalogs)
    await build_server(services).run_stdio_async()


async def serve_http(access: Access, options: HttpOptions) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CannotServe: other machines could reach a server without authentication or could not reach one with it, or the
            key is too short.
        OSError: the port is taken.
    """
    if not options.token_review and not _is_loopback(options.host):
        raise CannotServe(
            f"without --auth tokenreview everybody who reaches {options.host} would act with your rights: listen on "
            "127.0.0.1, or use --auth tokenreview in a cluster"
        )
    if options.token_review and not options.allowed_hosts and not _is_loopback(options.host):
        raise CannotServe(
            "name the hosts by which clients reach the server, with --allowed-host NAME:* for each: others are "
            "refused, so that no web page can call it"
        )
    _log_to_stderr(logging.INFO)
    if options.token_review and not options.tls_certificate and not _is_loopback(options.host):
        _logger.warning("bearer tokens are sent in the clear: give --tls-certificate, or put TLS in front")
    secret = _secret(options.key_file)
    listening = listen(options.host, options.port)
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        http_app(access, replace(options, port=port), secret),
        log_config=None,
        log_level="warning",
        ssl_certfile=str(options.tls_certificate) if options.tls_certificate else None,
        ssl_keyfile=str(options.tls_key) if options.tls_key else None,
        timeout_graceful_shutdown=5,
    )
    address = base_url(host, port).removeprefix("http")
    _logger.info("MCP at %s%s/mcp", "https" if options.tls_certificate else "http", address)
    await _Server(config).serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends quietly: the original raises the signal again after it has ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End, with what is under way, at SIGINT and SIGTERM."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def http_app(access: Access, options: HttpOptions, secret: bytes) -> Starlette:
    """The application, with `/mcp` for clients and `/healthz` for probes."""
    if options.token_review:
        server = _server_in_cluster(access, options, secret)
    else:
        services = local_services(access, only_people=options.only_people, catalogs=options.catalogs)
        server = build_server(services)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    server.custom_route("/healthz", methods=["GET"])(healthz)
    hosts = options.allowed_hosts or tuple(f"{host}:*" for host in _LOOPBACK)
    # Web pages of its own address only; it has none. In a cluster the address may be shared with other pages.
    origins = [] if options.token_review else [f"http://{host}:{options.port}" for host in _LOOPBACK]
    security = TransportSecuritySettings(allowed_hosts=[*hosts], allowed_origins=origins)
    return server.streamable_http_app(transport_security=security, host=options.host)


def _server_in_cluster(access: Access, options: HttpOptions, secret: bytes) -> MCPServer[Services]:
    own = AsyncClient(access)
    quotes = Quotes(secret)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Services]:
        callers = ImpersonatedCallers(own, extra_keys=options.extra_keys, clock=time.monotonic)
        try:
            yield Services(
                callers=callers,
                quotes=quotes,
                rate=RateLimit(options.calls_per_minute, clock=time.monotonic),
                only_people=options.only_people,
                catalogs=options.catalogs,
            )
        finally:
            await own.close()

    return build_server(
        opened,
        token_verifier=TokenReviewVerifier(own, audiences=options.audiences, clock=time.monotonic),
        auth=AuthSettings.model_validate({"issuer_url": _ISSUER, "resource_server_url": None}),
        request_state=RequestStateSecurity(keys=[secret]),
    )


def _secret(file: Path | None) -> bytes:
    if file is None:
        return secrets.token_bytes(_SHORTEST_KEY)
    try:
        found = file.read_bytes().strip()
    except OSError as error:
        raise CannotServe(f"the key file cannot be read: {error}") from error
    if len(found) < _SHORTEST_KEY:
        raise CannotServe(
            f"{file} has {len(found)} bytes, and {_SHORTEST_KEY} are needed: `openssl rand -hex 32` makes some"
        )
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _log_to_stderr(level: int) -> None:
    """Before the SDK does it in colours. Standard output belongs to the protocol."""
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
