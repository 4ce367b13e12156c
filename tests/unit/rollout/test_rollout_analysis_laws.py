"""Laws of the verdict on a canary: worse numbers never give a better result, and no requests are never healthy."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rollout.rollout_driver import HEALTHY
from tests.unit.rollout.sessions import counts, reported

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.rollout.analysis import AnalysisResult, Health, judge_canary, judge_of
from modelops.ports import AgentReports, SessionReports, TrackCounters

limits = st.builds(
    Analysis,
    min_requests=st.integers(1, 1000),
    max_error_points=st.sampled_from(["0", "0.5", "2", "100"]),
    max_error_percent=st.sampled_from([None, "1", "20"]),
    max_latency_ratio=st.sampled_from(["1", "1.5", "10"]),
    latency_floor_milliseconds=st.integers(0, 5000),
    exclude_points=st.sampled_from([None, "5", "20"]),
)


@st.composite
def tracks(draw: st.DrawFn) -> tuple[int, ...]:
    sessions = draw(st.integers(1, 500))
    return counts(sessions, failed=draw(st.integers(0, sessions)), slow=draw(st.integers(0, sessions)))


def judged(reports: AgentReports, given: Analysis, *, weight: float = 0.2) -> AnalysisResult:
    return judge_canary(reports, given, judge_of(given).judge(reports.sessions, weight=weight))


def with_sessions(sessions: SessionReports, requests: int = 500) -> AgentReports:
    return replace(HEALTHY, sessions=sessions, canary=TrackCounters(requests=requests))


@given(tracks(), tracks(), limits, st.integers(1, 100))
def test_more_errors_never_take_a_breach_back(
    stable: tuple[int, ...], canary: tuple[int, ...], given: Analysis, more: int
) -> None:
    worse = counts(canary[0], failed=min(canary[0], canary[1] + more), slow=canary[5])
    first = judged(with_sessions(reported(canary, stable)), given)
    second = judged(with_sessions(reported(worse, stable)), given)
    if first.health is Health.BREACHED:
        assert second.health is Health.BREACHED


@given(limits, st.integers(0, 20_000))
def test_silence_is_neither_health_nor_breach(given: Analysis, p95: int) -> None:
    silent = replace(HEALTHY, canary=TrackCounters(p95_ms=p95))
    assert judged(silent, given).health is Health.WAITING


@given(tracks(), tracks(), limits, st.integers(0, 1000))
def test_health_takes_the_samples_that_were_asked_for(
    stable: tuple[int, ...], canary: tuple[int, ...], given: Analysis, requests: int
) -> None:
    if judged(with_sessions(reported(canary, stable), requests), given).health is Health.HEALTHY:
        assert requests >= (given.min_requests or 0)


@given(tracks(), limits)
def test_a_canary_is_never_called_worse_without_stable_sessions(
    canary: tuple[int, ...], given: Analysis
) -> None:
    alone = with_sessions(reported(canary, counts(0)))
    if judged(alone, given.model_copy(update={"max_error_percent": None})).health is Health.BREACHED:
        raise AssertionError("nothing is known of stable")


@given(tracks(), limits, st.integers(1, 5))
def test_agents_that_report_no_sessions_are_neither_health_nor_breach(
    stable: tuple[int, ...], given: Analysis, processes: int
) -> None:
    reports = with_sessions(SessionReports(without_sessions=processes))
    result = judged(reports, given)
    assert result.health is Health.WAITING
    assert "update the package in the agents" in result.message


@given(st.integers(1, 85))
def test_what_breaches_an_absolute_limit_breaches_it_also_while_stable_fails(percent: int) -> None:
    given = Analysis(max_error_percent=str(percent))
    failing = reported(counts(400, failed=400), counts(400, failed=400))
    assert judged(with_sessions(failing), given).health is Health.BREACHED
    alike = given.model_copy(update={"max_error_percent": None})
    assert judged(with_sessions(failing), alike).health is not Health.BREACHED
