"""A rollout inside a freeze window: nothing begins, and what protects goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    at_weight,
    has_ended,
    is_watching,
    parsed,
    rollout_state,
)
from tests.unit.rollout.test_undo import promoted, undo_after

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.rollout.canary import canary_steps

HOUR = {"name": "release day", "start": "2025-12-10T08:00:00Z", "end": "2025-12-10T10:00:00Z"}
"""The tests begin at 09:00."""
SHORT = {**HOUR, "end": "2025-12-10T09:10:00Z"}
"""The endpoint's reservation covers no whole hour."""
FROZEN = objects.agent_model(freeze=[HOUR])


def freeze(driver: RolloutDriver, *windows: dict[str, Any]) -> RolloutDriver:
    agent = parsed(AgentModel, objects.agent_model(freeze=list(windows)))
    driver.state = replace(driver.state, agent_model=agent)
    return driver


def test_no_claim_begins_before_the_window_ends_and_nothing_is_paid_for() -> None:
    driver = RolloutDriver(rollout_state(agent=FROZEN)).run_until_idle()
    assert (driver.phase, driver.reason) == ("Pending", "Frozen")
    assert driver.message == (
        "AgentModel docs is frozen until 2025-12-10T10:00:00Z by spec.freeze[0] (release day). To go on now, set "
        "spec.ignoreFreeze of the Rollout to the reason; an undo does not wait"
    )
    assert driver.performed == []
    driver.pass_time(3600)
    assert driver.run_until(has_ended).reason == "Promoted"


@pytest.mark.parametrize("weight", [0, 20, 100])
def test_no_raise_and_no_promotion_begins_and_the_weight_stays(weight: int) -> None:
    driver = freeze(RolloutDriver(rollout_state()).run_until(at_weight(weight)), SHORT)
    for _ in range(12):
        driver.step()
        driver.pass_time(11)
    assert driver.reason == "Frozen"
    assert driver.state.block is not None
    assert (driver.state.block.weight, driver.state.block.rollout.state) == (weight, "Progressing")
    written = len(driver.written)
    driver.step()
    assert len(driver.written) == written
    driver.pass_time(600)
    assert driver.run_until(has_ended).reason == "Promoted"


def test_the_healthy_time_of_a_pause_goes_on() -> None:
    steps = objects.canary({"setWeight": 20}, {"pause": {"durationSeconds": 600}}, {"setWeight": 100})
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=steps))).run_until(is_watching)
    freeze(driver, HOUR)
    for _ in range(3):
        driver.step()
        driver.pass_time(240)
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    assert analysis.healthy_seconds >= 240
    assert driver.reason == "Watching"
    assert len(canary_steps(driver.state)) == 3


def test_an_abort_and_an_undo_do_not_wait() -> None:
    aborted = freeze(RolloutDriver(rollout_state()).run_until(at_weight(20)), HOUR)
    aborted.edit_spec(abort=True)
    assert aborted.run_until(has_ended).reason == "AbortedByUser"
    undo = freeze(undo_after(promoted()), HOUR)
    assert undo.run_until(has_ended).phase == "Succeeded"


def test_an_intent_that_is_written_is_finished() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(0))
    driver.pass_time(11)
    for _ in range(5):
        if any(type(step).__name__ == "WriteFile" for step in driver.plan().steps):
            break
        driver.step()
        driver.pass_time(11)
    driver.step(without=1)
    freeze(driver, HOUR)
    driver.step()
    assert at_weight(20)(driver.state)


def test_the_deadline_goes_on_and_the_message_says_so() -> None:
    item = objects.rollout(progressDeadlineSeconds=900)
    driver = freeze(RolloutDriver(rollout_state(item)).run_until(at_weight(20)), HOUR)
    for _ in range(6):
        driver.step()
        driver.pass_time(11)
    assert driver.reason == "Frozen"
    assert "the rollout's time ends before, at 2025-12-10T09:1" in driver.message
    driver.pass_time(900)
    assert driver.run_until(has_ended).reason == "DeadlineExceeded"


def test_a_person_lets_one_rollout_go_on_before_or_in_the_middle() -> None:
    item = objects.rollout(ignoreFreeze="INC-9: the fix")
    assert RolloutDriver(rollout_state(item, agent=FROZEN)).run_until(has_ended).reason == "Promoted"
    driver = freeze(RolloutDriver(rollout_state()).run_until(at_weight(20)), HOUR)
    for _ in range(6):
        driver.step()
        driver.pass_time(11)
    assert driver.reason == "Frozen"
    driver.edit_spec(ignore_freeze="INC-9: the fix")
    assert driver.run_until(has_ended).reason == "Promoted"


def test_a_window_that_is_edited_is_followed_and_shown() -> None:
    driver = RolloutDriver(rollout_state(agent=FROZEN)).run_until_idle()
    freeze(driver, {**HOUR, "end": "2025-12-10T09:30:00Z"}).run_until_idle()
    assert "until 2025-12-10T09:30:00Z" in driver.message
    freeze(driver)
    assert driver.run_until(has_ended).reason == "Promoted"


def test_a_frozen_rollout_does_not_supersede_the_active_one() -> None:
    active = RolloutDriver(rollout_state()).run_until(at_weight(20))
    item = objects.rollout(
        "r2", created=active.state.now, strategy={**objects.canary(), "onActive": "Supersede"}
    )
    state = rollout_state(
        item,
        agent=FROZEN,
        record=active.state.record,
        file=active.state.file,
        active_rollout=active.state.rollout,
        now=active.state.now,
    )
    newer = RolloutDriver(state).run_until_idle()
    assert newer.reason == "Frozen"
    assert all(not written.startswith("latch") for written in newer.written)
