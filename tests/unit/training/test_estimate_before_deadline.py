"""An attempt that its run's own deadline must end is not paid for; one that it may end has a timeout before it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.training.objects import DEFAULTS, INSTALLATION, ORG, prepared_status
from tests.unit.training.retried_runs import AUTO, OFFERED_FLAVORS
from tests.unit.training.states import (
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_job,
    submitted_status,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.training.state import TrainingSettings

OWN_GPU = {"kubernetes": {"device": "l40s", "gpus": 1}}


def plan_on(of: TrainingRun, **changes: Any) -> Plan:
    """The decision about the run, whose AgentModel has a large budget."""
    rich = agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "1000"})
    return plan_for(of, agent_model=rich, **{**KNOWN_FACTS, "flavors": OFFERED_FLAVORS, **changes})


def unsubmitted_run(*, tokens: int, **spec: Any) -> TrainingRun:
    """A run with a dataset of so many tokens and without a price. `a10g-large` trains 20,000 to 40,000 a minute."""
    status = prepared_status()
    del status["estimate"]
    status["dataset"]["tokens"] = tokens
    return run(status, **{"maxUSD": "500", **spec})


def run_after(reason: str, *, hours: int = 4, **past: Any) -> TrainingRun:
    """A run between two attempts, two hours after its first submission."""
    first = {"attempt": 1, "reason": reason, "costUSD": "5", "label": "l1", "flavor": "a10g-large", **past}
    status = {**submitted_status(), "attempts": [first], "recipe": {"batchSize": 1}, "phase": "Pending"}
    status["activeSince"] = "2025-12-09T20:00:00Z"
    del status["job"], status["estimate"]
    return run(status, backend=AUTO, maxUSD="500", activeDeadlineSeconds=hours * 3600)


@pytest.mark.parametrize("backend", [{"huggingFace": {"flavor": "a10g-large"}}, OWN_GPU])
def test_a_training_that_cannot_end_before_the_deadline_is_refused_before_it_is_paid_for(
    backend: dict[str, Any],
) -> None:
    defaults = {**DEFAULTS, "cost_estimates": {"l40s_per_hour": 2}}
    priced = TrainingSettings(installation=INSTALLATION, hub_org=ORG, defaults=defaults)
    of = unsubmitted_run(tokens=40_000_000, backend=backend)
    plan = plan_on(of, settings=priced)
    assert step_names(plan) == ["status"]
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "DeadlineTooShort")
    assert "min on " in ready_message(plan)
    assert "spec.activeDeadlineSeconds 14400 leaves 240 min: set it to at least " in ready_message(plan)


def test_the_deadline_that_the_message_names_is_long_enough() -> None:
    refused = ready_message(plan_on(unsubmitted_run(tokens=4_000_000)))
    seconds = int(refused.partition("set it to at least ")[2].partition(",")[0])
    plan = plan_on(unsubmitted_run(tokens=4_000_000, activeDeadlineSeconds=seconds))
    assert submitted_job(plan).timeout_seconds == seconds
    assert "activeDeadlineSeconds" not in written_status(plan).estimate.source


def test_no_deadline_is_named_where_the_longest_one_is_too_short() -> None:
    refused = ready_message(plan_on(unsubmitted_run(tokens=400_000_000)))
    assert "leaves 240 min: choose a faster spec.backend.huggingFace.flavor" in refused


def test_a_training_that_may_end_after_the_deadline_has_its_timeout_before_it() -> None:
    plan = plan_on(unsubmitted_run(tokens=2_500_000))
    estimate = written_status(plan).estimate
    assert estimate.low_minutes < 240 == estimate.high_minutes
    assert "bounded by what is left of spec.activeDeadlineSeconds" in estimate.source
    assert submitted_job(plan).timeout_seconds == submitted_job(plan).run["seconds"] == 14_400
    (reservation,) = written_record(plan).reservations.values()
    assert reservation.usd_micro == micro(estimate.high_usd) == 6_000_000


def test_a_short_training_is_not_bounded_by_the_deadline() -> None:
    estimate = written_status(plan_on(run(prepared_status() | {"estimate": None}))).estimate
    assert "activeDeadlineSeconds" not in estimate.source


def test_a_retry_that_measured_more_than_the_deadline_leaves_uses_other_hardware_or_ends_the_run() -> None:
    of = run_after("TooSlow", remainingSeconds=6 * 3600)
    assert submitted_job(plan_on(of)).flavor == "l40sx1"
    (done,) = written_record(plan_on(of, flavors=OFFERED_FLAVORS[:1])).completed.values()
    assert done.outcome == "DeadlineTooShort"
    assert "attempt 2 takes at least 360 min on a10g-large" in done.message
    assert "spec.activeDeadlineSeconds 14400 leaves 120 min: set it to at least 27000" in done.message


def test_a_retry_that_measured_less_than_the_deadline_leaves_is_bounded() -> None:
    plan = plan_on(run_after("TooSlow", remainingSeconds=110 * 60))
    assert (submitted_job(plan).flavor, submitted_job(plan).timeout_seconds) == ("a10g-large", 120 * 60)


def test_a_retry_from_a_checkpoint_is_bounded_although_a_whole_training_would_take_longer() -> None:
    """Only the rest is trained, and nobody measured how much that is: the job measures itself."""
    lost = run_after("JobLost")
    status = lost.status.wire()
    status["dataset"]["tokens"] = 2_500_000
    plan = plan_on(run(status, **lost.spec.wire()))
    assert submitted_job(plan).timeout_seconds == 120 * 60
    assert written_status(plan).estimate.low_minutes == 120


def test_a_retry_for_which_not_even_the_time_around_the_training_is_left_ends_the_run() -> None:
    lost = run_after("JobLost")
    of = run(lost.status.wire(), **{**lost.spec.wire(), "activeDeadlineSeconds": 7320})
    (done,) = written_record(plan_on(of)).completed.values()
    assert done.outcome == "DeadlineTooShort"
    assert "leaves 2 min" in done.message
