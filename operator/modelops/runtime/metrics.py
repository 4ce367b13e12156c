"""What /metrics shows. One object, handed to the parts as their hooks; nothing is global."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_LAG_SECONDS = 0.25


class Metrics:
    """Counters, gauges and histograms of the operator; implements `engine.queue.QueueObserver`."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._depth = Gauge("modelops_queue_depth", "Keys that wait for a worker.", registry=registry)
        self._waited = Histogram(
            "modelops_queue_wait_seconds",
            "From a key's arrival to a worker.",
            ["kind"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._reconciled = Histogram(
            "modelops_reconcile_seconds",
            "One reconcile.",
            ["kind"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "modelops_reconcile_failures_total",
            "Reconciles that failed and will be tried again.",
            ["kind", "error"],
            registry=registry,
        )
        self._requests = Counter(
            "modelops_kubernetes_requests_total",
            "Requests to the API server; code: HTTP status, lost, unreachable.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._calls = Counter(
            "modelops_external_calls_total",
            "Calls to services outside the cluster.",
            ["service", "operation", "outcome"],
            registry=registry,
        )
        self._leading = Gauge("modelops_leader", "1 while this process leads.", registry=registry)
        self._lag = Gauge(
            "modelops_loop_lag_seconds",
            "How late the event loop was, the worst of the last 15 s.",
            registry=registry,
        )
        self._watch_age = Gauge(
            "modelops_watch_age_seconds",
            "Since a watch last said something, bookmarks included.",
            ["watch"],
            registry=registry,
        )

    def depth(self, waiting: int) -> None:
        """Keys that wait for a worker."""
        self._depth.set(waiting)

    def started(self, kind: str, waited: float) -> None:
        """A worker took a key."""
        self._waited.labels(kind).observe(waited)

    def finished(self, kind: str, seconds: float, failure: str) -> None:
        """A reconcile ended."""
        self._reconciled.labels(kind).observe(seconds)
        if failure:
            self._failed.labels(kind, failure).inc()

    def kubernetes_request(self, verb: str, resource: str, code: str) -> None:
        """Hook of the Kubernetes transport."""
        self._requests.labels(verb, resource, code).inc()

    def external_call(self, service: str, operation: str, outcome: str) -> None:
        """A call to Hugging Face, LangSmith, OpenRouter."""
        self._calls.labels(service, operation, outcome).inc()

    def leading(self, is_leader: bool) -> None:
        """Whether this process leads."""
        self._leading.set(is_leader)

    def watch_age(self, watch: str, age: Callable[[], float]) -> None:
        """Shows a watch's age at the time of asking."""
        self._watch_age.labels(watch).set_function(age)

    def forget_watch(self, watch: str) -> None:
        """A watch has ended."""
        with contextlib.suppress(KeyError):
            self._watch_age.remove(watch)

    async def measure_lag(self) -> None:
        """Measures until cancelled: a sleep that takes longer than asked for was held up by that much."""
        loop = asyncio.get_running_loop()
        recent: list[float] = []
        while True:
            before = loop.time()
            await asyncio.sleep(_LAG_SECONDS)
            recent = [*recent[-59:], max(0.0, loop.time() - before - _LAG_SECONDS)]
            self._lag.set(max(recent))

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
