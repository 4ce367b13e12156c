"""A Rollout above the threshold waits for a person: offer, digest, approval, expiry, change, self-approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, a_file, at_weight, has_ended, rollout_state

from modelops.api.v1alpha1.approval import Approval
from modelops.domain.conditions import condition_of
from modelops.domain.record import EndpointEntry, Settlement
from modelops.domain.rollout.state import State
from modelops.ports import AgentTraffic

STRICT = {"monthlyUSD": "1000", "approvalAboveUSD": "10"}
DAY = 86400
DEFAULT_STRATEGY = {"strategy": {"canary": {}}, "maxUSD": "40"}


def waiting(*, agent: dict[str, Any] | None = None, **spec: Any) -> RolloutDriver:
    """A rollout with the default strategy and the default threshold, which has made its offer."""
    item = objects.rollout(**{**DEFAULT_STRATEGY, **spec})
    changes = {"budget": STRICT, **(agent or {})}
    driver = RolloutDriver(rollout_state(item, agent=objects.agent_model(**changes)))
    return driver.run_until(is_waiting)


def is_waiting(state: State) -> bool:
    return state.rollout.status.phase.value == "AwaitingApproval"


def approve(driver: RolloutDriver, who: str = "mia", *, digest: str | None = None) -> None:
    found = driver.state.rollout.status.approval_digest if digest is None else digest
    driver.edit_spec(approval=Approval(approved_by=who, digest=found))


def is_locked(state: State) -> bool:
    return state.record is not None and state.record.active is not None


def test_the_default_canary_waits_for_a_person_and_says_what_it_costs_up_to_production() -> None:
    driver = waiting()
    status = driver.state.rollout.status
    assert driver.reason == "NeedsApproval"
    for words in (
        "may cost up to $31.00 ($1.00 for the evaluation with 60 examples, $30.00 for the canary)",
        "the cost is above spec.budget.approvalAboveUSD $10 of AgentModel docs",
        "After a promotion its endpoint costs $730.00 a month; today the stable model is billed per call",
        "modelops approve r1 -n team",
        "until 2025-12-11 09:00 UTC",
    ):
        assert words in driver.message
    assert status.offer is not None
    assert (status.offer.high_usd, status.offer.standing_usd_per_month) == ("31.00", "730.00")
    record = driver.state.record
    assert record is not None
    assert (record.active, record.reservations, record.endpoints) == (None, {}, ())
    conditions = {c.type: c.status.value for c in status.conditions}
    assert (conditions["Approved"], conditions["Stalled"], conditions["Reconciling"]) == (
        "False",
        "False",
        "False",
    )


def test_a_waiting_rollout_writes_nothing_until_something_changes() -> None:
    driver = waiting()
    written = len(driver.written)
    driver.pass_time(3600)
    driver.run_until_idle()
    assert len(driver.written) == written


def test_an_approval_is_used_once_and_names_the_person() -> None:
    driver = waiting()
    digest = driver.state.rollout.status.approval_digest
    approve(driver)
    driver.run_until(at_weight(20), max_steps=60)
    status = driver.state.rollout.status
    assert [(one.stage.value, one.approved_by, one.digest) for one in status.approvals] == [
        ("Cost", "mia", digest)
    ]
    assert (status.offer, status.approval_digest) == (None, "")
    approved = condition_of(status.conditions, "Approved")
    assert approved is not None
    assert approved.status.value == "True"
    assert "Approved" in driver.announced
    record = driver.state.record
    assert record is not None
    assert [r.usd_micro for r in record.reservations.values()] == [31_000_000]


@pytest.mark.parametrize(
    ("digest", "reason"), [("sha256:" + "0" * 64, "ApprovalStale"), (None, "SelfApproval")]
)
def test_an_approval_of_something_else_or_by_the_requester_does_not_count(
    digest: str | None, reason: str
) -> None:
    driver = waiting(agent={"approvalPolicy": {"forbidSelfApproval": True}}, requestedBy="mia")
    approve(driver, "mia", digest=digest)
    driver.run_until_idle()
    assert (driver.phase, driver.reason) == ("AwaitingApproval", reason)
    assert not is_locked(driver.state)
    approve(driver, "a-colleague")
    driver.run_until(is_locked)


def test_an_approval_that_is_removed_in_time_does_not_count() -> None:
    driver = waiting()
    approve(driver, digest="sha256:" + "0" * 64)
    driver.run_until_idle()
    driver.edit_spec(approval=None)
    driver.run_until_idle()
    assert (driver.reason, is_locked(driver.state)) == ("NeedsApproval", False)


def test_nobody_could_approve_a_rollout_without_a_requester_so_it_ends_at_once() -> None:
    agent = objects.agent_model(budget=STRICT, approvalPolicy={"forbidSelfApproval": True})
    driver = RolloutDriver(rollout_state(objects.rollout(**DEFAULT_STRATEGY), agent=agent)).run_until(
        has_ended
    )
    assert (driver.phase, driver.reason) == ("Failed", "SelfApproval")
    assert "spec.requestedBy of a new rollout" in driver.message


def test_an_expired_offer_is_made_again_with_fresh_facts_and_a_late_approval_does_not_count() -> None:
    driver = waiting()
    first = driver.state.rollout.status.approval_digest
    driver.state = replace(driver.state, now=driver.state.now + timedelta(seconds=DAY))
    approve(driver, digest=first)
    driver.facts = {"price": 900_000}
    driver.run_until_idle()
    status = driver.state.rollout.status
    assert status.approval_digest not in ("", first)
    assert status.estimate_usd == "27.90"
    assert "stop_check" in driver.performed
    assert driver.reason == "ApprovalStale"
    assert not is_locked(driver.state)


def test_after_a_week_without_an_approval_the_rollout_ends_through_the_record() -> None:
    driver = waiting()
    for _ in range(8):
        driver.state = replace(driver.state, now=driver.state.now + timedelta(seconds=DAY))
        driver.run_until_idle()
    assert (driver.phase, driver.reason) == ("Failed", "ApprovalExpired")
    assert "no approval since 2025-12-10" in driver.message
    record = driver.state.record
    assert record is not None
    assert driver.state.identity in record.completed
    assert driver.state.rollout.status.offer is None


def test_an_edited_prompt_or_another_price_makes_a_new_offer() -> None:
    driver = waiting()
    first = driver.state.rollout.status.approval_digest
    approve(driver)
    driver.facts = {"price": 1_100_000}
    driver.run_until_idle()
    second = driver.state.rollout.status.approval_digest
    assert second not in ("", first)
    assert not is_locked(driver.state)
    driver.edit_spec(approval=None)
    agent = driver.state.require_agent_model()
    assert agent.spec.prompt is not None
    prompt = agent.spec.prompt.model_copy(update={"user": "another {{ inputs.task }}"})
    driver.state = replace(
        driver.state,
        agent_model=agent.model_copy(update={"spec": agent.spec.model_copy(update={"prompt": prompt})}),
    )
    driver.run_until_idle()
    assert driver.state.rollout.status.approval_digest not in ("", first, second)
    assert driver.reason == "NeedsApproval"


def test_a_raised_threshold_applies_from_the_next_offer_on() -> None:
    driver = waiting()
    agent = driver.state.require_agent_model()
    budget = agent.spec.budget.model_copy(update={"approval_above_usd": "500"})
    driver.state = replace(
        driver.state,
        agent_model=agent.model_copy(update={"spec": agent.spec.model_copy(update={"budget": budget})}),
    )
    driver.run_until_idle()
    assert driver.phase == "AwaitingApproval"
    driver.state = replace(driver.state, now=driver.state.now + timedelta(seconds=DAY))
    driver.run_until(is_locked)


def test_an_abort_ends_a_waiting_rollout() -> None:
    driver = waiting()
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "AbortedByUser")


def test_the_month_must_still_have_room_when_the_approval_comes() -> None:
    driver = waiting()
    record = driver.state.record
    assert record is not None
    spent = {"x/1": Settlement(usd_micro=990_000_000, month="2025-12")}
    driver.state = replace(driver.state, record=record.with_(settlements=spent))
    driver.run_until_idle()
    assert driver.phase == "AwaitingApproval"
    approve(driver)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "OverBudget")


def test_an_offer_that_waits_behind_another_rollout_keeps_its_approval() -> None:
    driver = waiting()
    record = driver.state.record
    assert record is not None
    other = {"uid": "u2", "name": "r2", "digest": "d", "candidate": record.stable}
    driver.state = replace(
        driver.state, record=record.model_validate({**record.model_dump(), "active": other})
    )
    driver.run_until_idle()
    assert (driver.phase, driver.reason) == ("Pending", "AnotherRolloutActive")
    approve(driver)
    driver.state = replace(driver.state, record=record)
    driver.run_until(is_locked)


def test_the_offer_names_what_the_endpoint_of_the_stable_model_costs() -> None:
    item = objects.rollout(**DEFAULT_STRATEGY)
    state = rollout_state(item, agent=objects.agent_model(budget=STRICT))
    assert state.record is not None
    stable = state.record.stable.model_copy(
        update={
            "endpoint": "huggingface",
            "endpoint_name": "mo-stable",
            "endpoint_url": "https://s.example/v1",
        }
    )
    entry = EndpointEntry(
        name="mo-stable",
        role="stable",
        repo="o/s",
        revision="",
        version="v1.0.0",
        usd_micro_per_hour=500_000,
        instance={},
        since="2025-12-01T00:00:00+00:00",
    )
    text = (
        objects.FILE_TEXT.replace("endpoint: openrouter", "endpoint: huggingface")
        .replace("https://openrouter.ai/api/v1", "https://s.example/v1")
        .replace("OPENROUTER_API_KEY", stable.api_key_env)
    )
    state = replace(state, record=state.record.with_(stable=stable, endpoints=(entry,)), file=a_file(text))
    driver = RolloutDriver(state).run_until(is_waiting)
    assert "costs $730.00 a month; today the stable model's endpoint costs $365.00" in driver.message


@pytest.mark.parametrize(("monthly", "asked"), [("729", True), ("730", False)])
def test_a_standing_cost_above_the_months_budget_needs_a_person(monthly: str, asked: bool) -> None:
    agent = objects.agent_model(budget={"monthlyUSD": monthly, "approvalAboveUSD": "500"})
    driver = RolloutDriver(rollout_state(agent=agent))
    driver.run_until(is_waiting if asked else is_locked)
    if asked:
        words = "after a promotion it costs $730.00 a month, which is above spec.budget.monthlyUSD $729"
        assert words in driver.message
        approve(driver)
        driver.run_until(is_locked)


QUIET = AgentTraffic(sessions=21, failed=0, seconds=7 * DAY)


@pytest.mark.parametrize(("before", "after"), [(QUIET, QUIET), (QUIET, None), (None, QUIET)])
def test_time_for_a_person_changes_no_offer_that_is_open(
    before: AgentTraffic | None, after: AgentTraffic | None
) -> None:
    """Running endpoints use the month up, an operator restarts, or it is newer than the offer."""
    runs = EndpointEntry(
        name="mo-previous",
        role="previous",
        repo="o/p",
        revision="",
        version="v0.9.0",
        usd_micro_per_hour=1_000_000,
        instance={},
        since="2025-12-10T00:00:00+00:00",
    )
    agent = objects.agent_model(budget={"monthlyUSD": "80", "approvalAboveUSD": "10"})
    item = objects.rollout(strategy={"canary": {}}, maxUSD="1000", progressDeadlineSeconds=2 * DAY)
    state = rollout_state(item, agent=agent, traffic=before)
    assert state.record is not None
    driver = RolloutDriver(replace(state, record=state.record.with_(endpoints=(runs,))))
    driver.run_until(is_waiting)
    digest = driver.state.rollout.status.approval_digest
    driver.pass_time(DAY - 3600)
    driver.state = replace(driver.state, traffic=after)
    driver.run_until_idle()
    assert driver.state.rollout.status.approval_digest == digest
    approve(driver)
    driver.run_until(is_locked)
    seconds = [r.seconds for r in driver.state.record.reservations.values()] if driver.state.record else []
    assert seconds == [31 * 3600 + (16 * 3600 if before else 0)]
