"""An inconclusive evaluation: a person decides, nothing bills meanwhile, and the canary stays at its first weight."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_record,
    an_entry,
    at_weight,
    has_ended,
    rollout_state,
)

from modelops.api.v1alpha1.approval import Approval
from modelops.domain.record import Record
from modelops.domain.rollout.state import State
from modelops.ports import ProgramState

EXPLANATION = "Of 150 held-out examples, 12 succeed only with the candidate and 9 only with the baseline."
INCONCLUSIVE = {
    **objects.EVALUATION_PASSED,
    "verdict": "inconclusive",
    "recommendation": "review",
    "explain": EXPLANATION,
    "calls_usd": "0.5",
}


def driver_of(*, record: Record | None = None, **spec: Any) -> RolloutDriver:
    state = rollout_state(objects.rollout(**spec), **({"record": record} if record else {}))
    facts = {
        "evaluation": ProgramState(result=INCONCLUSIVE),
        "check": ProgramState(result={"ok": True, "examples": 150, "seconds": 500, "calls_usd": "0.75"}),
    }
    return RolloutDriver(state, facts=facts)


def is_offered(state: State) -> bool:
    return state.rollout.status.offer is not None


def approve(driver: RolloutDriver, who: str = "mia") -> None:
    digest = driver.state.rollout.status.approval_digest
    driver.edit_spec(approval=Approval(approved_by=who, digest=digest))


def record_of(driver: RolloutDriver) -> Record:
    assert driver.state.record is not None
    return driver.state.record


def test_a_person_is_asked_and_nothing_is_locked_or_billed_while_they_think() -> None:
    driver = driver_of().run_until(is_offered)
    assert (driver.phase, driver.reason) == ("AwaitingApproval", "NeedsApproval")
    for words in (EXPLANATION, "decided nothing", "until then nothing is billed", "modelops approve r1"):
        assert words in driver.message
    record = record_of(driver)
    assert (record.active, record.reservations) == (None, {})
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert list(record.settlements) == ["uid-r1/1"]
    assert 500_000 <= record.settlements["uid-r1/1"].usd_micro <= 1_500_000
    assert driver.state.identity not in record.completed
    assert driver.state.block is None
    assert sum(record.candidates_compared.values()) == 1


def test_an_explanation_as_long_as_the_status_allows_is_offered_all_the_same() -> None:
    """Two looks, a judge and examples that show nothing make a long one."""
    driver = driver_of()
    driver.facts["evaluation"] = ProgramState(result={**INCONCLUSIVE, "explain": "word " * 300})
    driver.run_until(is_offered)
    offer = driver.state.rollout.status.offer
    assert offer is not None
    assert offer.why.startswith("the evaluation decided nothing. word")
    assert len(offer.why) == 1024


def test_after_the_approval_the_canary_stays_at_its_first_weight_until_the_rest_is_approved() -> None:
    driver = driver_of().run_until(is_offered)
    first = driver.state.rollout.status.approval_digest
    approve(driver)
    driver.run_until(at_weight(20), max_steps=60)
    driver.run_until(is_offered, max_steps=60)
    status = driver.state.rollout.status
    assert (driver.phase, driver.reason) == ("Progressing", "NeedsApproval")
    assert "stays at 20 percent" in driver.message
    assert status.approval_digest != first
    for _ in range(10):
        driver.step()
        driver.pass_time(600)
    assert driver.state.block is not None
    assert driver.state.block.weight == 20
    approve(driver, "noor")
    driver.run_until(has_ended, max_steps=60)
    assert (driver.phase, driver.reason) == ("Succeeded", "Promoted")
    approvals = driver.state.rollout.status.approvals
    assert [(one.stage.value, one.approved_by) for one in approvals] == [
        ("Inconclusive", "mia"),
        ("Promotion", "noor"),
    ]
    record = record_of(driver)
    assert set(record.settlements) == {"uid-r1/0", "uid-r1/1"}
    assert record.reservations == {}
    assert sum(record.candidates_compared.values()) == 1


def test_the_candidate_keeps_its_version() -> None:
    driver = driver_of().run_until(is_offered)
    before = driver.state.rollout.status.candidate
    approve(driver)
    driver.run_until(at_weight(20), max_steps=60)
    after = driver.state.rollout.status.candidate
    assert before is not None
    assert after is not None
    assert before.version == after.version
    assert list(record_of(driver).allocated) == ["v1.0.0", before.version]


def test_without_anybody_who_says_go_the_sessions_return_to_stable_at_the_end_of_what_is_paid() -> None:
    driver = driver_of().run_until(is_offered)
    approve(driver)
    driver.run_until(at_weight(20), max_steps=60).run_until(is_offered, max_steps=60)
    driver.pass_time(2 * 86400)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")
    assert driver.state.block is not None
    assert driver.state.block.weight == 0


def test_the_trial_is_reserved_with_a_day_for_the_person_as_far_as_the_limit_allows() -> None:
    reserved = []
    for limit in ("500", "5"):
        driver = driver_of(maxUSD=limit).run_until(is_offered)
        approve(driver)
        driver.run_until(lambda state: state.rollout.status.started_at is not None)
        record = record_of(driver)
        (found,) = record.reservations.values()
        reserved.append(found.seconds)
        assert found.usd_micro + record.spent_by(driver.state.uid) <= int(limit) * 1_000_000
    assert reserved[0] == 1800 + 13 + 86400
    assert 1800 + 13 < (reserved[1] or 0) < reserved[0]


def test_a_limit_without_room_for_the_canary_rejects_the_candidate() -> None:
    driver = driver_of(maxUSD="1.76").run_until(is_evaluated)
    driver.pass_time(3000)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Rejected", "EvaluationInconclusive")
    assert "of which $1.3" in driver.message


def is_evaluated(state: State) -> bool:
    return state.rollout.status.reason == "Evaluating"


@pytest.mark.parametrize(
    "spec",
    [
        {"evaluation": {"onInconclusive": "Reject"}},
        {"strategy": {"immediate": {}}},
        {"strategy": {"evaluateOnly": {}}},
    ],
)
def test_without_a_canary_or_with_reject_the_candidate_is_rejected_as_before(spec: dict[str, Any]) -> None:
    driver = driver_of(**spec).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Rejected", "EvaluationInconclusive")


@pytest.mark.parametrize("ending", ["abort", "week", "stable"])
def test_a_review_that_ends_otherwise_leaves_nothing_behind(ending: str) -> None:
    record = a_record(history=(an_entry(),))
    driver = driver_of(record=record, candidate={"version": "v1.1.0-rc.1"}).run_until(is_offered)
    assert record_of(driver).registry()["docs"]["history"][0]["deployment_status"] == "evaluated"
    if ending == "abort":
        driver.edit_spec(abort=True)
    elif ending == "week":
        for _ in range(8):
            driver.state = replace(driver.state, now=driver.state.now + timedelta(days=1))
            driver.run_until_idle()
    else:
        agent = driver.state.require_agent_model()
        assert agent.spec.prompt is not None
        prompt = agent.spec.prompt.model_copy(update={"user": "another {{ inputs.task }}"})
        spec = agent.spec.model_copy(update={"prompt": prompt})
        driver.state = replace(driver.state, agent_model=agent.model_copy(update={"spec": spec}))
    driver.run_until(has_ended)
    expected = "AbortedByUser" if ending == "abort" else "EvaluationInconclusive"
    assert driver.reason == expected
    found = record_of(driver)
    assert (found.active, found.reservations) == (None, {})
    assert driver.state.identity in found.completed
    status = found.registry()["docs"]["history"][0]["deployment_status"]
    assert status == ("evaluated" if ending == "abort" else "rejected")


def test_a_lock_on_a_record_from_before_the_release_does_not_count() -> None:
    driver = driver_of()
    driver.run_until(lambda state: state.rollout.status.phase.value == "AwaitingApproval")
    stale = record_of(driver)
    driver.run_until(is_offered)
    written = len(driver.written)
    driver.state = replace(driver.state, record=stale)
    driver.step()
    assert len(driver.written) == written
    assert driver.phase == "AwaitingApproval"
