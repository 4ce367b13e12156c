"""What a Rollout says is so: the service that it waits for, and after its end what it was judged by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.rollout import sessions
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    has_ended,
    is_watching,
    rollout_state,
)

from modelops.ports import AgentReports, ProgramState, TrackCounters

BROKEN = replace(HEALTHY, canary=TrackCounters(requests=500, errors=60, p95_ms=80), sessions=sessions.FAILING)
SLOW = replace(HEALTHY, canary=TrackCounters(requests=500, errors=0, p95_ms=500), sessions=sessions.SLOW)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("LangSmithUnavailable", "LangSmithUnavailable"),
        ("HubUnavailable", "HubUnavailable"),
        ("BaselineUnavailable", "BaselineUnavailable"),
        ("AgentUnavailable", "AgentUnavailable"),
        ("OperatorDiskFull", "OperatorDiskFull"),
        ("ProgramNotRunning", "ProgramNotRunning"),
    ],
)
@pytest.mark.parametrize("program", ["check", "evaluation"])
def test_a_service_that_does_not_answer_is_named_by_the_reason(program: str, reason: str, shown: str) -> None:
    failed = {"ok": False, "reason": reason, "message": "it answered 503", "transient": True}
    driver = RolloutDriver(rollout_state(), facts={program: ProgramState(result=failed)})
    driver.run_until(lambda state: state.rollout.status.reason == shown)
    assert driver.state.rollout.status.conditions[0].message.startswith("it answered 503")
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_an_evaluation_whose_job_runs_at_last_no_longer_says_that_it_cannot_run() -> None:
    blocked = {"ok": False, "reason": "ProgramNotRunning", "message": "no node", "transient": True}
    driver = RolloutDriver(rollout_state(), facts={"evaluation": ProgramState(result=blocked)})
    driver.run_until(lambda state: state.rollout.status.reason == "ProgramNotRunning")
    driver.facts = {"evaluation": ProgramState(running=True)}
    driver.run_until(lambda state: state.rollout.status.reason == "Evaluating")
    assert "no node" not in driver.message


@pytest.mark.parametrize(("reports", "reason"), [(BROKEN, "ErrorRateBreached"), (SLOW, "LatencyBreached")])
def test_an_aborted_canary_keeps_the_numbers_that_decided(reports: AgentReports, reason: str) -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    driver.state = replace(driver.state, reports=reports)
    driver.run_until(has_ended)
    assert driver.reason == reason
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    assert analysis.verdict == "Breached"
    assert analysis.message == driver.message
    for shown, counted in ((analysis.stable, reports.stable), (analysis.canary, reports.canary)):
        assert shown is not None
        assert (shown.requests, shown.errors) == (counted.requests, counted.errors)
        assert shown.latency_p95_milliseconds == counted.p95_ms


def conditions(driver: RolloutDriver) -> dict[str, tuple[str, str, str]]:
    found = driver.state.rollout.status.conditions
    return {c.type: (c.status.value, c.reason, c.message) for c in found}


def test_conditions_of_an_aborted_rollout_say_that_nothing_of_it_is_served() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    assert conditions(driver)["EndpointReady"][0] == "True"
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    for kind in ("EndpointReady", "RoutingPropagated"):
        assert conditions(driver)[kind] == ("False", "AbortedByUser", driver.message)


def test_conditions_of_a_promoted_rollout_have_the_reason_of_its_end() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    for kind in ("EndpointReady", "RoutingPropagated"):
        assert conditions(driver)[kind] == ("True", "Promoted", driver.message)
