"""Counters, percentiles and the report's form."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.router import LATENCY_BUCKETS_MS, Route, latency_quantile
from modelops.router.latency import latency_bucket
from modelops.router.table import CANARY, STABLE
from modelops.router.tally import SESSIONS_REMEMBERED, Tally

latencies = st.lists(st.floats(1.001, 900_000.0), min_size=1, max_size=200)


def route(track: str, salt: str = "uid") -> Route:
    return Route(CANARY if track == "canary" else STABLE, "m", "m", generation=1, salt=salt)


def counts_of(values: list[float]) -> list[int]:
    counts = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    for value in values:
        counts[latency_bucket(value)] += 1
    return counts


def observe(tally: Tally, where: Route, **outcome: float) -> None:
    tally.observe(
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
def test_a_latency_that_is_none_counts_as_the_longest(latency: float) -> None:
    assert latency_bucket(latency) == len(LATENCY_BUCKETS_MS)


def test_outcomes_are_counted_by_track() -> None:
    tally = Tally()
    tally.start_salt("uid")
    observe(tally, route("stable"), tokens=5)
    observe(tally, route("canary"), ok=False, fallback=True, tokens=7, cost=9, latency_ms=100.0)
    canary = tally.as_report()["tracks"]["canary"]
    assert canary["requests"] == canary["errors"] == canary["fallbacks"] == 1
    assert (canary["tokens"], canary["costMicroUSD"], canary["latencyMs"]["count"]) == (7, 9, 1)
    assert tally.as_report()["tracks"]["stable"]["requests"] == 1


def test_a_new_salt_starts_from_zero_and_outcomes_of_the_old_one_do_not_count() -> None:
    tally = Tally()
    tally.start_salt("first")
    observe(tally, route("canary", "first"))
    tally.start_salt("second")
    observe(tally, route("canary", "first"))
    observe(tally, route("stable", "first"))
    report = tally.as_report()
    assert report["salt"] == "second"
    assert [report["tracks"][track]["requests"] for track in ("stable", "canary")] == [0, 0]


def test_routing_that_is_removed_keeps_the_counters() -> None:
    tally = Tally()
    tally.start_salt("uid")
    observe(tally, route("canary"))
    tally.start_salt("")
    observe(tally, route("canary"))
    assert tally.as_report()["tracks"]["canary"]["requests"] == 2


def test_a_session_counts_once_per_track() -> None:
    tally = Tally()
    for key in ("a", "b", "a"):
        tally.session("stable", key)
    tally.session("canary", "a")
    tracks = tally.as_report()["tracks"]
    assert (tracks["stable"]["sessions"], tracks["canary"]["sessions"]) == (2, 1)


def test_remembered_sessions_are_bounded() -> None:
    tally = Tally()
    for n in range(3 * SESSIONS_REMEMBERED):
        tally.session("stable", f"session-{n}")
    counters = tally._tracks["stable"]
    assert counters.sessions == 3 * SESSIONS_REMEMBERED
    assert len(counters.recent) + len(counters.older) <= 2 * SESSIONS_REMEMBERED


def test_a_report_is_small_json() -> None:
    tally = Tally()
    observe(tally, route("stable", ""))
    assert len(json.dumps(tally.as_report(), separators=(",", ":"), allow_nan=False)) < 2_000
