"""Rollouts in ordinary situations that once ended wrongly."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tests.simulation.rollouts import aborts, false_aborts, looks
from tests.simulation.sessions import Model, laws
from tests.unit.rollout import objects, sessions
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, has_ended, is_watching, rollout_state
from tests.unit.router.loopback import agents_yaml

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.rollout.analysis import judge_of
from modelops.ports import AgentReports, SessionTrack, TrackCounters
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


def test_canary_that_fails_after_10000_good_sessions_is_back_on_stable_within_40_more() -> None:
    """Reachable, so only its sessions tell. The counters since the start say 0.4 %."""
    good = sessions.counts(10_000, slow=500)
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    judge = judge_of(Analysis())
    judge.judge(sessions.reported(good), weight=0.2)
    for failed in range(1, 41):
        said = sessions.reported(good)
        fallen = (*said.canary.live, (101, sessions.counts(failed, failed=failed)))
        said = replace(said, canary=SessionTrack(live=fallen))
        evidence = judge.judge(said, weight=0.2)
        reports = replace(
            HEALTHY, sessions=said, canary=TrackCounters(requests=10_000 + failed, errors=failed)
        )
        driver.state = replace(driver.state, reports=reports, evidence=evidence)
        driver.step()
        if driver.reason == "Aborting":
            break
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "ErrorRateBreached")
    assert failed <= 10
    assert "A false alarm in under 1 of 100 rollouts" in driver.message


@pytest.mark.parametrize(
    ("sigma", "dead", "failing", "weight"),
    [(0.8, 0.0, 0.0, 0.2), (1.0, 0.05, 0.0, 0.2), (0.8, 0.0, 0.06, 1.0)],
    ids=["latency-sigma-0.8", "five-percent-of-sessions-fail-four-times", "six-percent-at-weight-100"],
)
def test_equal_models_do_not_abort_each_other(
    sigma: float, dead: float, failing: float, weight: float
) -> None:
    """These were aborted in 24, 22 and 100 of 100 rollouts."""
    rng, requests = np.random.default_rng(1), (1, 20) if dead else (1, 1)
    model = Model(requests=requests, sigma=sigma, dead=dead, failing=failing)
    canary, stable = laws(rng, model, model)
    stopped = aborts(
        rng, 200, looks(400), canary=canary, stable=stable, history=1000, weight=weight, near=True
    )
    assert false_aborts(stopped) <= 0.01


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


def undo(**changes: Any) -> RolloutDriver:
    """An undo to v1.0.0 after the promotion of v1.1.0."""
    before = RolloutDriver(rollout_state()).run_until(has_ended).state
    item = objects.rollout("undo", candidate={"version": "v1.0.0"}, strategy={"immediate": {}})
    return RolloutDriver(rollout_state(item, record=before.record, file=before.file, **changes))


@pytest.mark.parametrize("reports", [replace(HEALTHY, expected=20, heard=20, in_sync=19), None])
def test_undo_is_written_at_once_while_an_agent_crashes_or_none_is_ready(
    reports: AgentReports | None,
) -> None:
    driver = undo(reports=reports).run_until(has_ended)
    assert (driver.phase, driver.state.record and driver.state.record.stable.version) == (
        "Succeeded",
        "v1.0.0",
    )


def test_undo_applied_again_under_its_name_after_a_newer_promotion_says_what_serves() -> None:
    first = undo().run_until(has_ended).state
    assert first.record is not None
    later = first.now + timedelta(seconds=10)
    newer = objects.rollout(
        "newer", created=later, candidate={"version": "v1.1.0"}, strategy={"immediate": {}}
    )
    after = (
        RolloutDriver(rollout_state(newer, record=first.record, file=first.file, now=later))
        .run_until(has_ended)
        .state
    )
    item = objects.rollout("undo", uid="x", candidate={"version": "v1.0.0"}, strategy={"immediate": {}})
    again = RolloutDriver(rollout_state(item, record=after.record, file=after.file))
    again.step()
    assert (again.phase, again.reason) == ("Failed", "AlreadyCompleted")
    assert "v1.1.0 serves now" in again.message


@pytest.mark.parametrize("key", [0, "0", UUID(int=1)])
def test_session_with_a_key_of_any_type_stays_on_its_model(key: object, tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(agents_yaml(weight=50))
    with Router("docs", file=file, watch=None) as router:
        assert len({router.pick(key).track for _ in range(100)}) == 1
        assert router.state().unkeyed == 0
