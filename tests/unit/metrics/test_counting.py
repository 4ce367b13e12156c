"""What a measurement is and counts. The names of tests with numbers are those of issues of Argo Rollouts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelops.api.v1alpha1.analysis_metrics import AnalysisMetric, MetricPhase, MetricStatus
from modelops.domain.metrics.counting import MetricReading, counted, is_worth_writing
from modelops.domain.metrics.schedule import due_since, is_overdue

AT = datetime(2025, 12, 10, 9, 0, tzinfo=UTC)
BOTH = {"successCondition": "value < 0.05", "failureCondition": "value > 0.1"}


def metric(**changes: Any) -> AnalysisMetric:
    given = {"name": "errors", "prometheus": {"template": "errorRatio"}, **(changes or BOTH)}
    return AnalysisMetric.model_validate(given)


def after(*values: float | None, of: AnalysisMetric | None = None, **reading: Any) -> MetricStatus:
    status = MetricStatus(name="errors", started_at=AT)
    for number, value in enumerate(values):
        read = MetricReading(at=AT + timedelta(seconds=number), value=value, **reading)
        status = counted(of or metric(), status, read)
    return status


@pytest.mark.parametrize(
    ("value", "phase"),
    [(0.01, "Successful"), (0.07, "Inconclusive"), (0.2, "Failed"), (None, "Error")],
)
def test_the_grey_zone_is_between_both_conditions(value: float | None, phase: str) -> None:
    assert after(value).phase.value == phase


@pytest.mark.parametrize(
    ("conditions", "value", "phase"),
    [
        ({"successCondition": "value < 1"}, 2.0, "Failed"),
        ({"successCondition": "value < 1"}, 0.5, "Successful"),
        ({"failureCondition": "value > 1"}, 2.0, "Failed"),
        ({"failureCondition": "value > 1"}, 0.5, "Successful"),
        ({"successCondition": "value > 0", "failureCondition": "value > 1"}, 2.0, "Failed"),
        ({"dryRun": True}, 2.0, "Successful"),
    ],
)
def test_one_condition_is_the_opposite_of_the_other(
    conditions: dict[str, Any], value: float, phase: str
) -> None:
    assert after(value, of=metric(**conditions)).phase.value == phase


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("condition", ["value < 0.05", "value >= 0", "value != 0"])
def test_nan_and_infinity_are_errors_whatever_the_condition(value: float, condition: str) -> None:
    for only in ("successCondition", "failureCondition"):
        status = after(value, of=metric(**{only: condition}))
        assert (status.phase, status.failed, status.consecutive_errors) == (MetricPhase.ERROR, 0, 1)


def test_a_missing_value_of_stable_is_an_error() -> None:
    compared = metric(successCondition="value - stable < 0.02")
    assert after(0.01, of=compared).phase is MetricPhase.ERROR
    good = after(0.01, of=compared, stable=0.0)
    assert (good.phase, good.message) == (MetricPhase.SUCCESSFUL, "value 0.01, stable 0")
    assert after(0.01, of=compared, stable=float("nan")).phase is MetricPhase.ERROR


def test_counts_add_up_and_errors_are_those_in_a_row() -> None:
    status = after(0.2, 0.07, None, None, 0.01, 0.2, None)
    assert (status.failed, status.inconclusive, status.consecutive_errors) == (2, 1, 1)


def test_argo_404_the_message_has_value_and_condition() -> None:
    assert after(0.2).message == "value 0.2: failureCondition `value > 0.1` holds"
    assert "successCondition `value < 0.05` does not hold, nor does" in after(0.07).message


def test_argo_521_and_4602_an_answer_that_failed_is_no_good_measurement() -> None:
    status = counted(
        metric(), MetricStatus(name="errors"), MetricReading(at=AT, value=0.0, problem="HTTP 503")
    )
    assert (status.phase, status.message) == (MetricPhase.ERROR, "HTTP 503")


def test_a_reading_counts_once() -> None:
    once = after(0.2)
    again = counted(metric(), once, MetricReading(at=AT, value=0.2))
    assert again == once
    assert counted(metric(), once, MetricReading(at=AT - timedelta(seconds=1), value=0.2)) == once


def test_good_measurements_are_written_once_a_minute_and_what_counts_always() -> None:
    old = after(0.01)

    def written(value: float | None, seconds: float) -> bool:
        read = MetricReading(at=AT + timedelta(seconds=seconds), value=value)
        return is_worth_writing(metric(), old, counted(metric(), old, read))

    assert not written(0.02, 30)
    assert written(0.02, 60)
    assert all(written(value, 10) for value in (0.2, 0.07, None))
    many = old.model_copy(update={"phase": MetricPhase.ERROR, "consecutive_errors": 5})
    more = counted(metric(), many, MetricReading(at=AT + timedelta(seconds=10)))
    assert not is_worth_writing(metric(), many, more)
    few = many.model_copy(update={"consecutive_errors": 4})
    assert is_worth_writing(
        metric(), few, counted(metric(), few, MetricReading(at=AT + timedelta(seconds=9)))
    )


def test_a_metric_is_due_after_the_delay_and_then_once_in_each_interval() -> None:
    waits = metric(successCondition="value < 1", initialDelaySeconds=30, intervalSeconds=60)
    status = MetricStatus(name="errors", started_at=AT)
    first = AT + timedelta(seconds=30)
    assert due_since(waits, status, AT + timedelta(seconds=29), rollout="team/r1") is None
    assert due_since(waits, status, first, rollout="team/r1") == first
    due = 0
    for second in range(30, 30 + 600):
        now = AT + timedelta(seconds=second)
        if due_since(waits, status, now, rollout="team/r1") is not None:
            due, status = due + 1, status.model_copy(update={"measured_at": now})
    assert due in (10, 11)
    last = status.measured_at
    assert last is not None
    assert not is_overdue(waits, status, last + timedelta(seconds=119))
    assert is_overdue(waits, status, last + timedelta(seconds=121))


def next_due(of: AnalysisMetric, rollout: str, began: datetime) -> datetime:
    status, now = MetricStatus(name="errors", started_at=began, measured_at=began), began
    while (slot := due_since(of, status, now, rollout=rollout)) is None:
        now += timedelta(milliseconds=100)
    return slot


def test_rollouts_with_the_same_query_are_due_at_the_same_times_and_others_are_spread() -> None:
    shared = metric(**BOTH, prometheus={"query": "sum(up)"})
    times = {next_due(shared, f"team/r{number}", AT + timedelta(seconds=number)) for number in range(20)}
    assert len(times) <= 2
    assert all((one - other).total_seconds() % 60 == 0 for one in times for other in times)
    own = {next_due(metric(), f"team/r{number}", AT) for number in range(100)}
    assert len(own) > 90
    assert max(own) - min(own) > timedelta(seconds=45)
