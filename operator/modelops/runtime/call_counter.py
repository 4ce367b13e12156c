"""Counts the calls of an adapter by operation and outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from modelops.runtime.metrics import Metrics

Adapter = TypeVar("Adapter")


def count_calls(adapter: Adapter, *, service: str, metrics: Metrics) -> Adapter:
    """The adapter, with every call of an async method counted by its outcome."""
    return cast("Adapter", _CallCounter(adapter, service, metrics))


class _CallCounter:
    def __init__(self, adapter: object, service: str, metrics: Metrics) -> None:
        self._adapter, self._service, self._metrics = adapter, service, metrics

    def __getattr__(self, operation: str) -> Any:
        method: Callable[..., Awaitable[Any]] = getattr(self._adapter, operation)

        @wraps(method)
        async def call(*arguments: Any, **named: Any) -> Any:
            outcome = "ok"
            try:
                return await method(*arguments, **named)
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                self._metrics.external_call(self._service, operation, outcome)

        setattr(self, operation, call)
        return call
