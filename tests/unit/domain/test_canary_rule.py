"""The rule by which a canary is called worse: against the vectorised one, and what it catches by when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.rollouts import aborts, false_aborts, guarded, late, quantile
from tests.simulation.rule import Pots, stable_evidence
from tests.simulation.sessions import one_request

from modelops.domain.analysis import CanaryJudge, Evidence, Judgement
from modelops.domain.analysis.health import excluded_points, health_evidence, rate_below
from modelops.domain.analysis.metrics import EDGES
from modelops.domain.analysis.pot import Pot
from modelops.domain.analysis.stable_rate import evidence_by_cell
from modelops.ports import SessionReports, SessionTrack

buckets = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=30)


@given(buckets, st.integers(0, 30), st.integers(0, 40), st.integers(0, 2000))
def test_the_rule_is_the_one_that_is_simulated(
    given_buckets: list[tuple[int, int]], folded: int, bad: int, good: int
) -> None:
    ours, simulated, live = Pot(0.02), Pots(1, 0.02), []
    for place, (failed, passed) in enumerate(given_buckets):
        sessions = failed + passed
        if not sessions:
            continue
        simulated.fold([failed], sessions)
        if place < folded:
            ours.fold(failed, sessions)
        else:
            live.append((failed, sessions))
    by_cell, order = evidence_by_cell(bad, bad + good)
    assert by_cell == pytest.approx(stable_evidence(bad, bad + good)[0])
    assert ours.value(live, by_cell, order) == pytest.approx(
        simulated.value(stable_evidence(bad, bad + good))[0]
    )


def flags(sessions: int, bad: int = 0) -> tuple[int, ...]:
    return (sessions, bad, bad, bad, 0, 0, 0)


def reported(canary: SessionTrack, *, history: int = 10_000, bad: int = 0) -> SessionReports:
    return SessionReports(stable=SessionTrack(folded=flags(history, bad)), canary=canary)


def judge_of_buckets(*canary: tuple[int, ...], **stable: int) -> Evidence:
    live = tuple((100 + place, counts) for place, counts in enumerate(canary))
    return CanaryJudge(margin=0.02).judge(reported(SessionTrack(live=live), **stable), weight=0.2)


@pytest.mark.parametrize(("history", "row"), [(10, 10), (30, 6), (100, 4), (1000, 3), (10_000, 3)])
def test_bad_sessions_in_a_row_that_abort(history: int, row: int) -> None:
    """Sessions of one request, stable fails in 2 %. One dead session says nothing: it looks like a dead canary."""
    found = [
        judge_of_buckets(*[(1, 1, 1, 0, 0, 0, 0)] * n, history=history, bad=round(history * 0.02)).judgement
        for n in range(1, 20)
    ]
    assert found.index(Judgement.WORSE) + 1 == row


def test_without_stable_sessions_a_canary_is_never_called_worse() -> None:
    assert judge_of_buckets(flags(1000, 1000), history=0).judgement is Judgement.NOT_WORSE


@pytest.mark.parametrize(
    ("natural", "history", "by"),
    [
        (0, 100, 16),
        (0.05, 100, 32),
        (0, 10_000, 12),
        (0.01, 10_000, 15),
        (0.02, 10_000, 16),
        (0.05, 10_000, 20),
    ],
)
def test_half_of_the_requests_failing_is_caught(natural: float, history: int, by: int) -> None:
    stopped = aborts(
        np.random.default_rng(8),
        4000,
        [1] * 60,
        canary=one_request(0.5),
        stable=one_request(natural),
        history=history,
        weight=0.2,
    )
    assert quantile(stopped, 0.9) <= by


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.2, 0.5])
def test_the_guards_do_not_delay_what_fails_alone(weight: float) -> None:
    stopped = guarded(np.random.default_rng(2), 500, weight=weight, natural=0.02, failing=0.5, sessions=60)
    assert quantile(stopped, 0.9) <= 20


def test_a_fault_of_both_tracks_is_not_held_against_the_canary() -> None:
    outage = guarded(
        np.random.default_rng(3), 100, weight=0.2, natural=0.02, both=(0.3, 300, 500), sessions=600
    )
    assert false_aborts(outage) <= 0.01


def test_a_canary_that_fails_after_10000_good_sessions_is_caught_within_40() -> None:
    assert quantile(late(np.random.default_rng(4), 100, natural=0.02, good=10_000), 0.9) <= 40


def test_ten_thousand_good_sessions_do_not_hide_those_that_fail_after_them() -> None:
    judge = CanaryJudge(margin=0.02)
    good = SessionTrack(live=((1, flags(5000)), (2, flags(5000))))
    assert judge.judge(reported(good), weight=0.2).judgement is Judgement.NOT_WORSE
    for failed in range(1, 20):
        now = SessionTrack(folded=flags(10_000), live=((95, flags(failed, failed)),))
        found = judge.judge(reported(now), weight=0.2)
        if found.judgement is Judgement.WORSE:
            break
    assert failed <= 8
    assert (found.recent[0], found.canary[0]) == (failed, 10_000 + failed)


def test_a_new_operator_starts_from_the_totals_and_still_catches_a_canary_that_fails_then() -> None:
    before = SessionTrack(folded=flags(10_000), live=((95, flags(10)),))
    judge = CanaryJudge(margin=0.02)
    assert judge.judge(reported(before), weight=0.2).value < 1
    after = SessionTrack(folded=flags(10_010), live=((190, flags(12, 12)),))
    assert judge.judge(reported(after), weight=0.2).judgement is Judgement.WORSE


def test_an_equal_canary_looks_the_same_after_a_restart_of_the_operator() -> None:
    whole = SessionTrack(folded=flags(900, 18), live=((95, flags(100, 2)),))
    found = CanaryJudge(margin=0.02).judge(reported(whole, bad=200), weight=0.2)
    assert found.value < 1
    assert found.judgement is Judgement.NOT_WORSE


def test_a_late_flag_of_a_folded_session_is_not_counted_twice() -> None:
    judge = CanaryJudge(margin=0.02)
    judge.judge(reported(SessionTrack(live=((1, flags(5)),))), weight=0.2)
    first = judge.judge(reported(SessionTrack(folded=flags(5, 5))), weight=0.2)
    again = judge.judge(reported(SessionTrack(folded=flags(5, 5), live=((200, flags(1)),))), weight=0.2)
    assert again.value <= first.value


def test_stable_that_fails_more_than_before_holds_the_rollout_and_takes_the_evidence_away() -> None:
    judge = CanaryJudge(margin=0.02)
    quiet = reported(SessionTrack(live=((1, flags(1)),)), bad=100)
    judge.judge(quiet, weight=0.5)
    ill = replace(
        quiet,
        stable=SessionTrack(folded=flags(10_000, 100), live=((2, flags(100, 60)),)),
        canary=SessionTrack(live=((1, flags(1)), (2, flags(100, 60)))),
    )
    assert judge.judge(ill, weight=0.5).judgement is Judgement.BOTH_ILL


@pytest.mark.parametrize(("points", "sessions"), [(5, 65), (10, 32), (20, 15)])
def test_sessions_without_an_error_that_exclude_a_difference(points: int, sessions: int) -> None:
    assert excluded_points(0, sessions, 0.0) == points
    assert excluded_points(0, sessions - 1, 0.0) != points


@pytest.mark.parametrize(("sessions", "percent"), [(6, 42), (12, 24), (30, 10), (60, 5)])
def test_the_rate_that_is_excluded_where_nothing_fails(sessions: int, percent: int) -> None:
    assert abs(rate_below(sessions) - percent) <= 1


@given(st.floats(0, 0.5), st.floats(0.01, 0.4))
def test_below_a_rate_is_said_wrongly_in_one_of_twenty_at_most(expected: float, difference: float) -> None:
    """Markov's inequality needs a mean of at most 1 at the limit: one session, by the law of that limit."""
    limit = min(expected + difference, 0.99)
    good = health_evidence(0, 1, limit=limit, expected=expected)
    bad = health_evidence(1, 1, limit=limit, expected=expected)
    assert limit * bad + (1 - limit) * good <= 1 + 1e-9


@given(st.sampled_from([0.0, 0.02, 0.1]), st.integers(0, len(EDGES) - 2), st.floats(0, 1))
def test_a_bet_never_gains_on_average_inside_the_margin(margin: float, cell: int, part: float) -> None:
    """The supermartingale behind the 1 %: the mean factor of a session is at most 1 for every rate up to p0."""
    pot = Pot(margin)
    rate = part * min(EDGES[cell + 1] + margin, 0.999)
    only = [0.0] * (len(EDGES) - 1)
    only[cell] = 1.0
    good, bad = pot.value([(0, 1)], only, (cell,)), pot.value([(1, 1)], only, (cell,))
    assert rate * bad + (1 - rate) * good <= 1 + 1e-9
