"""A rollout and its AgentModel write at most twenty times, however soon the AgentModel follows each step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    a_record,
    an_entry,
    at_weight,
    has_ended,
    is_watching,
    rollout_state,
)

from modelops.ports import Endpoint

CANDIDATE = "v1.1.0-rc.1"
STARTING = Endpoint(name="mo", state="initializing", url="", repo="", revision="")
STEPS = [{"setWeight": 20}, {"pause": {"durationSeconds": 10}}, {"setWeight": 100}]
"""The pause is shorter than what passes between two decisions: no write shows only its progress."""


@dataclass
class FollowedDriver(RolloutDriver):
    """A rollout whose AgentModel is reconciled after each write, also between two writes of one plan."""

    agent: AgentModelDriver | None = None
    shares: list[str] = field(default_factory=list)
    """What the AgentModel's status said of the candidate, each time that it changed."""

    def _carry_out(self, step: object) -> None:
        super()._carry_out(step)
        assert self.agent is not None
        follow(self.agent, self)
        self.shares += [now for now in [shown(self.agent).get(CANDIDATE, "")] if [now] != self.shares[-1:]]


def driver_and_agent() -> tuple[RolloutDriver, AgentModelDriver]:
    """A rollout of a version of the history, and the AgentModel, which has nothing to do yet."""
    item = objects.rollout(**{"candidate": {"version": CANDIDATE}, "strategy": {"canary": {"steps": STEPS}}})
    record = a_record(history=(an_entry(CANDIDATE),), allocated={"v1.0.0": {}, CANDIDATE: {"a": "b"}})
    driver = RolloutDriver(rollout_state(item, record=record))
    agent = agent_driver_at(driver).run_until_idle()
    agent.written.clear()
    return driver, agent


def follow(agent: AgentModelDriver, driver: RolloutDriver) -> None:
    """The AgentModel is reconciled after the rollout's last plan, and the rollout sees what it wrote."""
    state = driver.state
    agent.state = replace(
        agent.state,
        now=state.now,
        record=state.record,
        file=state.file,
        rollouts={state.identity: state.rollout},
    )
    agent.run_until_idle()
    driver.state = replace(
        driver.state, record=agent.state.record, file=agent.state.file, agent_model=agent.state.agent_model
    )


def shown(agent: AgentModelDriver) -> dict[str, str]:
    return {one.version: one.deployment_status for one in agent.state.agent_model.status.versions}


def test_a_rollout_and_its_agent_write_twenty_times() -> None:
    unfollowed, agent = driver_and_agent()
    driver = FollowedDriver(unfollowed.state, facts={"endpoint": STARTING}, agent=agent)
    while not has_ended(driver.state):
        plan = driver.step()
        if driver.reason == "Provisioning" and plan.steps == ():
            driver.facts = {}
        if plan.requeue_after != 0:
            driver.pass_time(11)
    assert (len(driver.written) + len(agent.written), driver.phase) == (20, "Succeeded")
    assert agent.written == ["status", "record unchanged", "status", "status"]
    assert driver.shares == ["trained", "canary_20pct", ""]
    assert shown(agent)["v1.1.0"] == "deployed"


def test_the_start_of_an_endpoint_is_no_write_of_its_own() -> None:
    driver, _ = driver_and_agent()
    driver.facts = {"endpoint": STARTING}
    driver.run_until(lambda state: state.rollout.status.started_at is not None)
    conditions = {c.type: c.status.value for c in driver.state.rollout.status.conditions}
    assert conditions["EndpointReady"] == "False"
    assert driver.step().steps == ()


def test_the_share_is_shown_while_the_pause_is_watched_and_until_the_next_one() -> None:
    driver, agent = driver_and_agent()
    driver.run_until(at_weight(20))
    follow(agent, driver)
    assert shown(agent)[CANDIDATE] == "trained"
    driver.run_until(is_watching)
    follow(agent, driver)
    assert shown(agent)[CANDIDATE] == "canary_20pct"
    driver.run_until(at_weight(100))
    follow(agent, driver)
    assert shown(agent)[CANDIDATE] == "canary_20pct"


def test_a_weight_that_the_agents_do_not_confirm_is_shown_as_well() -> None:
    driver, agent = driver_and_agent()
    driver.run_until(at_weight(100))
    driver.state = replace(driver.state, reports=replace(HEALTHY, in_sync=1))
    driver.run_until(lambda state: state.rollout.status.reason == "WaitingForAgents")
    follow(agent, driver)
    assert shown(agent)[CANDIDATE] == "canary_100pct"


@pytest.mark.parametrize("moment", [at_weight(20), is_watching, at_weight(100)])
def test_an_abort_shows_no_share_as_soon_as_its_tombstone_is_written(moment: Any) -> None:
    driver, agent = driver_and_agent()
    driver.run_until(moment)
    follow(agent, driver)
    driver.edit_spec(abort=True)
    driver.run_until(at_weight(0))
    follow(agent, driver)
    assert shown(agent)[CANDIDATE] == "rolled_back"
