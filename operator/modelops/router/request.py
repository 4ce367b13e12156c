"""One request through the router: it is timed, and its outcome is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from modelops.router.routing_table import Route

if TYPE_CHECKING:
    from modelops.router.session_counters import Session


class Request:
    """One request: send it to `route`, then set what is known of the answer (`ok`, `tokens`, `cost_micro_usd`,
    `model`).

    The request is counted at the end of the `with` block. An exception counts as an error and is raised. A request that
    is cancelled (a cancelled task, a closed generator, the end of the process) says nothing about the model, so it is
    not counted, unless `ok` was set to False before.
    """

    __slots__ = (
        "_begun",
        "_observe",
        "_session",
        "cost_micro_usd",
        "fallback",
        "model",
        "ok",
        "route",
        "tokens",
    )

    def __init__(self, route: Route, *, observe: Callable[..., None], session: Session | None = None) -> None:
        self.route = route
        self.ok = True
        self.fallback = False
        self.tokens: int | None = 0
        """Tokens of request and answer; None where the answer does not say."""
        self.cost_micro_usd: int | None = 0
        """Cost in micro-USD; None where it is not known."""
        self.model: str | None = None
        """The name of the model in its own answer; only evaluations need it."""
        self._observe = observe
        self._session = session
        self._begun = time.perf_counter()

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.ok and _is_cancellation(error):
            return
        self._observe(
            self.route,
            ok=bool(self.ok) and error is None,
            latency_ms=(time.perf_counter() - self._begun) * 1000,
            tokens=self.tokens,
            cost_micro_usd=self.cost_micro_usd,
            fallback=self.fallback,
            model=self.model,
            session=self._session,
        )


def _is_cancellation(error: BaseException | None) -> bool:
    """Whether the caller stopped: `asyncio.CancelledError`, `GeneratorExit`, `KeyboardInterrupt`, `SystemExit`.

    None of these is an Exception. `concurrent.futures.CancelledError` is one; importing it only to compare would cost
    every agent the import.
    """
    if error is None:
        return False
    return not isinstance(error, Exception) or type(error).__name__ == "CancelledError"
