"""Limits beside the success rate: the standing cost, the latency, and how long a call may take."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, is_armed, rollout_state

from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.targets import require_candidate_target
from modelops.ports import ProgramState

ONE_DOLLAR_AN_HOUR = 1_000_000


def driver_of(limits: dict[str, Any], **facts: Any) -> RolloutDriver:
    item = objects.rollout(evaluation={"scorer": {"type": "exact", "threshold": "1"}, **limits})
    return RolloutDriver(rollout_state(item), facts={"price": ONE_DOLLAR_AN_HOUR, **facts})


def test_a_standing_cost_above_the_limit_is_refused_before_anything_is_spent() -> None:
    driver = driver_of({"maxMonthlyUSD": "729"}).run_until(has_ended)

    assert (driver.phase, driver.reason) == ("Failed", "OverMaxMonthlyUSD")
    assert "record lock" not in driver.written
    assert driver.state.rollout.status.standing_usd_per_month == "730.00"
    assert "$730.00 a month" in driver.message
    assert "maxMonthlyUSD" in driver.message


@pytest.mark.parametrize("limit", ["730", "731", None])
def test_a_standing_cost_within_the_limit_is_not_refused(limit: str | None) -> None:
    driver = driver_of({"maxMonthlyUSD": limit} if limit else {}).run_until(is_armed)
    assert driver.state.rollout.status.standing_usd_per_month == "730.00"


def test_a_breached_latency_rejects_the_candidate() -> None:
    too_slow = {
        **objects.EVALUATION_PASSED,
        "verdict": "fail",
        "recommendation": "reject",
        "p95_ceiling": "breached",
        "explain": "The candidate is too slow",
    }
    driver = driver_of({"maxP95Milliseconds": 500}, evaluation=ProgramState(result=too_slow))
    driver.run_until(has_ended)

    assert (driver.phase, driver.reason) == ("Rejected", "EvaluationFailed")
    evaluation = driver.state.rollout.status.evaluation
    assert evaluation is not None
    assert evaluation.p95_ceiling == "breached"
    assert "too slow" in driver.message


@pytest.mark.parametrize(
    ("evaluation", "expected"),
    [({}, (120, None)), ({"timeoutSeconds": 600, "maxP95Milliseconds": 900}, (600, 900))],
)
def test_the_programs_get_the_limits(evaluation: dict[str, Any], expected: tuple[int, int | None]) -> None:
    state = driver_of(evaluation).run_until(is_armed).state
    found = evaluation_input(state, require_candidate_target(state))
    assert (found["timeout_seconds"], found["max_p95_ms"]) == expected
