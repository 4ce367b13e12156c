"""Counters, percentiles and the form of the report."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.router import LATENCY_BUCKETS_MS, Route, latency_quantile
from modelops.router.latency import latency_bucket
from modelops.router.request_counters import MAX_REMEMBERED_SESSIONS, RequestCounters
from modelops.router.routing_table import CANARY, STABLE

latencies = st.lists(st.floats(1.001, 900_000.0), min_size=1, max_size=200)


def route(track: str, salt: str = "uid") -> Route:
    return Route(CANARY if track == "canary" else STABLE, "m", "m", generation=1, salt=salt)


def counts_of(values: list[float]) -> list[int]:
    counts = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    for value in values:
        counts[latency_bucket(value)] += 1
    return counts


def observe(counters: RequestCounters, where: Route, **outcome: float) -> None:
    counters.observe(
        where,
        ok=bool(outcome.get("ok", True)),
        latency_ms=outcome.get("latency_ms", 10.0),
        tokens=int(outcome.get("tokens", 0)),
        cost_micro_usd=int(outcome.get("cost", 0)),
        fallback=bool(outcome.get("fallback", False)),
    )


@given(latencies, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_at_most_one_bucket_off(values: list[float], quantile: float) -> None:
    found = latency_quantile(counts_of(values), quantile)
    assert found is not None
    exact = sorted(values)[math.ceil(quantile * len(values)) - 1]
    assert exact / 1.1 <= found <= exact * 1.1


@given(latencies, latencies)
def test_counts_of_two_processes_add_up(one: list[float], other: list[float]) -> None:
    merged = [a + b for a, b in zip(counts_of(one), counts_of(other), strict=True)]
    assert merged == counts_of(one + other)


def test_no_requests_have_no_quantile() -> None:
    assert latency_quantile([0] * (len(LATENCY_BUCKETS_MS) + 1), 0.5) is None


@pytest.mark.parametrize("latency", [float("nan"), -1.0, float("inf"), 1e9])
def test_an_invalid_latency_counts_as_the_longest(latency: float) -> None:
    assert latency_bucket(latency) == len(LATENCY_BUCKETS_MS)


def test_outcomes_are_counted_by_track() -> None:
    counters = RequestCounters()
    counters.start_salt("uid")
    observe(counters, route("stable"), tokens=5)
    observe(counters, route("canary"), ok=False, fallback=True, tokens=7, cost=9, latency_ms=100.0)
    canary = counters.as_report()["tracks"]["canary"]
    assert canary["requests"] == canary["errors"] == canary["fallbacks"] == 1
    assert (canary["tokens"], canary["costMicroUSD"], canary["latencyMs"]["count"]) == (7, 9, 1)
    assert counters.as_report()["tracks"]["stable"]["requests"] == 1


def test_a_new_salt_starts_from_zero_and_outcomes_of_the_old_one_do_not_count() -> None:
    counters = RequestCounters()
    counters.start_salt("first")
    observe(counters, route("canary", "first"))
    counters.start_salt("second")
    observe(counters, route("canary", "first"))
    observe(counters, route("stable", "first"))
    report = counters.as_report()
    assert report["salt"] == "second"
    assert [report["tracks"][track]["requests"] for track in ("stable", "canary")] == [0, 0]


def test_routing_that_is_removed_keeps_the_counters() -> None:
    counters = RequestCounters()
    counters.start_salt("uid")
    observe(counters, route("canary"))
    counters.start_salt("")
    observe(counters, route("canary"))
    assert counters.as_report()["tracks"]["canary"]["requests"] == 2


def test_a_session_counts_once_per_track() -> None:
    counters = RequestCounters()
    for key in ("a", "b", "a"):
        counters.count_session("stable", key)
    counters.count_session("canary", "a")
    tracks = counters.as_report()["tracks"]
    assert (tracks["stable"]["sessions"], tracks["canary"]["sessions"]) == (2, 1)


def test_remembered_sessions_are_bounded() -> None:
    counters = RequestCounters()
    for n in range(3 * MAX_REMEMBERED_SESSIONS):
        counters.count_session("stable", f"session-{n}")
    stable = counters._tracks["stable"]
    assert stable.sessions == 3 * MAX_REMEMBERED_SESSIONS
    assert len(stable.recent) + len(stable.older) <= 2 * MAX_REMEMBERED_SESSIONS


def test_a_report_is_small_json() -> None:
    counters = RequestCounters()
    observe(counters, route("stable", ""))
    assert len(json.dumps(counters.as_report(), separators=(",", ":"), allow_nan=False)) < 2_000
