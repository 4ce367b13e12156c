"""Which rollout begins when several wait, and how one supersedes the one that is active."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import START, Json
from tests.unit.rollout.rollout_driver import (
    BASELINE,
    RolloutDriver,
    a_record,
    has_ended,
    parsed,
    rollout_state,
)

from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain.plan import WriteRecord, WriteRolloutStatus
from modelops.domain.record import ActiveRollout, Reservation
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.turn import is_in_line

SUPERSEDE = {**objects.canary(), "onActive": "Supersede"}


def a_rollout(name: str, *, age: int, status: Json | None = None, **spec: Any) -> Rollout:
    """A rollout that was created `age` seconds ago."""
    item = objects.rollout(name, created=START - timedelta(seconds=age), **spec)
    item["status"] = status or {"phase": "Pending", "reason": "AnotherRolloutActive"}
    return parsed(Rollout, item)


def driver_of(age: int, *waiting: Rollout, **spec: Any) -> RolloutDriver:
    item = objects.rollout("r1", created=START - timedelta(seconds=age), **spec)
    return RolloutDriver(rollout_state(item, waiting=waiting))


# --- in line


def test_the_rollout_that_was_created_first_begins_first() -> None:
    late = driver_of(10, a_rollout("r0", age=20), a_rollout("r2", age=5))
    late.run_until_idle()
    assert late.reason == "AnotherRolloutActive"
    assert "Rollout r0 waits for agent docs as well" in late.message
    assert "record lock" not in late.written
    first = driver_of(20, a_rollout("r0", age=10), a_rollout("r2", age=5))
    assert first.run_until(has_ended).phase == "Succeeded"


def test_rollouts_of_the_same_second_go_by_their_names() -> None:
    assert driver_of(10, a_rollout("r0", age=10)).run_until_idle().reason == "AnotherRolloutActive"
    assert driver_of(10, a_rollout("r2", age=10)).run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        ({"status": {"phase": "Pending", "reason": "AnotherRolloutActive"}}, True),
        ({"status": {"phase": "Pending", "reason": "EvaluationPlanned"}}, True),
        ({"status": {"phase": "Pending", "reason": "WatchingPromotion"}}, True),
        ({"status": {"phase": "Pending", "reason": "WaitingForDrill"}}, True),
        ({"status": {"phase": "Pending", "reason": "Frozen"}}, True),
        ({"status": {"phase": "Pending", "reason": "WaitingForCandidate"}}, False),
        ({"status": {"phase": "Pending", "reason": "SecretNotUsable"}}, False),
        ({"status": {"phase": "AwaitingApproval", "reason": "NeedsApproval"}}, False),
        ({"status": {"phase": "Pending", "reason": "AnotherRolloutActive"}, "abort": True}, False),
        ({"status": {"phase": "Aborted", "reason": "AbortedByUser"}}, False),
        ({"candidate": {"version": "v1.0.0"}, "strategy": {"immediate": {}}}, False),
    ],
)
def test_only_a_rollout_that_could_begin_keeps_others_waiting(other: dict[str, Any], waits: bool) -> None:
    driver = driver_of(10, a_rollout("r0", age=20, **other)).run_until(
        lambda state: state.rollout.status.reason == "AnotherRolloutActive" if waits else has_ended(state)
    )
    assert (driver.phase == "Pending") is waits


def test_a_rollout_that_no_operator_has_looked_at_keeps_others_waiting_for_two_minutes_only() -> None:
    record = a_record()
    assert is_in_line(a_rollout("r0", age=60, status={"phase": "Pending"}), record, START)
    assert not is_in_line(a_rollout("r0", age=121, status={"phase": "Pending"}), record, START)


def test_a_frozen_rollout_does_not_keep_one_waiting_that_ignores_the_freeze() -> None:
    window = {"start": "2025-12-10T00:00:00Z", "end": "2025-12-12T00:00:00Z"}
    frozen = a_rollout("r0", age=20, status={"phase": "Pending", "reason": "Frozen"})
    item = objects.rollout("r1", created=START - timedelta(seconds=10), ignoreFreeze="incident 7")
    agent = objects.agent_model(freeze=[window])
    driver = RolloutDriver(rollout_state(item, agent=agent, waiting=(frozen,)))
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_one_that_supersedes_goes_before_those_that_wait() -> None:
    waiting = a_rollout("r0", age=20)
    assert driver_of(10, waiting, strategy=SUPERSEDE).run_until(has_ended).phase == "Succeeded"
    first = a_rollout("r2", age=5, strategy=SUPERSEDE)
    assert driver_of(10, first).run_until_idle().reason == "AnotherRolloutActive"


# --- superseding


def beside_active(
    *, age: int = 10, active_age: int = 20, active: Json | None = None, **spec: Any
) -> RolloutDriver:
    """The driver of a rollout that supersedes, while r0 is active, which was created `active_age` seconds ago."""
    found = a_rollout(
        "r0",
        age=active_age,
        status=active or {"phase": "Progressing", "reason": "Watching", "step": 2, "weight": 20},
    )
    target = BASELINE.model_copy(update={"version": "v1.1.0-rc.9", "model": "org/other"})
    lock = ActiveRollout(uid=found.metadata.uid, name="r0", digest="sha256:0", candidate=target)
    driver = driver_of(age, **{"strategy": SUPERSEDE, **spec})
    driver.state = replace(driver.state, record=a_record(active=lock), active_rollout=found)
    return driver


def latches(driver: RolloutDriver) -> list[WriteRolloutStatus]:
    """The latches that are written until the driver waits for the other rollout."""
    found: list[WriteRolloutStatus] = []
    for _ in range(8):
        plan = driver.step()
        found += [step for step in plan.steps if isinstance(step, WriteRolloutStatus)]
        assert not any(isinstance(step, WriteRecord) for step in plan.steps)
        if plan.requeue_after != 0 and driver.reason == "AnotherRolloutActive":
            return found
        driver.pass_time(1)
    return found


def test_a_rollout_that_supersedes_latches_the_active_one_and_begins_after_its_end() -> None:
    driver = beside_active()
    (latch,) = latches(driver)
    assert (latch.name, latch.status.abort_reason) == ("r0", "SupersededByRollout")  # type: ignore[attr-defined]
    assert latch.resource_version == "1"
    assert "r0 is being aborted" in driver.message
    driver.state = replace(driver.state, record=a_record(), active_rollout=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize(
    "case",
    [
        {"active": {"phase": "Promoting", "reason": "Promoting", "promoting": True}},
        {"active_age": 5},
        {"strategy": objects.canary()},
        {"strategy": {**objects.canary(), "onActive": "Queue"}},
        {"paused": True},
        {"active": {"phase": "Progressing", "reason": "Aborting", "abortReason": "DeadlineExceeded"}},
    ],
    ids=["promoting", "newer", "queue by default", "queue", "paused", "aborting already"],
)
def test_what_is_not_superseded(case: dict[str, Any]) -> None:
    driver = beside_active(**case)
    assert latches(driver) == []
    assert driver.reason == "AnotherRolloutActive"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"maxUSD": "1"}, "OverMaxUSD"),
        ({"candidate": {"version": "v9.9.9"}}, "CandidateNotFound"),
    ],
)
def test_a_rollout_that_cannot_begin_aborts_nothing(spec: dict[str, Any], reason: str) -> None:
    driver = beside_active(**spec)
    for _ in range(12):
        plan = driver.step()
        assert not any(isinstance(step, WriteRolloutStatus) for step in plan.steps)
        if driver.state.rollout.status.abort_reason:
            break
        driver.pass_time(1)
    assert driver.state.rollout.status.abort_reason == reason


def test_a_rollout_that_needs_an_approval_aborts_nothing_before_it() -> None:
    item = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "0.50"})
    driver = beside_active()
    driver.state = replace(driver.state, agent_model=rollout_state(agent=item).agent_model)
    for _ in range(12):
        plan = driver.step()
        assert not any(isinstance(step, WriteRolloutStatus) for step in plan.steps)
        driver.pass_time(1)
    assert driver.reason == "NeedsApproval"


def test_what_the_superseded_rollout_has_reserved_does_not_count_against_the_budget() -> None:
    driver = beside_active()
    held = Reservation(usd_micro=999_500_000, month="2025-12", name="r0", reserved_at="", seconds=3600)
    record = driver.state.require_record()
    uid = driver.state.active_rollout.metadata.uid  # type: ignore[union-attr]
    driver.state = replace(driver.state, record=record.with_(reservations={f"{uid}/1": held}))
    assert len(latches(driver)) == 1


def test_an_unchanged_wait_for_the_active_one_writes_nothing() -> None:
    driver = beside_active()
    latches(driver)
    active = driver.state.active_rollout
    assert active is not None
    latched = active.model_copy(
        update={"status": active.status.model_copy(update={"abort_reason": "SupersededByRollout"})}
    )
    driver.state = replace(driver.state, active_rollout=latched)
    before = list(driver.written)
    for _ in range(4):
        driver.step()
        driver.pass_time(5)
    assert driver.written == before
    assert decide(driver.state).requeue_after != 0
