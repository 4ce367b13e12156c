"""One request through the router: it is timed, and its outcome is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from modelops.router.routing_table import Route


class Request:
    """One request: send it to `route`, then set what is known of the answer (`ok`, `tokens`, `cost_micro_usd`).

    The request is counted at the end of the `with` block. An exception counts as an error and is raised.
    """

    __slots__ = ("_begun", "_observe", "cost_micro_usd", "fallback", "ok", "route", "tokens")

    def __init__(self, route: Route, *, observe: Callable[..., None]) -> None:
        self.route = route
        self.ok = True
        self.fallback = False
        self.tokens = 0
        self.cost_micro_usd = 0
        self._observe = observe
        self._begun = time.perf_counter()

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observe(
            self.route,
            ok=self.ok and error is None,
            latency_ms=(time.perf_counter() - self._begun) * 1000,
            tokens=self.tokens,
            cost_micro_usd=self.cost_micro_usd,
            fallback=self.fallback,
        )
