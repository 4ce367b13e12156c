"""Time and money of a rollout follow from what its check found: examples, concurrency, and the price of calls."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, rollout_state

from modelops.domain.record import Record, Reservation
from modelops.domain.rollout.state import State
from modelops.ports import ProgramState

HOURS_OF_EVALUATION = {
    "ok": True,
    "examples": 500,
    "seconds": 13_038,
    "calls_usd": "4.2",
    "unpriced": [],
}
EVALUATE_ONLY = {"strategy": {"evaluateOnly": {}}}


def driver_of(check: dict[str, Any], *, agent: dict[str, Any] | None = None, **spec: Any) -> RolloutDriver:
    item = objects.rollout(**{**EVALUATE_ONLY, **spec})
    state = rollout_state(item, agent=objects.agent_model(**(agent or {})))
    return RolloutDriver(state, facts={"check": ProgramState(result=check)})


def is_evaluating(state: State) -> bool:
    return state.rollout.status.phase.value == "Evaluating"


def record_of(driver: RolloutDriver) -> Record:
    assert driver.state.record is not None
    return driver.state.record


def reserved(driver: RolloutDriver) -> Reservation:
    (found,) = record_of(driver).reservations.values()
    return found


def test_an_evaluation_of_more_than_an_hour_is_reserved_and_finished() -> None:
    driver = driver_of(HOURS_OF_EVALUATION)
    driver.facts["evaluation"] = ProgramState(running=True)
    driver.run_until(is_evaluating)
    found = reserved(driver)
    assert found.seconds == 1800 + 13_038
    assert found.usd_micro == 4_200_000 + -(-(1800 + 13_038) * 1_000_000 // 3600)
    assert found.calls_usd_micro == 4_200_000
    driver.pass_time(4 * 3600)
    driver.run_until_idle()
    assert (driver.phase, driver.reason) == ("Evaluating", "Evaluating")
    driver.facts.pop("evaluation")
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Succeeded", "EvaluatedOnly")


def test_a_short_evaluation_keeps_the_hour_for_provisioning() -> None:
    driver = driver_of({"ok": True, "examples": 60, "seconds": 207, "calls_usd": "0.01", "unpriced": []})
    assert reserved(driver.run_until(is_evaluating)).seconds == 3600


def test_nothing_is_reserved_beyond_the_rollouts_own_deadline() -> None:
    driver = driver_of(HOURS_OF_EVALUATION, progressDeadlineSeconds=7200)
    assert reserved(driver.run_until(is_evaluating)).seconds == 7200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"maxUSD": "8"}, "OverMaxUSD"),
        ({"agent": {"budget": {"monthlyUSD": "8", "approvalAboveUSD": "500"}}}, "OverBudget"),
    ],
)
def test_the_calls_of_the_baseline_count_against_limit_and_budget(
    changes: dict[str, Any], reason: str
) -> None:
    driver = driver_of(HOURS_OF_EVALUATION, **changes).run_until(has_ended)
    assert driver.reason == reason
    assert "$8.33" in driver.message


def test_more_examples_cost_more() -> None:
    few, many = (
        driver_of({**HOURS_OF_EVALUATION, "calls_usd": calls}).run_until(is_evaluating)
        for calls in ("0.042", "4.2")
    )
    assert reserved(many).usd_micro - reserved(few).usd_micro == 4_158_000


def test_calls_at_an_unknown_price_need_a_person_who_knows_that() -> None:
    driver = driver_of({**HOURS_OF_EVALUATION, "calls_usd": "0", "unpriced": ["openrouter/auto"]})
    driver.run_until(lambda state: state.rollout.status.phase.value == "AwaitingApproval")
    assert "the calls to openrouter/auto come on top, because OpenRouter names no price" in driver.message


@pytest.mark.parametrize(("ending", "booked"), [("billed", 3_100_000), ("unknown", 4_200_000), ("before", 0)])
def test_what_the_calls_cost_is_booked_by_the_bills_or_as_planned(ending: str, booked: int) -> None:
    driver = driver_of(HOURS_OF_EVALUATION)
    if ending == "billed":
        result = {**objects.EVALUATION_PASSED, "calls_usd": "3.1"}
        driver.facts["evaluation"] = ProgramState(result=result)
    elif ending == "unknown":
        driver.facts["evaluation"] = ProgramState(running=True)
        driver.run_until(is_evaluating)
        driver.edit_spec(abort=True)
    else:
        driver.facts["answers"] = False
        driver.run_until(lambda state: state.rollout.status.started_at is not None)
        driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    record = record_of(driver)
    (entry,) = record.endpoints
    (settled,) = record.settlements.values()
    endpoint = settled.usd_micro - booked
    assert 0 <= endpoint <= 1_000_000
    assert record.reservations == {}
    assert entry.usd_micro_per_hour == 1_000_000


def test_a_price_that_is_not_told_now_is_waited_for() -> None:
    unanswered = {**HOURS_OF_EVALUATION, "calls_usd": "0", "unanswered": ["author/m"]}
    driver = driver_of(unanswered).run_until(lambda state: state.rollout.status.reason == "PriceUnknown")
    assert "did not tell the price of author/m" in driver.message
    assert "retry_check" in driver.performed
    driver.facts = {}
    driver.run_until(is_evaluating)
