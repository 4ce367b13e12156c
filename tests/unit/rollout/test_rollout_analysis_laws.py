"""Laws of the verdict on a canary: worse numbers never give a better result, and no requests are never healthy."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.rollout.analysis import Health, analyze, wilson_lower
from modelops.ports import TrackCounters


@st.composite
def tracks(draw: st.DrawFn) -> TrackCounters:
    requests = draw(st.integers(0, 5000))
    return TrackCounters(
        requests=requests, errors=draw(st.integers(0, requests)), p95_ms=draw(st.integers(0, 20_000))
    )


limits = st.builds(
    Analysis,
    min_requests=st.integers(1, 1000),
    max_error_points=st.sampled_from(["0", "0.5", "2", "100"]),
    max_latency_ratio=st.sampled_from(["1", "1.5", "10"]),
    latency_floor_milliseconds=st.integers(0, 5000),
)
SEVERITY = {Health.HEALTHY: 0, Health.WAITING: 1, Health.BREACHED: 2}


@given(tracks(), tracks(), limits, st.integers(1, 100))
def test_more_errors_never_make_it_better(
    stable: TrackCounters, canary: TrackCounters, given: Analysis, more: int
) -> None:
    worse = replace(canary, errors=min(canary.requests, canary.errors + more))
    if analyze(stable, canary, given).health is Health.BREACHED:
        assert analyze(stable, worse, given).health is Health.BREACHED
    assert SEVERITY[analyze(stable, worse, given).health] >= SEVERITY[analyze(stable, canary, given).health]


@given(tracks(), tracks(), limits, st.integers(1, 20_000))
def test_more_latency_never_makes_it_better(
    stable: TrackCounters, canary: TrackCounters, given: Analysis, more: int
) -> None:
    slower = replace(canary, p95_ms=canary.p95_ms + more)
    assert SEVERITY[analyze(stable, slower, given).health] >= SEVERITY[analyze(stable, canary, given).health]


@given(tracks(), limits, st.integers(0, 20_000))
def test_silence_is_neither_health_nor_breach(stable: TrackCounters, given: Analysis, p95: int) -> None:
    assert analyze(stable, TrackCounters(p95_ms=p95), given).health is Health.WAITING


@given(tracks(), tracks(), limits)
def test_health_takes_the_samples_that_were_asked_for(
    stable: TrackCounters, canary: TrackCounters, given: Analysis
) -> None:
    if analyze(stable, canary, given).health is Health.HEALTHY:
        assert canary.requests >= given.min_requests


@given(tracks(), tracks(), limits)
def test_a_breach_takes_errors_or_latencies(
    stable: TrackCounters, canary: TrackCounters, given: Analysis
) -> None:
    if analyze(stable, canary, given).health is Health.BREACHED:
        assert canary.errors >= 3 or canary.requests >= 20


@given(tracks(), limits)
def test_a_canary_like_stable_is_never_breached_by_latency(track: TrackCounters, given: Analysis) -> None:
    well = replace(track, errors=0)
    assert analyze(well, well, given).health is not Health.BREACHED


@given(st.integers(1, 5000), st.data())
def test_the_lower_end_is_below_the_rate_and_rises_with_it(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, requests))
    lower = wilson_lower(errors, requests)
    assert 0 <= lower <= errors / requests + 1e-12
    if errors < requests:
        assert wilson_lower(errors + 1, requests) >= lower


@given(st.integers(0, 50), st.integers(1, 50), st.integers(2, 20))
def test_the_same_rate_over_more_requests_is_surer(errors: int, others: int, times: int) -> None:
    requests = errors + others
    assert wilson_lower(errors * times, requests * times) >= wilson_lower(errors, requests) - 1e-12


def test_the_interval_agrees_with_a_published_value() -> None:
    """Wilson 1927 for 10 of 100 at z = 1.96: 0.0552 (Newcombe 1998, table I, method 3, has such cases)."""
    assert round(wilson_lower(10, 100, z=1.96), 4) == 0.0552
