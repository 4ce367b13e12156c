"""A second look: it is in the plan, in the offer and in the status, and after it a person decides as before."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, rollout_state

from modelops.domain.gates.evaluation_plan import Assumptions, plan_evaluation
from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.evaluation_scores import evaluation_choices
from modelops.domain.rollout.state import State
from modelops.domain.rollout.targets import require_candidate_target
from modelops.ports import ProgramState

TOP_UP = {"maxExamples": 150, "topUp": {"maxExamples": 300}, "onInconclusive": "TopUp"}
LOOKS = [
    {
        "examples": 150,
        "errorPercent": "1.89",
        "differencePoints": "0.00",
        "intervalPoints": ["-12.00", "9.00"],
        "verdict": "inconclusive",
    },
    {
        "examples": 300,
        "errorPercent": "4.03",
        "differencePoints": "-1.00",
        "intervalPoints": ["-10.50", "6.00"],
        "verdict": "inconclusive",
    },
]


def check_of(**more: Any) -> ProgramState:
    plan = plan_evaluation(Assumptions(examples=300, first_look=150, margin_points=Decimal(10)))
    found = {"ok": True, "examples": 300, "seconds": 900, "calls_usd": "1.50", "as_of": "2025-12-10", **more}
    return ProgramState(result={**found, "plan": plan.wire()})


def driver_of(*, check: ProgramState | None = None, agent: Any = None, **spec: Any) -> RolloutDriver:
    item = objects.rollout(**{"evaluation": TOP_UP, **spec})
    facts = {"check": check or check_of()}
    return RolloutDriver(rollout_state(item, **({"agent": agent} if agent else {})), facts=facts)


def is_waiting(state: State) -> bool:
    return state.rollout.status.phase.value == "AwaitingApproval"


def is_evaluating(state: State) -> bool:
    return state.rollout.status.reason == "Evaluating"


def is_offered(state: State) -> bool:
    return state.rollout.status.offer is not None


def test_plan_and_offer_have_both_looks_and_how_probable_the_second_is() -> None:
    strict = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "1"})
    driver = driver_of(agent=strict).run_until(is_waiting)
    status = driver.state.rollout.status
    assert status.evaluation is not None
    assert status.evaluation.plan is not None
    plan = status.evaluation.plan
    assert [(look.examples, look.error_percent) for look in plan.looks] == [(150, "1.89"), (300, "4.03")]
    assert "an equal candidate needs the second in 29 % of evaluations" in plan.message
    offer = status.offer
    assert offer is not None
    assert (offer.examples, offer.first_look_examples, offer.second_look_if_equal) == (300, 150, "0.286")
    assert "300 examples (150 first, and 150 more where they decide nothing: 29 % probable" in driver.message
    assert offer.calls_usd == "1.50"


def test_the_reservation_covers_both_looks() -> None:
    driver = driver_of().run_until(lambda state: state.holds_agent_lock)
    assert driver.state.record is not None
    (reservation,) = driver.state.record.reservations.values()
    assert reservation.calls_usd_micro == 1_500_000
    # Provisioning, both looks, and the pauses of the canary.
    assert reservation.seconds == 3600 + 13


def test_a_second_look_that_is_short_is_said_before_anything_is_spent() -> None:
    finding = "the second look has 240 of 300 examples"
    driver = driver_of(check=check_of(look_findings=[finding]))
    driver.run_until(lambda state: state.rollout.status.evaluation is not None)
    assert driver.state.rollout.status.evaluation is not None
    assert driver.state.rollout.status.evaluation.findings == (finding,)
    assert not driver.state.holds_agent_lock


def test_too_few_further_examples_end_the_rollout_before_it_locks_the_agent() -> None:
    refused = {"ok": False, "reason": "TopUpTooSmall", "message": "180 examples are left", "transient": False}
    driver = driver_of(check=ProgramState(result=refused))
    driver.facts["keys_replaced"] = False
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "EvaluationRefused")
    assert "TopUpTooSmall: spec.langsmith.evaluationDataset ls://docs-eval" in driver.message
    assert "record lock" not in driver.written


def test_the_program_gets_both_numbers_and_the_choices_name_them() -> None:
    driver = driver_of().run_until(is_evaluating)
    given = evaluation_input(driver.state, require_candidate_target(driver.state))
    assert (given["max_examples"], given["top_up_examples"]) == (150, 300)
    words = evaluation_choices(driver.state, margin_points="10")
    assert "maxExamples 150 topped up to 300" in words


def test_the_status_says_that_the_second_look_has_begun_and_says_it_once() -> None:
    driver = driver_of().run_until(is_evaluating)
    driver.facts["evaluation"] = ProgramState(
        running=True, progress={"stage": "asking, look 2 of 2", "done": 300, "total": 600}
    )
    driver.run_until(lambda state: "first look decided nothing" in driver.message, max_steps=20)
    assert "further examples of ls://docs-eval" in driver.message
    written = len(driver.written)
    for _ in range(5):
        driver.step()
    assert len(driver.written) == written
    assert (driver.phase, driver.reason) == ("Evaluating", "Evaluating")


@pytest.mark.parametrize(("strategy", "phase"), [({}, "AwaitingApproval"), ({"immediate": {}}, "Rejected")])
def test_two_looks_that_decide_nothing_ask_a_person_where_there_is_a_canary(
    strategy: dict[str, Any], phase: str
) -> None:
    undecided = {
        **objects.EVALUATION_PASSED,
        "verdict": "inconclusive",
        "recommendation": "review",
        "n": 300,
        "looks": LOOKS,
        "explain": "The first look at 150 examples decided nothing; this is the second, at all of them.",
    }
    driver = driver_of(**({"strategy": strategy} if strategy else {}))
    driver.facts["evaluation"] = ProgramState(result=undecided)
    driver.run_until(lambda state: is_offered(state) or has_ended(state), max_steps=80)
    assert driver.phase == phase
    found = driver.state.rollout.status.evaluated
    assert found is not None
    assert [(look.examples, look.verdict) for look in found.looks] == [
        (150, "inconclusive"),
        (300, "inconclusive"),
    ]
    assert "this is the second" in driver.message


USE = {
    "requests": 12000,
    "usd": "60.00",
    "message": "in the last 30 days the agent had 12000 requests, 400 a day (LangSmith project docs) for $60.00",
}


def test_the_offer_says_from_how_many_requests_on_the_endpoint_is_cheaper() -> None:
    strict = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "1"})
    driver = driver_of(agent=strict, check=check_of(baseline_use=USE)).run_until(is_waiting)
    offer = driver.state.rollout.status.offer
    assert offer is not None
    # $730 a month of 730 hours are $24 a day, and a request costs half a cent.
    assert (offer.standing_usd_per_month, offer.break_even_requests_per_day) == ("730.00", 4800)
    assert (
        "today the stable model is billed per call: in the last 30 days the agent had 12000" in driver.message
    )
    assert "The endpoint is cheaper from 4,800 requests a day on" in driver.message


def test_where_the_price_of_a_request_is_not_known_the_offer_says_so_in_words() -> None:
    strict = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "1"})
    unknown = {"message": "how often the stable model was asked is not known: LangSmith does not answer"}
    driver = driver_of(agent=strict, check=check_of(baseline_use=unknown)).run_until(is_waiting)
    offer = driver.state.rollout.status.offer
    assert offer is not None
    assert offer.break_even_requests_per_day is None
    assert "is not known: LangSmith does not answer" in driver.message
    assert "is cheaper from" not in driver.message


def test_what_the_baseline_costs_changes_no_offer() -> None:
    """Otherwise each request to the agent would withdraw what a person is about to approve."""
    strict = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "1"})
    driver = driver_of(agent=strict, check=check_of(baseline_use=USE)).run_until(is_waiting)
    digest = driver.state.rollout.status.approval_digest
    driver.facts["check"] = check_of(baseline_use={**USE, "usd": "61.00"})
    driver.state = replace(driver.state)
    for _ in range(6):
        driver.step()
    assert driver.state.rollout.status.approval_digest == digest
    assert is_waiting(driver.state)
