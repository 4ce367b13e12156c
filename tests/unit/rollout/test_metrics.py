"""Metrics of Prometheus and LangSmith during a canary: a failure aborts, and nothing but a good measurement promotes.

Tests with numbers are named after issues of Argo Rollouts and Flagger.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    at_weight,
    has_ended,
    is_watching,
    rollout_state,
)

from modelops.api.v1alpha1.step_requests import PromoteRequest
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.metrics.counting import MetricReading
from modelops.domain.rollout.actions import RolloutFact
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.state import State

PROVIDER = {"prometheus": {"template": "errorRatio"}}
GREY = {"successCondition": "value < 0.05", "failureCondition": "value > 0.1"}


def metric(**changes: Any) -> dict[str, Any]:
    return {"name": "errors", **PROVIDER, **GREY, "intervalSeconds": 10, **changes}


def driver_with(*metrics: dict[str, Any], **spec: Any) -> RolloutDriver:
    """A driver whose metrics are good until a test says otherwise."""
    item = objects.rollout(analysis={"minRequests": 1, "metrics": list(metrics or (metric(),))}, **spec)
    driver = RolloutDriver(rollout_state(item))
    measure(driver, 0.01)
    return driver


def measure(driver: RolloutDriver, value: float | None = None, **reading: Any) -> None:
    """What the providers answer from now on; the time of an answer is that of the step that asks."""
    driver.facts["metrics"] = Answers(driver, value, reading)


class Answers(dict[str, Any]):
    def __init__(self, driver: RolloutDriver, value: float | None, reading: dict[str, Any]) -> None:
        self.driver, self.value, self.reading = driver, value, reading

    def get(self, _name: str, _default: Any = None) -> MetricReading:
        return MetricReading(at=self.driver.state.now, value=self.value, **self.reading)


def steps(driver: RolloutDriver, count: int, *, seconds: float = 11) -> None:
    for _ in range(count):
        plan = driver.step()
        if plan.requeue_after != 0:
            driver.pass_time(seconds)


def errors(driver: RolloutDriver) -> Any:
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    return analysis.metrics[0]


def test_a_canary_with_good_metrics_is_promoted() -> None:
    driver = driver_with().run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Succeeded", "Promoted")
    assert (errors(driver).phase, errors(driver).value) == ("Successful", "0.01")


def test_nothing_is_asked_before_the_canary_has_traffic() -> None:
    driver = driver_with()
    while not at_weight(20)(driver.state):
        assert decide(driver.state).needs is not RolloutFact.METRICS
        driver.step()


def test_argo_404_a_failure_aborts_and_says_metric_value_and_condition() -> None:
    driver = driver_with().run_until(is_watching)
    measure(driver, 0.2)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "MetricFailed")
    assert (
        "metric errors: value 0.2: failureCondition `value > 0.1` holds (1 measurement failed, 0 allowed)"
        in (driver.message)
    )
    assert errors(driver).failed == 1
    assert driver.state.block is None or driver.state.block.rollout.state == "Aborted"


def test_failures_within_the_limit_hold_and_one_more_aborts() -> None:
    driver = driver_with(metric(failureLimit=2)).run_until(is_watching)
    measure(driver, 0.2)
    for _ in range(20):
        if errors(driver).failed == 2:
            break
        steps(driver, 1)
    assert (driver.phase, errors(driver).failed) == ("Progressing", 2)
    driver.run_until(has_ended)
    assert driver.reason == "MetricFailed"


@pytest.mark.parametrize(
    "reading",
    [
        {"problem": "no data"},
        {"value": float("nan")},
        {"value": float("inf")},
        {"problem": "Prometheus cannot be reached"},
    ],
)
def test_errors_hold_and_neither_promote_nor_abort(reading: dict[str, Any]) -> None:
    driver = driver_with(metric(consecutiveErrorLimit=2)).run_until(is_watching)
    measure(driver, **reading)
    steps(driver, 60)
    assert (driver.phase, driver.reason) == ("Progressing", "MetricUnavailable")
    assert "that alone neither promotes nor aborts" in driver.message
    assert driver.state.rollout.status.weight == 20
    measure(driver, 0.01)
    driver.run_until(has_ended)
    assert driver.reason == "Promoted"


def test_an_error_says_its_reason_only_above_the_limit_but_holds_at_once() -> None:
    driver = driver_with(metric(consecutiveErrorLimit=3)).run_until(is_watching)
    measure(driver, problem="no data")
    for _ in range(60):
        if errors(driver).consecutive_errors == 3:
            break
        steps(driver, 1)
    assert driver.reason == "Watching"
    assert driver.step().requeue_after != 0
    assert driver.performed[-1] == "tick"
    steps(driver, 6)
    assert driver.reason == "MetricUnavailable"


def test_flagger_1501_no_data_at_low_traffic_is_no_failure() -> None:
    driver = driver_with().run_until(at_weight(20))
    measure(driver, problem="no data: the query has no series")
    steps(driver, 100)
    assert (driver.phase, errors(driver).failed) == ("Progressing", 0)


def test_argo_3850_an_inconclusive_metric_is_never_promoted() -> None:
    driver = driver_with().run_until(is_watching)
    measure(driver, 0.07)
    steps(driver, 100)
    assert (driver.phase, driver.reason) == ("Progressing", "MetricInconclusive")
    assert driver.state.rollout.status.weight == 20
    assert "until a person decides" in driver.message


def test_argo_2866_and_3015_a_person_pauses_and_resumes_to_measure_again() -> None:
    driver = driver_with().run_until(is_watching)
    measure(driver, 0.07)
    steps(driver, 12)
    assert driver.reason == "MetricInconclusive"
    measure(driver, 0.01)
    steps(driver, 30)
    assert driver.reason == "MetricInconclusive"  # Good values alone do not answer the question.
    driver.edit_spec(paused=True)
    steps(driver, 3)
    assert errors(driver).inconclusive == 0
    driver.edit_spec(paused=False)
    driver.run_until(has_ended)
    assert driver.reason == "Promoted"


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        ({"value": 0.07}, "Promoted"),
        ({"value": 0.5}, "MetricFailed"),
        ({"problem": "no data"}, "MetricUnavailable"),
    ],
)
def test_who_promotes_at_once_answers_what_is_inconclusive_and_nothing_else(
    reading: dict[str, Any], reason: str
) -> None:
    driver = driver_with().run_until(is_watching)
    measure(driver, 0.07)
    steps(driver, 12)
    assert driver.reason == "MetricInconclusive"
    measure(driver, **reading)
    steps(driver, 12)
    driver.edit_spec(promote=PromoteRequest(full=True))
    steps(driver, 30)
    assert driver.reason == reason


def test_argo_261_a_metric_that_stays_inconclusive_does_not_write_again_and_again() -> None:
    driver = driver_with(metric(inconclusiveLimit=1)).run_until(is_watching)
    measure(driver, 0.07)
    steps(driver, 20)
    assert driver.announced.count("MetricInconclusive") == 1


def test_argo_1905_a_metric_without_values_goes_on_when_they_come() -> None:
    driver = driver_with().run_until(at_weight(20))
    measure(driver, problem="no data")
    steps(driver, 30)
    measure(driver, 0.01)
    driver.run_until(has_ended)
    assert driver.reason == "Promoted"


def test_argo_303_a_dry_run_is_reported_and_decides_nothing() -> None:
    driver = driver_with(metric(dryRun=True)).run_until(is_watching)
    for reading in ({"value": 0.9}, {"value": 0.07}, {"problem": "no data"}):
        measure(driver, **reading)
        steps(driver, 3)
    assert errors(driver).dry_run
    driver.run_until(has_ended)
    assert driver.reason == "Promoted"
    assert errors(driver).failed > 0


def test_flagger_1801_a_failure_aborts_while_agents_are_waited_for_and_while_paused() -> None:
    for change in ({"reports": replace(HEALTHY, in_sync=1)}, {"reports": None}, {}):
        driver = driver_with().run_until(is_watching)
        driver.state = replace(driver.state, **change)
        if not change:
            driver.edit_spec(paused=True)
        measure(driver, 0.5)
        driver.run_until(has_ended)
        assert (driver.phase, driver.reason) == ("Aborted", "MetricFailed")


def test_each_raise_waits_for_a_good_measurement_of_its_step() -> None:
    driver = driver_with(
        metric(intervalSeconds=60), strategy=objects.canary({"setWeight": 20}, {"setWeight": 100})
    )
    driver.run_until(at_weight(20))
    measure(driver, problem="not yet")
    steps(driver, 8, seconds=1)
    assert driver.state.rollout.status.weight == 20
    measure(driver, 0.01)
    driver.run_until(at_weight(100))
    began = driver.state.rollout.status.step_started_at
    driver.run_until(has_ended)
    assert began is not None
    assert errors(driver).measured_at >= began


def test_an_answer_that_is_on_its_way_is_waited_for_without_a_write() -> None:
    driver = driver_with().run_until(is_watching)
    for _ in range(3):
        driver.step()
    assert errors(driver).phase.value == "Successful"
    driver.pass_time(9)
    driver.step()
    driver.pass_time(11)
    driver.facts["metrics"] = {"errors": None}
    before = driver.written.copy()
    for _ in range(3):
        driver.step()
    assert (driver.written, driver.reason) == (before, "Watching")
    measure(driver, 0.01)
    driver.run_until(has_ended)
    assert driver.reason == "Promoted"


def test_an_unanswered_question_holds_and_is_said_when_it_is_overdue() -> None:
    driver = driver_with().run_until(is_watching)
    driver.facts["metrics"] = {"errors": None}
    steps(driver, 4)
    assert driver.state.rollout.status.weight == 20
    steps(driver, 20)
    assert driver.reason == "MetricUnavailable"
    assert "no measurement since" in driver.message
    driver.facts["metrics"] = Outage(service="", message="asks no provider")
    steps(driver, 20)
    assert (driver.phase, driver.reason) == ("Progressing", "MetricUnavailable")


def test_a_restart_resumes_the_counts_and_counts_nothing_twice() -> None:
    driver = driver_with(metric(failureLimit=3)).run_until(is_watching)
    measure(driver, 0.2)
    for _ in range(20):
        if errors(driver).failed == 2:
            break
        steps(driver, 1)
    seen = errors(driver)
    # Another process has the status alone, and the provider's cached answer of the same moment.
    fresh = replace(driver.state, metrics={"errors": MetricReading(at=seen.measured_at, value=0.2)})
    for _ in range(3):
        driver.state = fresh
        driver.step()
    assert errors(driver).failed == 2


def metrics_are_forbidden(state: State) -> None:
    assert decide(state).needs is not RolloutFact.METRICS


@pytest.mark.parametrize("how", ["abort", "delete", "breach"])
def test_a_rollback_asks_no_provider(how: str) -> None:
    """Prometheus and LangSmith are down: going back to stable completes."""
    driver = driver_with().run_until(is_watching)
    driver.facts.pop("metrics")
    driver.facts["metrics"] = Outage(service="Prometheus", message="down")
    if how == "abort":
        driver.edit_spec(abort=True)
    elif how == "delete":
        driver.delete_rollout()
    else:
        unreachable = replace(HEALTHY, canary_unreachable=2)
        driver.state = replace(driver.state, reports=unreachable)
    for _ in range(12):
        if has_ended(driver.state):
            break
        metrics_are_forbidden(driver.state)
        driver.step()
    assert has_ended(driver.state)
    assert driver.phase == "Aborted"


def test_metrics_of_the_agent_model_hold_for_every_rollout_and_give_way_to_a_rollouts_own() -> None:
    agent = objects.agent_model(
        analysis={"metrics": [metric(), {**metric(), "name": "cost", "failureCondition": "value > 2"}]}
    )
    item = objects.rollout(analysis={"minRequests": 1, "metrics": [metric(dryRun=True)]})
    driver = RolloutDriver(rollout_state(item, agent=agent))
    measure(driver, 1.0)  # A failure for errors, which is a dry run here, and inconclusive for cost.
    driver.run_until(lambda state: state.rollout.status.reason == "MetricInconclusive")
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    assert [(one.name, one.phase.value, one.dry_run) for one in analysis.metrics] == [
        ("errors", "Failed", True),
        ("cost", "Inconclusive", False),
    ]


def test_an_undo_and_an_immediate_rollout_ask_no_provider() -> None:
    driver = driver_with(strategy={"immediate": {}})
    driver.facts.pop("metrics")
    driver.facts["metrics"] = Outage(service="Prometheus", message="down")
    for _ in range(25):
        if has_ended(driver.state):
            break
        metrics_are_forbidden(driver.state)
        if driver.step().requeue_after != 0:
            driver.pass_time(11)
    assert driver.reason == "Promoted"
    assert driver.state.metrics is UNSEEN


READINGS: list[dict[str, Any] | None] = [
    *[{"value": 0.01}] * 6,
    {"value": 0.07},
    {"value": 0.5},
    {"value": float("nan")},
    {"problem": "no data"},
    None,
]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_read_the_limits_decide(seed: int) -> None:
    """Random answers and actions: never promoted on anything but a good answer, aborted by failures alone."""
    chance = random.Random(seed)
    limits = {"failureLimit": chance.randint(0, 2), "inconclusiveLimit": chance.randint(0, 2)}
    driver = driver_with(metric(**limits))
    failed: set[Any] = set()
    for _ in range(80):
        if has_ended(driver.state):
            break
        reading = chance.choice(READINGS)
        if reading is None:
            driver.facts["metrics"] = {"errors": None}
        else:
            measure(driver, **reading)
        if chance.random() < 0.1:
            driver.edit_spec(paused=not driver.state.rollout.spec.paused)
        plan = driver.step()
        analysis = driver.state.rollout.status.analysis
        for one in analysis.metrics if analysis else ():
            if one.phase.value == "Failed":
                failed.add(one.measured_at)
            assert one.failed <= limits["failureLimit"] + 1
            assert one.failed == len(failed)
        if driver.reason == "Promoting" and analysis is not None and analysis.metrics:
            (one,) = analysis.metrics
            assert (one.phase.value, one.consecutive_errors) == ("Successful", 0)
            assert one.inconclusive <= limits["inconclusiveLimit"]
        if plan.requeue_after != 0:
            driver.pass_time(chance.choice((3, 11, 40)))
    if driver.phase == "Aborted" and driver.reason != "DeadlineExceeded":
        assert driver.reason == "MetricFailed"
        assert len(failed) == limits["failureLimit"] + 1
