"""Rollouts in ordinary situations that once ended wrongly."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, has_ended, is_watching, rollout_state
from tests.unit.router.loopback import agents_yaml

from modelops.ports import TrackCounters
from modelops.router import Router


def test_canary_that_agents_cannot_reach_after_10000_good_requests_is_back_on_stable_within_40_more() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    lost = replace(
        HEALTHY,
        canary=TrackCounters(requests=10_040, errors=40, p95_ms=80),
        canary_reachable=0,
        canary_unreachable=2,
    )
    driver.state = replace(driver.state, reports=lost)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "CanaryUnreachable")
    assert driver.state.block is not None
    assert driver.state.block.weight == 0


def test_configmap_that_became_immutable_at_a_weight_is_said_at_once_by_a_condition_with_the_remedy() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    immutable = "ConfigMap agents is immutable: delete it and create it again without `immutable: true`"
    driver.state = replace(driver.state, file=None, file_problem=immutable)
    driver.edit_spec(abort=True)
    driver.step()
    conditions = {c.type: c for c in driver.state.rollout.status.conditions}
    told = conditions["RoutingPropagated"]
    assert (told.status, told.reason) == ("False", "ConfigNotUsable")
    assert "create it again without `immutable: true`" in told.message


def test_rollout_of_an_agentmodel_that_does_not_own_its_agent_moves_no_traffic() -> None:
    driver = RolloutDriver(rollout_state(older_owner="docs-first"))
    for _ in range(5):
        driver.step()
        driver.pass_time(30)
    assert (driver.phase, driver.reason) == ("Pending", "TargetConflict")
    assert driver.written == ["status TargetConflict"]


@pytest.mark.parametrize("key", [0, "0", UUID(int=1)])
def test_session_with_a_key_of_any_type_stays_on_its_model(key: object, tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(agents_yaml(weight=50))
    with Router("docs", file=file, watch=None) as router:
        assert len({router.pick(key).track for _ in range(100)}) == 1
        assert router.state().unkeyed == 0
