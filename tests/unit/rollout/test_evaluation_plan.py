"""The plan of an evaluation is in the status before anything is spent, and a poor chance must be accepted by name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_record,
    an_entry,
    has_ended,
    is_armed,
    rollout_state,
)

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget
from modelops.domain.gates.evaluation_plan import (
    ASSUMED_CALL_SECONDS,
    Assumptions,
    default_margin_points,
    plan_evaluation,
)
from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.evaluation_scores import shown_call_seconds
from modelops.domain.rollout.targets import require_candidate_target
from modelops.ports import ProgramState


def check_of(examples: int, **assumed: Any) -> ProgramState:
    margin = default_margin_points(examples)
    plan = plan_evaluation(Assumptions(examples=examples, margin_points=margin, **assumed))
    return ProgramState(result={"ok": True, "examples": examples, "as_of": "2025-12-10", "plan": plan.wire()})


def driver_of(check: ProgramState, **evaluation: Any) -> RolloutDriver:
    item = objects.rollout(evaluation={"scorer": {"type": "exact", "threshold": "1"}, **evaluation})
    return RolloutDriver(rollout_state(item), facts={"check": check})


def test_the_plan_is_written_before_the_agent_is_locked() -> None:
    driver = driver_of(check_of(150)).run_until(lambda state: state.rollout.status.evaluation is not None)

    assert not driver.state.holds_agent_lock
    assert (driver.phase, driver.reason) == ("Pending", "EvaluationPlanned")
    evaluation = driver.state.rollout.status.evaluation
    assert evaluation is not None
    assert evaluation.plan is not None
    assert (evaluation.verdict, evaluation.plan.examples, evaluation.plan.margin_points) == ("", 150, "10")
    assert float(evaluation.plan.pass_if_equal) == pytest.approx(0.84, abs=0.01)
    forecast = driver.state.rollout.status.forecast
    assert forecast is not None
    assert driver.message == f"{evaluation.plan.message} {forecast.message}"


def test_the_plan_stays_beside_the_result() -> None:
    driver = driver_of(check_of(150)).run_until(is_armed)

    evaluation = driver.state.rollout.status.evaluated
    assert evaluation is not None
    assert evaluation.plan is not None
    assert (evaluation.verdict, evaluation.plan.examples) == ("pass", 150)


def test_a_poor_chance_ends_the_rollout_before_anything_is_spent() -> None:
    driver = driver_of(check_of(30)).run_until(has_ended)

    assert (driver.phase, driver.reason) == ("Failed", "LowPower")
    assert "record lock" not in driver.written
    assert "in 35 % if it is 2 points better" in driver.message
    for way in ("130 examples", "marginPoints of 25", "expectedGainPoints", "acceptLowPower"):
        assert way in driver.message
    assert driver.state.rollout.status.evaluated is None
    assert driver.state.rollout.status.evaluation is not None


def test_a_poor_chance_that_the_spec_accepts_is_only_planned() -> None:
    driver = driver_of(check_of(30), acceptLowPower=True).run_until(is_armed)
    assert "record lock" in driver.written


def test_few_examples_are_enough_for_a_great_gain() -> None:
    driver = driver_of(check_of(30, gain_points=Decimal(20)), expectedGainPoints="20").run_until(is_armed)
    assert "record lock" in driver.written


def test_a_check_of_an_older_operator_has_no_plan() -> None:
    driver = driver_of(ProgramState(result={"ok": True, "examples": 60})).run_until(is_armed)
    assert "status EvaluationPlanned" not in driver.written


def test_the_plan_assumes_what_the_last_evaluation_on_the_dataset_showed() -> None:
    scores = {"avg_latency_ms": 1200, "disagreement_points": 31.0}
    shown = an_entry("v1.1.0-rc.1", eval_dataset="ls://docs-eval", eval_scores=scores)
    other = an_entry("v1.2.0-rc.1", eval_dataset="ls://other", eval_scores={"disagreement_points": 8.0})
    driver = driver_of(check_of(150), dataset="ls://docs-eval", expectedGainPoints="7").run_until(is_armed)
    state = driver.state
    assert state.record is not None

    def assumed(**record: Any) -> tuple[Any, ...]:
        changed = replace(state, record=state.require_record().with_(**record))
        found = evaluation_input(changed, require_candidate_target(changed))
        return found["disagree_points"], found["call_seconds"], found["expected_gain_points"]

    assert assumed(history=()) == ("20", 5.0, "7")
    assert assumed(history=(shown, other)) == ("31.0", 1.2, "7")


def test_the_time_of_an_agents_answer_is_not_taken_from_a_call_of_a_model() -> None:
    def entry(version: str, **scores: Any) -> Any:
        return an_entry(version, eval_dataset="ls://docs-eval", eval_scores=scores)

    agent = entry("v1.1.0-rc.1", target="agent", avg_latency_ms=9000)
    model = entry("v1.2.0-rc.1", target="model", avg_latency_ms=1200)
    record = a_record(history=(agent, model))
    assert shown_call_seconds(record, target=EvaluationTarget.AGENT) == 9.0
    assert shown_call_seconds(record, target=EvaluationTarget.MODEL) == 1.2
    only_model = a_record(history=(entry("v1.2.0-rc.1", avg_latency_ms=1200),))
    assert shown_call_seconds(only_model, target=EvaluationTarget.MODEL) == 1.2
    assert shown_call_seconds(only_model, target=EvaluationTarget.AGENT) == ASSUMED_CALL_SECONDS


def test_the_disagreement_that_was_seen_goes_into_the_record() -> None:
    result = {**objects.EVALUATION_PASSED, "disagreement_points": "24.0"}
    item = objects.rollout(candidate={"version": "v1.1.0-rc.1"}, strategy={"evaluateOnly": {}})
    record = a_record(history=(an_entry(),), allocated={"v1.0.0": {}, "v1.1.0-rc.1": {}})
    facts = {"evaluation": ProgramState(result=result)}
    driver = RolloutDriver(rollout_state(item, record=record), facts=facts).run_until(has_ended)

    assert driver.state.record is not None
    entry = driver.state.record.entry("v1.1.0-rc.1")
    assert entry is not None
    assert entry.eval_scores["disagreement_points"] == 24.0
