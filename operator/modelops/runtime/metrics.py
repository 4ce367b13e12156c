"""The metrics of /metrics. One object is passed to the other parts as their hook; nothing is global."""

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
        self._depth = Gauge(
            "modelops_queue_depth", "Number of keys that wait for a worker.", registry=registry
        )
        self._waited = Histogram(
            "modelops_queue_wait_seconds",
            "Time between the arrival of a key and its start on a worker.",
            ["kind"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._reconciled = Histogram(
            "modelops_reconcile_seconds",
            "Duration of one reconcile.",
            ["kind"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "modelops_reconcile_failures_total",
            "Number of failed reconciles, which are tried again.",
            ["kind", "error"],
            registry=registry,
        )
        self._requests = Counter(
            "modelops_kubernetes_requests_total",
            "Number of requests to the API server. code: the HTTP status, lost, or unreachable.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._calls = Counter(
            "modelops_external_calls_total",
            "Number of calls to job, Hub, endpoint and cluster job services, by outcome.",
            ["service", "operation", "outcome"],
            registry=registry,
        )
        self._leading = Gauge(
            "modelops_leader", "1 while this process is the leader, else 0.", registry=registry
        )
        self._lag = Gauge(
            "modelops_loop_lag_seconds",
            "Largest delay of the event loop in the last 15 s.",
            registry=registry,
        )
        self._watch_age = Gauge(
            "modelops_watch_age_seconds",
            "Time since the last message of a watch, including bookmarks.",
            ["watch"],
            registry=registry,
        )

    def depth(self, waiting: int) -> None:
        """Sets the number of keys that wait for a worker."""
        self._depth.set(waiting)

    def started(self, kind: str, waited: float) -> None:
        """Records that a worker started on a key, which waited for `waited` seconds."""
        self._waited.labels(kind).observe(waited)

    def finished(self, kind: str, seconds: float, failure: str) -> None:
        """Records the end of a reconcile; `failure` is the name of its error, or empty."""
        self._reconciled.labels(kind).observe(seconds)
        if failure:
            self._failed.labels(kind, failure).inc()

    def kubernetes_request(self, verb: str, resource: str, code: str) -> None:
        """Counts a request to the API server (the hook of the Kubernetes transport)."""
        self._requests.labels(verb, resource, code).inc()

    def external_call(self, service: str, operation: str, outcome: str) -> None:
        """Counts a call to a service."""
        self._calls.labels(service, operation, outcome).inc()

    def leading(self, is_leader: bool) -> None:
        """Records whether this process is the leader."""
        self._leading.set(is_leader)

    def watch_age(self, watch: str, age: Callable[[], float]) -> None:
        """Registers a watch; `age` is called at each scrape and returns seconds."""
        self._watch_age.labels(watch).set_function(age)

    def forget_watch(self, watch: str) -> None:
        """Removes a watch that has ended."""
        with contextlib.suppress(KeyError):
            self._watch_age.remove(watch)

    async def measure_lag(self) -> None:
        """Measures the delay of the event loop until cancelled: how much longer a sleep takes than requested."""
        loop = asyncio.get_running_loop()
        recent: list[float] = []
        while True:
            before = loop.time()
            await asyncio.sleep(_LAG_SECONDS)
            recent = [*recent[-59:], max(0.0, loop.time() - before - _LAG_SECONDS)]
            self._lag.set(max(recent))

    def render(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
