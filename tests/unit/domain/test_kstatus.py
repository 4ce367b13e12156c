"""What kstatus (Helm, Flux) concludes from each reason of each kind, and along the lives of objects."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.kstatus import CURRENT, FAILED, IN_PROGRESS, kstatus
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_model_state
from tests.unit.rollout import sessions
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    a_file,
    has_ended,
    is_watching,
    rollout_state,
)
from tests.unit.training import states as training

from modelops.api.v1alpha1.meta import Condition
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import condition_of, with_condition
from modelops.domain.kstatus import Outlook, outlook_before_end, with_kstatus
from modelops.domain.plan import WriteStatus
from modelops.domain.reasons import AgentModelReason, RolloutReason, TrainingReason
from modelops.domain.rollout import status as rollout_status
from modelops.domain.status import status_in_phase
from modelops.domain.training import status as training_status
from modelops.domain.training.decide import decide as decide_training
from modelops.ports import TrackCounters

NOW = datetime(2026, 11, 29, tzinfo=UTC)
HELD = {
    "TrainingReason.EmergencyStop",
    "RolloutReason.EmergencyStop",
    "RolloutReason.Frozen",
    "TrainingReason.NeedsApproval",
    "TrainingReason.ApprovalStale",
    "TrainingReason.SelfApproval",
    "TrainingReason.Suspended",
    "RolloutReason.Paused",
    "RolloutReason.WaitingForPromotion",
    "RolloutReason.NeedsApproval",
    "RolloutReason.ApprovalStale",
    "RolloutReason.SelfApproval",
}
DOES_NOT_GO_ON = {"RolloutReason.AnotherVersionServes", "AgentModelReason.RecordNotReadable"}
REASONS = [*TrainingReason, *RolloutReason, *AgentModelReason]
AnyReason = TrainingReason | RolloutReason | AgentModelReason


def shown(conditions: tuple[Condition, ...]) -> tuple[str, str, str]:
    """The statuses of Ready, Stalled and Reconciling."""
    found = [condition_of(conditions, kind) for kind in ("Ready", "Stalled", "Reconciling")]
    return tuple("absent" if c is None else c.status.value for c in found)  # type: ignore[return-value]


def name_of(reason: AnyReason) -> str:
    return f"{type(reason).__name__}.{reason.value}"


@pytest.mark.parametrize("reason", REASONS, ids=name_of)
def test_each_reason_is_decided_for_an_object_that_has_not_ended(reason: AnyReason) -> None:
    name = name_of(reason)
    expected = Outlook.HELD if name in HELD else Outlook.GOES_ON
    assert outlook_before_end(reason) is (Outlook.STALLED if name in DOES_NOT_GO_ON else expected)


@pytest.mark.parametrize("phase", [*TrainingPhase, *RolloutPhase], ids=repr)
def test_an_ended_object_is_current_or_failed_and_another_one_never_current(
    phase: TrainingPhase | RolloutPhase,
) -> None:
    is_run = isinstance(phase, TrainingPhase)
    terminal = phase in (training_status.TERMINAL if is_run else rollout_status.TERMINAL)
    good = phase in (TrainingPhase.SUCCEEDED, RolloutPhase.SUCCEEDED)
    old: Any = TrainingRunStatus() if is_run else RolloutStatus()
    for reason in TrainingReason if is_run else RolloutReason:
        status = status_in_phase(
            old, phase, reason, "why", succeeded=good, terminal=terminal, generation=3, now=NOW
        )
        expected = FAILED if name_of(reason) in DOES_NOT_GO_ON else IN_PROGRESS
        if terminal:
            expected = CURRENT if good else FAILED
        assert kstatus({"metadata": {"generation": 3}, "status": status.wire()}) == expected, reason
        assert kstatus({"metadata": {"generation": 4}, "status": status.wire()}) == IN_PROGRESS


def test_the_true_one_says_what_ready_says_and_the_false_one_has_no_message() -> None:
    ready = with_condition((), "Ready", False, reason="R", message="m", generation=2, now=NOW)
    stalled = with_kstatus(ready, Outlook.STALLED, generation=2, now=NOW)
    assert [(c.type, c.status.value, c.reason, c.message, c.observed_generation) for c in stalled] == [
        ("Ready", "False", "R", "m", 2),
        ("Stalled", "True", "R", "m", 2),
        ("Reconciling", "False", "R", "", 2),
    ]


def seen_by_kstatus(driver: RolloutDriver) -> str:
    generation = driver.state.rollout.metadata.generation
    return kstatus({"metadata": {"generation": generation}, "status": driver.state.rollout.status.wire()})


def test_a_rollout_is_in_progress_until_it_is_promoted_and_current_then() -> None:
    driver = RolloutDriver(rollout_state())
    while not has_ended(driver.state):
        plan = driver.step()
        if plan.requeue_after != 0:
            driver.pass_time(11)
        if driver.state.rollout.status.conditions and not has_ended(driver.state):
            assert shown(driver.state.rollout.status.conditions) == ("False", "False", "True"), driver.reason
            assert seen_by_kstatus(driver) == IN_PROGRESS
    assert driver.reason == "Promoted"
    assert shown(driver.state.rollout.status.conditions) == ("True", "False", "False")
    assert seen_by_kstatus(driver) == CURRENT


def edited(driver: RolloutDriver, **spec: Any) -> None:
    rollout = driver.state.rollout
    metadata = rollout.metadata.model_copy(update={"generation": rollout.metadata.generation + 1})
    changed = rollout.model_copy(update={"spec": rollout.spec.model_copy(update=spec), "metadata": metadata})
    driver.state = replace(driver.state, rollout=changed)


def test_a_paused_rollout_is_neither_stalled_nor_reconciling() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    edited(driver, paused=True)
    driver.run_until(lambda state: state.rollout.status.reason == "Paused")
    assert shown(driver.state.rollout.status.conditions) == ("False", "False", "False")
    assert seen_by_kstatus(driver) == IN_PROGRESS


def test_an_abort_by_its_author_or_by_the_canary_is_failed_once_it_is_done() -> None:
    by_author = RolloutDriver(rollout_state()).run_until(is_watching)
    edited(by_author, abort=True)
    by_canary = RolloutDriver(rollout_state()).run_until(is_watching)
    broken = replace(
        HEALTHY, canary=TrackCounters(requests=500, errors=90, p95_ms=80), sessions=sessions.FAILING
    )
    by_canary.state = replace(by_canary.state, reports=broken)
    for driver, reason in ((by_author, "AbortedByUser"), (by_canary, "ErrorRateBreached")):
        driver.run_until(has_ended)
        conditions = driver.state.rollout.status.conditions
        stalled, ready = condition_of(conditions, "Stalled"), condition_of(conditions, "Ready")
        assert stalled is not None
        assert ready is not None
        assert (stalled.reason, stalled.message) == (ready.reason, ready.message) == (reason, driver.message)
        assert seen_by_kstatus(driver) == FAILED


def test_an_edit_of_an_ended_rollout_is_observed_by_one_write() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    driver.run_until(lambda state: not state.rollout.metadata.finalizers)
    driver.written.clear()
    edited(driver, paused=True)
    assert seen_by_kstatus(driver) == IN_PROGRESS
    for _ in range(4):
        driver.step()
    assert seen_by_kstatus(driver) == CURRENT
    assert len(driver.written) == 1
    conditions = driver.state.rollout.status.conditions
    assert {c.observed_generation for c in conditions} == {driver.state.rollout.metadata.generation}


def test_an_edit_of_an_ended_run_is_observed_by_one_write() -> None:
    ended = training_status.status_in_phase(
        TrainingRunStatus(),
        TrainingPhase.SUCCEEDED,
        TrainingReason.Trained,
        "trained",
        succeeded=True,
        terminal=True,
        generation=1,
        now=NOW,
    )
    run = training.run(ended.wire())
    metadata = run.metadata.model_copy(update={"generation": 2, "finalizers": ()})
    state = training.state(run.model_copy(update={"metadata": metadata}))
    plan = decide_training(state)
    (step,) = plan.steps
    assert isinstance(step, WriteStatus)
    assert kstatus({"metadata": {"generation": 2}, "status": step.status.wire()}) == CURRENT
    after = run.model_copy(update={"metadata": metadata, "status": step.status})
    assert decide_training(training.state(after)).empty


def test_an_agent_model_waits_for_its_file_and_fails_only_with_an_unreadable_record() -> None:
    agent = AgentModelDriver(agent_model_state(file=None, file_problem="no ConfigMap")).run_until_idle()
    assert shown(agent.state.agent_model.status.conditions) == ("False", "False", "True")
    agent.state = replace(agent.state, file=a_file(), file_problem="")
    agent.run_until_idle()
    assert shown(agent.state.agent_model.status.conditions) == ("True", "False", "False")
    agent.state = replace(agent.state, record=None, record_problem="it is no JSON")
    agent.run_until_idle()
    assert shown(agent.state.agent_model.status.conditions) == ("False", "True", "False")
    assert agent.condition("Stalled")[1:] == agent.condition("Ready")[1:]
