"""Counts the calls of an adapter by operation and outcome."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from modelops.runtime.metrics import Metrics

Adapter = TypeVar("Adapter")


def count_calls(adapter: Adapter, *, api: str, metrics: Metrics) -> Adapter:
    """The adapter, with every call of an async method counted by its outcome."""
    return cast("Adapter", _CallCounter(adapter, api, metrics))


class _CallCounter:
    def __init__(self, adapter: object, api: str, metrics: Metrics) -> None:
        self._adapter, self._api, self._metrics = adapter, api, metrics

    def __getattr__(self, operation: str) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self._adapter, operation)

        @wraps(method)
        async def call(*arguments: Any, **named: Any) -> Any:
            outcome, began = "ok", time.perf_counter()
            try:
                return await method(*arguments, **named)
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                seconds = time.perf_counter() - began
                self._metrics.external_call(self._api, operation, outcome, seconds=seconds)

        setattr(self, operation, call)
        return call
