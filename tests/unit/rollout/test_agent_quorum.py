"""How many agents a step asks: all for the first weight and the promotion, a quorum between, none for a way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    at_weight,
    has_ended,
    is_armed,
    rollout_state,
)

from modelops.domain.record import Completed
from modelops.domain.rollout.agent_quorum import quorum_of

LAGGING = replace(HEALTHY, expected=4, heard=4, in_sync=3, canary_reachable=4)
STEPS = [{"setWeight": 20}, {"setWeight": 50}]


def driver(minimum: str | None, **changes: Any) -> RolloutDriver:
    canary = {"steps": STEPS, **({"minAgentsInSync": minimum} if minimum else {})}
    return RolloutDriver(rollout_state(objects.rollout(strategy={"canary": canary}), **changes))


def with_reports(driven: RolloutDriver, **changes: Any) -> RolloutDriver:
    driven.state = replace(driven.state, reports=replace(LAGGING, **changes))
    return driven


def waits(driven: RolloutDriver) -> str:
    """The reason for which nothing happens for a minute; fails where the weight or the phase changes."""
    before = driven.state.rollout.status.weight, driven.phase
    for _ in range(6):
        driven.pass_time(10)
        driven.step()
    assert (driven.state.rollout.status.weight, driven.phase) == before
    return driven.reason


@pytest.mark.parametrize(
    ("asked", "expected", "needed"),
    [("3", 4, 3), ("9", 4, 9), ("75%", 4, 3), ("76%", 4, 4), ("1%", 4, 1), ("100%", 4, 4)],
)
def test_a_percentage_is_rounded_up(asked: str, expected: int, needed: int) -> None:
    assert quorum_of(asked, expected) == needed


@pytest.mark.parametrize("minimum", ["3", "75%", "70%"])
def test_a_later_weight_asks_the_quorum(minimum: str) -> None:
    with_reports(driver(minimum).run_until(at_weight(20))).run_until(at_weight(50))


@pytest.mark.parametrize("minimum", [None, "4", "9", "80%"])
def test_a_later_weight_waits_below_the_quorum(minimum: str | None) -> None:
    assert waits(with_reports(driver(minimum).run_until(at_weight(20)))) == "WaitingForAgents"


def test_the_first_weight_asks_all() -> None:
    assert waits(with_reports(driver("1").run_until(is_armed))) == "WaitingForAgents"


def test_the_promotion_asks_all() -> None:
    driven = with_reports(driver("1").run_until(at_weight(20))).run_until(at_weight(50))
    assert waits(driven) == "WaitingForAgents"
    with_reports(driven, in_sync=4).run_until(has_ended)
    assert driven.reason == "Promoted"


def test_what_is_said_of_the_routing_is_not_the_quorum_s() -> None:
    driven = with_reports(driver("1").run_until(at_weight(20)))
    assert driven.state.rollout.status.propagation_seconds is None
    driven.run_until(at_weight(50))
    assert driven.state.rollout.status.propagation_seconds is None


def test_a_way_back_asks_none() -> None:
    driven = with_reports(driver("100%").run_until(at_weight(20)), in_sync=0, heard=0, canary_reachable=0)
    spec = driven.state.rollout.spec.model_copy(update={"abort": True})
    driven.state = replace(driven.state, rollout=driven.state.rollout.model_copy(update={"spec": spec}))
    driven.run_until(has_ended)
    assert driven.reason == "AbortedByUser"


# --- the canary of an earlier rollout


def armed_after(seconds: float) -> RolloutDriver:
    """Armed, so many seconds after the end of an earlier rollout."""
    driven = driver(None).run_until(is_armed)
    record = driven.state.require_record()
    end = (driven.state.now - timedelta(seconds=seconds)).isoformat(timespec="seconds")
    done = Completed(kind="Rollout", name="before", uid="u0", outcome="AbortedByUser", finished_at=end)
    changed = record.with_(completed={**record.completed, "sha256:before": done})
    driven.state = replace(driven.state, record=changed)
    return driven


@pytest.mark.parametrize("silent", [6000.0, inf])
def test_the_first_weight_waits_for_a_silent_process_with_an_earlier_canary(silent: float) -> None:
    driven = armed_after(60)
    driven.state = replace(driven.state, reports=replace(HEALTHY, silent_seconds=silent))
    assert waits(driven) == "WaitingForAgents"
    for _ in range(12):
        driven.pass_time(150)
        driven.step()
    driven.run_until(at_weight(20))


@pytest.mark.parametrize("silent", [None, 30.0])
def test_processes_that_are_past_the_earlier_canary_hold_nothing(silent: float | None) -> None:
    """A process that reported after the earlier rollout's end, without a canary, takes no earlier canary up."""
    driven = armed_after(60)
    driven.state = replace(driven.state, reports=replace(HEALTHY, silent_seconds=silent))
    driven.run_until(at_weight(20))


def test_a_first_rollout_waits_for_no_earlier_canary() -> None:
    driven = driver(None).run_until(is_armed)
    driven.state = replace(driven.state, reports=replace(HEALTHY, silent_seconds=inf))
    driven.run_until(at_weight(20))
