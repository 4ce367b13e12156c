"""The metrics of /metrics. One object is passed to the other parts as their hook; nothing is global."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_LAG_SECONDS = 0.25
TEMPORARY: Final = frozenset({"Unavailable", "Uncertain"})
"""Outcomes of a call after which the operator makes it again."""


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
            "Number of calls to services outside the operator, by outcome. api: jobs, hub, endpoints, kubernetes "
            "(Jobs of this cluster), trainjob, prometheus, or langsmith (also by the programs, when they have ended).",
            ["api", "operation", "outcome"],
            registry=registry,
        )
        self._notifications = Counter(
            "modelops_notifications_total",
            "Number of tries to send a notification. type: slack, webhook or cloudevents; outcome: sent, failed, or "
            "given_up for the last one of a notification that is not tried again.",
            ["type", "outcome"],
            registry=registry,
        )
        self._retries = Counter(
            "modelops_external_retries_total",
            "Number of calls of which the one before of the same operation had failed temporarily.",
            ["api", "operation"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "modelops_external_call_seconds",
            "Duration of a call.",
            ["api"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._succeeded = Gauge(
            "modelops_external_last_success_timestamp_seconds",
            "Time of the last call that succeeded, in Unix seconds; the start of the process if none has.",
            ["api", "operation"],
            registry=registry,
        )
        self._rate_limit = Gauge(
            "modelops_external_rate_limit_remaining",
            "Requests that Hugging Face still allows in the current window, as its last answer said. bucket: its "
            "name there.",
            ["bucket"],
            registry=registry,
        )
        Gauge(
            "modelops_build_info", "1; the labels say what runs.", ["version", "python"], registry=registry
        ).labels(_version(), platform.python_version()).set(1)
        self._transitions = _LeaseTransitions()
        registry.register(self._transitions)
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
        self._started_at = time.time()
        self._called: set[tuple[str, str]] = set()
        self._failed_calls: set[tuple[str, str]] = set()
        self._objects: Callable[[], bytes] = bytes

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

    def external_call(self, api: str, operation: str, outcome: str, *, seconds: float) -> None:
        """Counts a call to a service, which took `seconds`."""
        self._calls.labels(api, operation, outcome).inc()
        self._call_seconds.labels(api).observe(seconds)
        if outcome == "ok" or (api, operation) not in self._called:
            self._called.add((api, operation))
            self._succeeded.labels(api, operation).set(time.time() if outcome == "ok" else self._started_at)
        if (api, operation) in self._failed_calls:
            self._retries.labels(api, operation).inc()
        (self._failed_calls.add if outcome in TEMPORARY else self._failed_calls.discard)((api, operation))

    def program_calls(self, api: str, operation: str, outcome: str, count: int) -> None:
        """Counts calls that an ended program has made; how long they took is not known."""
        if count:
            self._calls.labels(api, operation, outcome).inc(count)

    def program_retries(self, api: str, operation: str, count: int) -> None:
        """Counts those of a program's calls that followed a temporary failure."""
        if count:
            self._retries.labels(api, operation).inc(count)

    def notification(self, form: str, outcome: str) -> None:
        """Counts a try to send a notification."""
        self._notifications.labels(form, outcome).inc()

    def rate_limit(self, bucket: str, remaining: int) -> None:
        """Records how many requests Hugging Face still allows; called from the threads of its SDK."""
        self._rate_limit.labels(bucket).set(remaining)

    def lease_transitions(self, count: Callable[[], int | None]) -> None:
        """Sets what is called at each scrape for the number of changes of the lease's holder; None: not known yet."""
        self._transitions.count = count

    def serve_objects(self, render: Callable[[], bytes] = bytes) -> None:
        """Adds the metrics of objects, as only the leader does; without an argument removes them."""
        self._objects = render

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
        return generate_latest(self.registry) + self._objects()


class _LeaseTransitions(Collector):
    """A gauge without a sample while its value is not known: 0 would look like a change."""

    def __init__(self) -> None:
        self.count: Callable[[], int | None] = lambda: None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, for the registry."""
        help_text = "How often the lease has had another holder, as the lease counts it."
        gauge = GaugeMetricFamily("modelops_lease_transitions", help_text)
        count = self.count()
        if count is not None:
            gauge.add_metric([], count)
        yield gauge


def _version() -> str:
    try:
        return version("modelops")
    except PackageNotFoundError:
        return "unknown"
