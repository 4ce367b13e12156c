"""The emergency stop: protocol "Emergency stop" 2 and 3. Rule 1 is in `test_rollout_explored.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, at_weight, has_ended, is_watching, rollout_state
from tests.unit.rollout.test_undo import promoted, undo_after
from tests.unit.rollout.test_watch import agent_of, reports, watched

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.reading import read
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.rollout.decide import decide
from modelops.domain.stop import Stop, StopScope, stop_of_agent, stop_of_config_map

STOP = Stop(
    scope=StopScope.NAMESPACE,
    where="Delete ConfigMap modelops-stop in namespace team to lift it",
    reason="INC-7: wrong answers",
    by="mia",
)


def with_stop(driver: RolloutDriver, stop: Stop | None = STOP) -> RolloutDriver:
    driver.state = replace(driver.state, stop=stop)
    return driver


@pytest.mark.parametrize("when", [at_weight(0), at_weight(20), is_watching, at_weight(100)])
def test_an_active_rollout_goes_back_and_says_who_stopped_it_and_why(when: Any) -> None:
    driver = with_stop(RolloutDriver(rollout_state()).run_until(when)).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "EmergencyStop")
    assert driver.message.startswith(
        "all agents of this namespace are stopped by mia: INC-7: wrong answers. Delete ConfigMap modelops-stop in "
        "namespace team to lift it"
    )
    assert driver.state.block is not None
    assert (driver.state.block.rollout.state, driver.state.block.weight) == ("Aborted", 0)
    assert driver.state.record is not None
    assert driver.state.record.active is None


def test_a_rollout_that_has_not_begun_waits_and_goes_on_when_the_stop_is_lifted() -> None:
    driver = with_stop(RolloutDriver(rollout_state())).run_until_idle()
    assert (driver.phase, driver.reason) == ("Pending", "EmergencyStop")
    assert "start_check" not in driver.performed
    assert driver.state.record is not None
    assert driver.state.record.reservations == {}
    with_stop(driver, None).run_until(has_ended)
    assert driver.reason == "Promoted"


def test_lifting_the_stop_revives_no_rollout_that_was_latched() -> None:
    driver = with_stop(RolloutDriver(rollout_state()).run_until(at_weight(20)))
    driver.step(without=3)
    assert driver.state.rollout.status.abort_reason == "EmergencyStop"
    with_stop(driver, None).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "EmergencyStop")


def test_an_abort_deletion_or_undo_says_its_own_reason_beside_the_stop() -> None:
    driver = with_stop(RolloutDriver(rollout_state()).run_until(at_weight(20)))
    driver.edit_spec(abort=True)
    assert driver.run_until(has_ended).reason == "AbortedByUser"


def test_a_stop_comes_before_a_promotion_that_is_intended() -> None:
    """Steps 1: the file has the promotion, and the commit is missing: the fence, then the old stable keys."""
    driver = RolloutDriver(rollout_state())
    for _ in range(40):
        steps = driver.plan().steps
        if any(isinstance(step, WriteRecord) and step.purpose.startswith("commit") for step in steps):
            driver.step(without=1)
            break
        if driver.step().requeue_after != 0:
            driver.pass_time(11)
    assert driver.state.block is not None
    assert driver.state.block.rollout.state == "Promoted"
    with_stop(driver).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "EmergencyStop")
    assert driver.state.file is not None
    assert driver.state.file.entry.stable is not None
    assert driver.state.file.entry.stable.model == objects.BASELINE["model"]


def test_an_undo_goes_on() -> None:
    undo = with_stop(undo_after(promoted())).run_until(has_ended)
    assert (undo.phase, undo.reason) == ("Succeeded", "Promoted")


def test_the_breach_of_a_watched_promotion_goes_back() -> None:
    agent = agent_of(watched(), reports(40, 40))
    agent.state = replace(agent.state, stop=STOP)
    agent.run_until_idle()
    assert agent.record.stable.version == "v1.0.0"
    assert agent.condition("Stopped") == ("True", "EmergencyStop", STOP.message)
    assert agent.condition("Ready")[0] == "True"


def test_the_condition_is_there_only_of_agents_that_were_stopped_and_each_change_has_an_event() -> None:
    agent = agent_of(promoted(), reports(0, 0)).run_until_idle()
    assert all(c.type != "Stopped" for c in agent.state.agent_model.status.conditions)
    agent.announced.clear()
    agent.state = replace(agent.state, stop=STOP)
    agent.run_until_idle()
    agent.state = replace(agent.state, stop=None)
    agent.run_until_idle()
    assert agent.condition("Stopped")[:2] == ("False", "NotStopped")
    assert agent.announced == ["EmergencyStop", "NotStopped"]


def test_a_rollout_that_lost_its_lock_ends_also_while_it_is_stopped() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    assert driver.state.record is not None
    driver.state = replace(driver.state, record=driver.state.record.with_(active=None))
    assert with_stop(driver).run_until(has_ended).reason == "AgentLockLost"


def test_a_finished_rollout_is_left_alone() -> None:
    assert decide(with_stop(promoted()).state) == Plan()


def item(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "data": data or None}


def test_what_a_stop_says_of_itself() -> None:
    agent = read(AgentModel, objects.agent_model(stop={"reason": "costs", "by": "bo"})).value
    own = stop_of_agent(agent)
    assert own is not None
    assert own.message == "this agent is stopped by bo: costs. Remove spec.stop of AgentModel docs to lift it"
    everyone = stop_of_config_map(item("modelops-stop-all"))
    assert everyone is not None
    assert everyone.message == (
        "all agents of this installation are stopped. Delete ConfigMap modelops-stop-all in namespace team to lift it"
    )
    assert stop_of_config_map(None) is None
    assert stop_of_agent(None) is None
