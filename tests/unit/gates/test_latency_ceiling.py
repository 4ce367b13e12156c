"""A limit of the 95th percentile is kept, exceeded or open; with fewer than 59 values nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from modelops.domain.gates.latency_ceiling import Ceiling, bound_ranks, fewest_values, judge_p95

ALPHA = 0.05


@pytest.mark.parametrize(
    ("n", "low", "high"), [(59, 53, 59), (100, 91, 99), (150, 138, 148), (300, 279, 292)]
)
def test_ranks_of_the_bounds(n: int, low: int, high: int) -> None:
    assert bound_ranks(n, alpha=ALPHA) == (low, high)


def test_below_59_values_there_is_no_bound() -> None:
    assert fewest_values(alpha=ALPHA) == 59
    assert bound_ranks(58, alpha=ALPHA) is None
    assert judge_p95([1.0] * 58, limit=1000, alpha=ALPHA).ceiling is Ceiling.UNCLEAR


@pytest.mark.parametrize(
    ("limit", "ceiling"),
    [(99.0, Ceiling.WITHIN), (98.5, Ceiling.UNCLEAR), (91.0, Ceiling.UNCLEAR), (90.5, Ceiling.BREACHED)],
)
def test_the_interval_decides(limit: float, ceiling: Ceiling) -> None:
    found = judge_p95([float(value) for value in range(100, 0, -1)], limit=limit, alpha=ALPHA)
    assert (found.ceiling, found.low, found.high) == (ceiling, 91.0, 99.0)


@pytest.mark.parametrize("n", [59, 60, 150, 300])
def test_a_model_at_the_limit_is_within_or_above_it_one_time_in_twenty_each(n: int) -> None:
    drawn = np.random.default_rng(3).exponential(size=(4000, n))
    limit = float(-np.log(0.05))
    found = [judge_p95(row.tolist(), limit=limit, alpha=ALPHA).ceiling for row in drawn]
    for wrong in (Ceiling.WITHIN, Ceiling.BREACHED):
        assert found.count(wrong) / len(found) <= 0.06
