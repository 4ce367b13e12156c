"""The log of HTTP calls to each service, so that tests and benchmarks can count them."""

import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from modelops.sandbox.faults import DroppedResponse

MAX_CALLS = 50_000
"""Number of calls in the log; older calls are only counted."""


@dataclass(frozen=True)
class Call:
    """One call. `status` is 0 if the connection was closed without a response."""

    time: float
    """Unix time in seconds at which the response was ready."""
    service: str
    method: str
    path: str
    """The path with its query string."""
    status: int


class CallLog:
    """The newest calls, and the counts of all calls by service, method, route and status."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._counts: Counter[tuple[str, str, str, int]] = Counter()

    def clear(self) -> None:
        """Delete all calls and counts."""
        self._calls.clear()
        self._counts.clear()

    def matching(
        self, *, service: str | None, method: str | None, path_regex: str
    ) -> list[dict[str, object]]:
        """Return the calls in the log that match, oldest first."""
        pattern = re.compile(path_regex)
        return [
            asdict(call)
            for call in self._calls
            if service in (None, call.service)
            and method in (None, call.method)
            and pattern.search(call.path) is not None
        ]

    def counts(self) -> list[dict[str, object]]:
        """Return how often each route was called, most frequent first."""
        return [
            {"service": service, "method": method, "route": route, "status": status, "count": count}
            for (service, method, route, status), count in self._counts.most_common()
        ]

    def middleware(self, service: str) -> Middleware:
        """Return a middleware that records the calls of one service; it goes outside the middleware of the faults."""

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
