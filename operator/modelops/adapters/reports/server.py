"""The operator's own port for reports: `POST /v1/report`.

A report is trusted for nothing but what a summary shows; the token says who may send one and, in a cluster,
from which namespace and Pod.
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

from modelops.adapters.reports.body import LARGEST_BODY, ReportBody
from modelops.adapters.reports.book import ReportBook
from modelops.ports import Clock, NotLeader, Refused, Unavailable, Uncertain

logger = logging.getLogger(__name__)

PATH: Final = "/v1/report"
POD_NAME: Final = "authentication.kubernetes.io/pod-name"
REVIEW_SECONDS: Final = 60.0
MOST_REVIEWS: Final = 2_000
REVIEWS_AT_ONCE: Final = 8
REVIEWS_WAITING: Final = 64
"""Further unknown tokens are told to come again: a flood of them must not reach the API server."""
LARGEST_TOKEN: Final = 8 * 1024
BODY_SECONDS: Final = 10.0
"""A body that takes longer is given up."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sent a report, as far as the token proves it; empty where it does not."""

    namespace: str = ""
    pod: str = ""


TokenCheck = Callable[[str], Awaitable[Caller | None]]
"""None: this token may not report. Raises Unavailable where that cannot be found out now."""


def shared_secret(secret: str) -> TokenCheck:
    """One token for all, as in the sandbox. Raises ValueError where it is shorter than 16 characters."""
    if len(secret) < 16:
        raise ValueError("the shared secret of reports has less than 16 characters; make a longer one")

    async def check(token: str) -> Caller | None:
        given = token.encode(errors="surrogateescape")
        return Caller() if hmac.compare_digest(given, secret.encode()) else None

    return check


def token_review(
    review: Callable[[str], Awaitable[Mapping[str, Any]]], *, clock: Clock, seconds: float = REVIEW_SECONDS
) -> TokenCheck:
    """Service accounts of the cluster. `review` posts a TokenReview and returns its `status`.

    An answer is remembered for `seconds`, keyed by the token's digest; the newest `MOST_REVIEWS` of good ones
    and as many of bad ones are, so that bad tokens push out no good ones. What cannot be a token of a service
    account is not asked about.
    """
    good: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
    bad: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
    turn = asyncio.Semaphore(REVIEWS_AT_ONCE)
    waiting = 0

    async def check(token: str) -> Caller | None:
        nonlocal waiting
        if len(token) > LARGEST_TOKEN or not token.isascii() or token.count(".") != 2:
            return None
        key = hashlib.sha256(token.encode()).digest()
        for known in (good, bad):
            at, caller = known.get(key, (float("-inf"), None))
            if clock.monotonic() - at <= seconds:
                return caller
        if waiting >= REVIEWS_WAITING:
            raise Unavailable("too many unknown tokens wait to be checked")
        waiting += 1
        try:
            async with turn:
                caller = caller_of(await review(token))
        finally:
            waiting -= 1
        good.pop(key, None)
        known = bad if caller is None else good
        known[key] = (clock.monotonic(), caller)
        known.move_to_end(key)
        while len(known) > MOST_REVIEWS:
            known.popitem(last=False)
        return caller

    return check


def caller_of(status: Mapping[str, Any]) -> Caller | None:
    """From `TokenReview.status`: a service account's namespace, and the Pod that a bound token names."""
    user = status.get("user") or {}
    system, _, rest = str(user.get("username", "")).partition(":serviceaccount:")
    if not status.get("authenticated") or system != "system" or not rest:
        return None
    pods = (user.get("extra") or {}).get(POD_NAME) or [""]
    return Caller(namespace=rest.partition(":")[0], pod=str(pods[0]))


class ReportServer:
    """Serves until closed; `port` 0 takes a free one, `url` says which."""

    def __init__(
        self, book: ReportBook, token_check: TokenCheck, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._book = book
        self._token_check = token_check
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where agents report to (MODELOPS_REPORT_URL)."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the server of reports was not started")
        return f"http://{self._host}:{self._runner.addresses[0][1]}{PATH}"

    async def start(self) -> None:
        """Raises OSError where the port is taken."""
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port).start()
        self._runner = runner

    async def close(self) -> None:
        """Ends the server; reports under way are answered."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def app(self) -> web.Application:
        """For a server that serves other things too."""
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post(PATH, self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            caller = await self._token_check(token) if scheme.lower() == "bearer" and token else None
        except (Unavailable, Uncertain, Refused, NotLeader) as error:
            logger.warning("a token of a report cannot be checked: %s", error)
            return _refusal(503, "tokens cannot be checked at the moment; report again")
        if caller is None:
            return _refusal(401, "reports need a bearer token of the operator's cluster or its shared secret")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
            report = ReportBody.model_validate_json(body)
        except TimeoutError:
            return _refusal(408, f"the body did not come within {BODY_SECONDS:.0f} s")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the body"
            return _refusal(400, f"{place}: {first['msg']}")
        if caller.pod:
            report = report.model_copy(update={"pod": caller.pod})
        self._book.take(report, namespace=caller.namespace or report.namespace)
        return web.Response(status=204)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
