"""The operator's server for reports: `POST /v1/report`.

The token decides who may report. In a cluster it also proves the namespace and the Pod of the sender. The
content of a report is used only for the summary of its agent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from modelops.adapters.reports.body import MAX_BODY_BYTES, ReportBody
from modelops.adapters.reports.report_store import ReportStore
from modelops.listening import base_url, listen
from modelops.ports import Clock, NotLeader, Refused, Unavailable, Uncertain

logger = logging.getLogger(__name__)

PATH: Final = "/v1/report"
POD_NAME: Final = "authentication.kubernetes.io/pod-name"
REVIEW_CACHE_SECONDS: Final = 60.0
MAX_CACHED_REVIEWS: Final = 2_000
MAX_CONCURRENT_REVIEWS: Final = 8
MAX_WAITING_REVIEWS: Final = 64
"""Further unknown tokens are answered with 503, so that a flood of them does not reach the API server."""
MAX_TOKEN_CHARACTERS: Final = 8 * 1024
BODY_TIMEOUT_SECONDS: Final = 10.0
"""A request whose body takes longer is answered with 408."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a report. Fields that the token does not prove are empty."""

    namespace: str = ""
    pod: str = ""


TokenCheck = Callable[[str], Awaitable[Caller | None]]
"""Returns None for a token that may not report. Raises Unavailable where the token cannot be checked now."""


def shared_secret(secret: str) -> TokenCheck:
    """A check for one token that all agents share, as in the sandbox. Raises ValueError below 16 characters."""
    if len(secret) < 16:
        raise ValueError(
            f"the shared secret of reports has {len(secret)} characters; use at least 16 characters"
        )

    async def check(token: str) -> Caller | None:
        encoded = token.encode(errors="surrogateescape")
        return Caller() if hmac.compare_digest(encoded, secret.encode()) else None

    return check


def token_review(
    review: Callable[[str], Awaitable[Mapping[str, Any]]],
    *,
    clock: Clock,
    seconds: float = REVIEW_CACHE_SECONDS,
) -> TokenCheck:
    """A check for service accounts of the cluster. `review` posts a TokenReview and returns its `status`.

    An answer is cached for `seconds` under the token's digest. Accepted and rejected tokens have separate
    caches of `MAX_CACHED_REVIEWS`, so that rejected tokens do not displace accepted ones. A text that cannot be
    a service account's token is rejected without a review.
    """
    accepted: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
    rejected: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
    turn = asyncio.Semaphore(MAX_CONCURRENT_REVIEWS)
    waiting = 0

    async def check(token: str) -> Caller | None:
        nonlocal waiting
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or token.count(".") != 2:
            return None
        key = hashlib.sha256(token.encode()).digest()
        for known in (accepted, rejected):
            at, caller = known.get(key, (float("-inf"), None))
            if clock.monotonic() - at <= seconds:
                return caller
        if waiting >= MAX_WAITING_REVIEWS:
            raise Unavailable(
                f"{MAX_WAITING_REVIEWS} unknown tokens already wait for a TokenReview; report again"
            )
        waiting += 1
        try:
            async with turn:
                caller = caller_of(await review(token))
        finally:
            waiting -= 1
        accepted.pop(key, None)
        known = rejected if caller is None else accepted
        known[key] = (clock.monotonic(), caller)
        known.move_to_end(key)
        while len(known) > MAX_CACHED_REVIEWS:
            known.popitem(last=False)
        return caller

    return check


def caller_of(status: Mapping[str, Any]) -> Caller | None:
    """The sender from `TokenReview.status`: the service account's namespace, and the Pod of a bound token."""
    user = status.get("user") or {}
    system, _, rest = str(user.get("username", "")).partition(":serviceaccount:")
    if not status.get("authenticated") or system != "system" or not rest:
        return None
    pods = (user.get("extra") or {}).get(POD_NAME) or [""]
    return Caller(namespace=rest.partition(":")[0], pod=str(pods[0]))


class ReportServer:
    """Receives reports from `start` to `close`. `port` 0 takes a free port, which `url` names."""

    def __init__(
        self, store: ReportStore, token_check: TokenCheck, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._store = store
        self._token_check = token_check
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The URL to which agents send reports (MODELOPS_REPORT_URL)."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the report server is not started: call start() first")
        return base_url(self._host, self._runner.addresses[0][1]) + PATH

    async def start(self) -> None:
        """Listens. Raises OSError where the port is taken."""
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0)
        await runner.setup()
        await web.SockSite(runner, listen(self._host, self._port)).start()
        self._runner = runner

    async def close(self) -> None:
        """Stops the server after it has answered the current requests."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def app(self) -> web.Application:
        """The routes, for a server that has other routes too."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self._receive_report)
        return app

    async def _receive_report(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            caller = await self._token_check(token) if scheme.lower() == "bearer" and token else None
        except (Unavailable, Uncertain, Refused, NotLeader) as error:
            logger.warning("the token of a report cannot be checked: %s", error)
            return _refusal(503, "the token cannot be checked at the moment; report again")
        if caller is None:
            return _refusal(
                401,
                "the bearer token is missing or not accepted: send a service account token of the operator's "
                "cluster, or the shared secret (MODELOPS_REPORT_TOKEN)",
            )
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await request.read()
            report = ReportBody.model_validate_json(body)
        except TimeoutError:
            return _refusal(408, f"the body did not arrive within {BODY_TIMEOUT_SECONDS:.0f} s; report again")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            return _refusal(400, f"{place}: {first['msg']}")
        if caller.pod:
            report = report.model_copy(update={"pod": caller.pod})
        limits = self._store.record(report, namespace=caller.namespace or report.namespace)
        return web.json_response({"sessionLimits": limits}) if limits else web.Response(status=204)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
