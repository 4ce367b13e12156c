"""The log of calls: what was asked of which service, so that tests and benches can count."""

import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from modelops.sandbox.faults import DroppedResponse

KEPT = 50_000
"""Calls kept; older ones stay only in the counts."""


@dataclass(frozen=True)
class Call:
    """One call. `status` 0: the connection was closed without an answer."""

    time: float
    """Unix seconds at which the answer was ready."""
    service: str
    method: str
    path: str
    """With the query."""
    status: int


class CallLog:
    """The last calls, and counts of all by service, method, route and status."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, str, str, int]] = Counter()

    def clear(self) -> None:
        """Forgets all calls."""
        self._calls.clear()
        self._counts.clear()

    def matching(
        self, *, service: str | None, method: str | None, path_regex: str
    ) -> list[dict[str, object]]:
        """The kept calls that match, oldest first."""
        wanted = re.compile(path_regex)
        return [
            asdict(call)
            for call in self._calls
            if service in (None, call.service)
            and method in (None, call.method)
            and wanted.search(call.path) is not None
        ]

    def counts(self) -> list[dict[str, object]]:
        """How often each route was called, most first."""
        return [
            {"service": service, "method": method, "route": route, "status": status, "count": count}
            for (service, method, route, status), count in self._counts.most_common()
        ]

    def middleware(self, service: str) -> Middleware:
        """What records the calls of one service; goes outside the faults."""

        def record(request: web.Request, status: int) -> None:
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else request.path
            self._calls.append(Call(time.time(), service, request.method, request.path_qs, status))
            self._counts[service, request.method, route, status] += 1

        @web.middleware
        async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                record(request, error.status)
                raise
            except Exception:
                record(request, 500)
                raise
            record(request, 0 if isinstance(response, DroppedResponse) else response.status)
            return response

        return apply
