"""The canary's judgement keeps its error rate, and catches what it should: simulated with fixed seeds.

The quicker ones are in `tests/unit/domain/test_canary_rule.py`. The same figures are the picture of design 007.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.simulation.fleet import Fleet, run
from tests.simulation.picture import FILE, picture
from tests.simulation.rollouts import aborts, false_aborts, guarded, late, looks, quantile
from tests.simulation.sessions import Model, laws, one_request, worse

from modelops.domain.analysis import Judgement

ONE = Model(requests=(1, 1))


@pytest.mark.parametrize(
    ("name", "model", "sessions", "history", "weight"),
    [
        ("sigma 0.5, no errors", worse(ONE, sigma=0.5), 20_000, 10_000, 0.2),
        ("sigma 1, no errors", ONE, 100_000, 10_000, 0.2),
        ("sigma 1, 10 % errors", worse(ONE, failing=0.1), 100_000, 10_000, 0.2),
        ("1 to 20 requests, 5 % errors, 5 % dead, 1 %", Model(failing=0.05, dead=0.05), 100_000, 300, 0.01),
        ("1 to 20 requests, 5 % errors, 5 % dead, 50 %", Model(failing=0.05, dead=0.05), 20_000, 30, 0.5),
        ("the same at 100 %, from 30 sessions before", Model(failing=0.05, dead=0.05), 20_000, 30, 1.0),
        ("5 % of sessions fail four times", Model(dead=0.05), 5_000, 1000, 0.2),
    ],
)
def test_equal_models_are_aborted_in_one_of_a_hundred_rollouts_at_most(
    name: str, model: Model, sessions: int, history: int, weight: float
) -> None:
    rng = np.random.default_rng(sum(map(ord, name)))
    canary, stable = laws(rng, model, model)
    stopped = aborts(
        rng,
        500,
        looks(sessions),
        canary=canary,
        stable=stable,
        history=history,
        weight=weight,
        near=True,
    )
    assert false_aborts(stopped) <= 0.01


@pytest.mark.parametrize(("weight", "dead"), [(0.2, 0.05), (1.0, 0.0)])
def test_a_canary_at_the_edge_of_what_is_allowed_keeps_the_bound(weight: float, dead: float) -> None:
    """Two points more errors and one and a half times the latency are the most that is still equal."""
    rng = np.random.default_rng(7)
    model = Model(dead=dead) if dead else ONE
    edge = worse(model, dead=dead + 0.02, factor=1.5) if dead else worse(model, failing=0.02, factor=1.5)
    canary, stable = laws(rng, model, edge)
    stopped = aborts(
        rng, 500, looks(20_000), canary=canary, stable=stable, history=1000, weight=weight, near=True
    )
    assert false_aborts(stopped) <= 0.01


@pytest.mark.parametrize(("natural", "by"), [(0.0, 27), (0.02, 36), (0.05, 48)])
def test_half_of_the_requests_failing_after_100000_good_sessions_is_caught(natural: float, by: int) -> None:
    assert quantile(late(np.random.default_rng(3), 300, natural=natural, good=100_000), 0.9) <= by


def test_three_times_the_latency_is_caught_within_120_sessions_at_sigma_1() -> None:
    rng = np.random.default_rng(5)
    canary, stable = laws(rng, ONE, worse(ONE, factor=3.0))
    stopped = aborts(rng, 1000, [1] * 300, canary=canary, stable=stable, history=10_000, weight=0.2)
    assert quantile(stopped, 0.9) <= 120


@pytest.mark.parametrize(("weight", "most"), [(0.05, 0.01), (0.2, 0.01), (0.5, 0.08)])
def test_a_fault_that_hits_both_tracks_aborts_hardly_any_rollout(weight: float, most: float) -> None:
    """Without the guards every one of them would be aborted."""
    stopped = guarded(np.random.default_rng(6), 300, weight=weight, natural=0.02, both=(0.3, 300, 500))
    assert false_aborts(stopped) <= most


def test_both_at_5_percent_with_a_history_of_100_catch_half_failing_within_32() -> None:
    stopped = aborts(
        np.random.default_rng(8),
        4000,
        [1] * 100,
        canary=one_request(0.5),
        stable=one_request(0.05),
        history=100,
        weight=0.2,
    )
    assert quantile(stopped, 0.9) <= 32


RESTARTS = {"restarts": 0.02, "operator_restarts": 0.005}


@pytest.mark.parametrize("weight", [0.05, 0.2, 0.5, 1.0])
def test_restarts_of_processes_and_of_the_operator_abort_no_equal_canary(weight: float) -> None:
    """Real counters, real reports, real sums: 25 rollouts for each weight, from an empty history on."""
    judged = [
        run(Fleet(seed=100 + seed, weight=weight, **RESTARTS), before=60, after=240).judgement
        for seed in range(25)
    ]
    assert judged.count(Judgement.WORSE) == 0


def test_restarts_hide_no_canary_that_fails() -> None:
    seen = []
    for seed in range(25):
        fleet = Fleet(seed=seed, canary_failing=0.5, failing=0.01, dead=0.01, **RESTARTS)
        found = run(fleet, before=120, after=400)
        assert found.judgement is Judgement.WORSE
        seen.append(found.sessions)
    assert sorted(seen)[22] <= 40


def test_the_picture_of_the_design_is_current() -> None:
    assert FILE.read_text() == picture(), "run python -m tests.simulation.picture"
