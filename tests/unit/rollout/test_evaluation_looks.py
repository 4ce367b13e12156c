"""Looks at one version of a dataset are counted, and a choice that is made after a result was seen is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_record,
    has_ended,
    is_armed,
    parsed,
    rollout_state,
)
from tests.unit.rollout.test_evaluation_plan import check_of

from modelops.api.v1alpha1.rollout import EvaluationStatus, Rollout
from modelops.domain.record import Record
from modelops.domain.record_bound import bounded_data
from modelops.ports import ProgramState

VERSION = "ls://docs-eval@2025-12-10"
SCORER = {"type": "tokenF1", "threshold": "0.35"}
FIRST = "marginPoints 10, all examples, scorer tokenF1 from 0.35, goal nonInferior"


def result(**changes: Any) -> ProgramState:
    return ProgramState(
        result={**objects.EVALUATION_PASSED, "as_of": "2025-12-10", "margin_points": "10", **changes}
    )


def driver_of(record: Record, *, evaluation: ProgramState | None = None, **spec: Any) -> RolloutDriver:
    item = objects.rollout(evaluation={"scorer": SCORER, **spec}, strategy={"evaluateOnly": {}})
    facts = {"check": check_of(150), "evaluation": evaluation or result()}
    return RolloutDriver(rollout_state(item, record=record), facts=facts)


def evaluation_of(driver: RolloutDriver) -> EvaluationStatus:
    found = driver.state.rollout.status.evaluation
    assert found is not None
    return found


@pytest.mark.parametrize("outcome", [result(), result(verdict="fail"), result(verdict="inconclusive")])
def test_the_first_evaluation_keeps_its_choices_and_is_counted(outcome: ProgramState) -> None:
    driver = driver_of(a_record(), evaluation=outcome).run_until(has_ended)

    assert driver.state.record is not None
    assert driver.state.record.candidates_compared == {VERSION: 1}
    assert driver.state.record.evaluation_choices == {VERSION: FIRST}
    assert evaluation_of(driver).findings == ()


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"maxExamples": 80}, "maxExamples 80"),
        ({"scorer": {"type": "tokenF1", "threshold": "0.2"}}, "from 0.2"),
        ({"goal": "superior", "expectedGainPoints": "10"}, "goal superior"),
    ],
)
def test_another_choice_on_the_same_version_is_said_before_anything_is_spent(
    spec: dict[str, Any], named: str
) -> None:
    record = a_record(candidates_compared={VERSION: 1}, evaluation_choices={VERSION: FIRST})
    driver = driver_of(record, **spec).run_until(lambda state: state.rollout.status.evaluation is not None)

    assert not driver.state.holds_agent_lock
    (finding,) = evaluation_of(driver).findings
    assert named in finding
    assert FIRST in finding

    driver.run_until(has_ended)
    assert finding in evaluation_of(driver).findings
    assert driver.state.require_record().evaluation_choices == {VERSION: FIRST}


def test_another_margin_is_said() -> None:
    record = a_record(candidates_compared={VERSION: 1}, evaluation_choices={VERSION: FIRST})
    driver = driver_of(record, evaluation=result(margin_points="20"), marginPoints="20").run_until(has_ended)
    assert any("marginPoints 20" in finding for finding in evaluation_of(driver).findings)


def test_the_same_choices_are_no_finding() -> None:
    record = a_record(candidates_compared={VERSION: 4}, evaluation_choices={VERSION: FIRST})
    driver = driver_of(record).run_until(has_ended)
    assert (evaluation_of(driver).findings, evaluation_of(driver).candidates_compared) == ((), 5)


def test_after_five_candidates_fresh_examples_are_asked_for_before_anything_is_spent() -> None:
    record = a_record(candidates_compared={VERSION: 5}, evaluation_choices={VERSION: FIRST})
    driver = driver_of(record).run_until(lambda state: state.rollout.status.evaluation is not None)
    (finding,) = evaluation_of(driver).findings
    assert "candidate 6 on the same version" in finding
    assert "fresh examples" in finding


def test_another_version_of_the_dataset_is_counted_by_itself() -> None:
    other = {"ls://docs-eval@2025-11-01": 9}
    driver = driver_of(a_record(candidates_compared=other)).run_until(has_ended)
    assert evaluation_of(driver).findings == ()
    assert driver.state.require_record().candidates_compared == {**other, VERSION: 1}


def test_a_promotion_counts_its_candidate_too() -> None:
    state = replace(rollout_state(), rollout=parsed(Rollout, objects.rollout(strategy={"immediate": {}})))
    driver = RolloutDriver(state, facts={"evaluation": result()}).run_until(has_ended)
    assert driver.state.require_record().candidates_compared == {VERSION: 1}
    assert list(driver.state.require_record().evaluation_choices) == [VERSION]


def test_a_record_that_is_too_large_loses_the_choices_before_versions() -> None:
    record = a_record(evaluation_choices={f"ls://d@{n}": "x" * 1000 for n in range(900)})
    assert Record.from_data(bounded_data(record)).evaluation_choices == {}


def test_the_plan_of_an_armed_rollout_keeps_its_count() -> None:
    item = objects.rollout(evaluation={"scorer": SCORER})
    facts = {"check": check_of(150), "evaluation": result()}
    driver = RolloutDriver(rollout_state(item), facts=facts).run_until(is_armed)
    assert evaluation_of(driver).candidates_compared == 1
