"""What an AgentModel says about itself is so, and the remedy that it names works."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import (
    AgentModelDriver,
    agent_driver_at,
    agent_model_state,
    with_deletion,
)
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_file,
    a_record,
    has_ended,
    parsed,
    rollout_state,
)

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.agentmodel.readiness import MAX_OUT_OF_SYNC_SECONDS, stable_drift
from modelops.domain.facts import UNSEEN
from modelops.domain.rollout.state import State
from modelops.ports import AgentReports


def promoted() -> AgentModelDriver:
    """An agent whose candidate was promoted, at rest."""
    driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    address = driver.record.stable.endpoint_url
    driver.cloud = {name: replace(endpoint, url=address) for name, endpoint in driver.cloud.items()}
    return driver.run_until_idle()


def with_file(driver: AgentModelDriver, text: str) -> AgentModelDriver:
    driver.state = replace(driver.state, file=a_file(text, "99"))
    return driver.run_until_idle()


def with_reports(driver: AgentModelDriver, reports: AgentReports, seconds: float) -> AgentModelDriver:
    driver.state = replace(driver.state, reports=reports, out_of_sync_seconds=seconds)
    return driver.run_until_idle()


def text_of(driver: AgentModelDriver) -> str:
    assert driver.state.file is not None
    return driver.state.file.text


# --- the file and the record


def test_the_original_file_applied_again_after_a_promotion_is_drift_and_not_ready() -> None:
    driver = with_file(promoted(), objects.FILE_TEXT)
    assert driver.condition("InSync")[:2] == ("False", "StableDrift")
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "StableDrift")
    assert "anthropic/claude-3.5-sonnet (v1.0.0)" in message
    assert "org/candidate-of-r1 (v1.1.0)" in message


def test_the_values_that_the_drift_message_names_bring_file_and_record_together() -> None:
    driver = promoted()
    good = text_of(driver)
    with_file(driver, objects.FILE_TEXT)
    message = driver.condition("Ready")[2]
    named = message.partition("Set these keys of agents.docs: ")[2].partition(". ")[0]
    for pair in named.split(", "):
        assert f"    {pair}\n" in good
    with_file(driver, good)
    assert driver.condition("Ready")[0] == "True"


def test_drift_during_an_evaluation_is_said_at_once() -> None:
    rollout = RolloutDriver(rollout_state()).run_until(
        lambda state: state.rollout.status.phase is RolloutPhase.EVALUATING
    )
    driver = agent_driver_at(rollout).run_until_idle()
    assert driver.condition("InSync")[0] == "True"
    with_file(driver, objects.FILE_TEXT.replace("claude-3.5-sonnet", "other"))
    assert driver.condition("InSync")[:2] == ("False", "StableDrift")
    assert driver.condition("Ready")[:2] == ("False", "StableDrift")


def test_no_moment_of_a_promotion_is_called_drift() -> None:
    moments = []

    def says_in_sync_until_the_end(state: State) -> bool:
        if state.record is not None and state.file is not None:
            shown = agent_model_state(record=state.record, file=state.file, now=state.now)
            block = state.file.entry.routing
            moments.append((block.rollout.state if block else "", state.record.stable.version))
            assert stable_drift(shown) is None
        return has_ended(state)

    RolloutDriver(rollout_state()).run_until(says_in_sync_until_the_end)
    assert {("", "v1.0.0"), ("Progressing", "v1.0.0"), ("Promoted", "v1.1.0")} <= set(moments)


def test_a_promotion_that_reached_the_file_and_not_the_record_is_no_drift() -> None:
    rollout = RolloutDriver(rollout_state())
    before = a_record()

    def commits(state: State) -> bool:
        nonlocal before
        assert state.record is not None
        if state.record.active is not None:
            before = state.record
        return has_ended(state)

    rollout.run_until(commits)
    between = agent_model_state(record=before, file=rollout.state.file, now=rollout.state.now)
    assert stable_drift(between) is None


def test_a_file_without_the_address_of_the_stable_endpoint_is_drift() -> None:
    driver = promoted()
    lines = [line for line in text_of(driver).splitlines(keepends=True) if "endpoint_url" not in line]
    with_file(driver, "".join(lines))
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "StableDrift")
    assert "They differ in endpoint_url." in message


def test_a_rollout_that_waits_for_a_drift_names_the_same_keys_and_starts_when_they_are_set() -> None:
    drifted = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "anthropic/other")
    rollout = RolloutDriver(rollout_state(file=a_file(drifted, "2")))
    rollout.run_until(lambda state: state.rollout.status.reason == "StableDrift")
    assert "Set these keys of agents.docs: model: anthropic/claude-3.5-sonnet" in rollout.message
    rollout.state = replace(rollout.state, file=a_file(objects.FILE_TEXT, "3"))
    assert rollout.run_until(has_ended).reason == "Promoted"


# --- the baseline


def with_baseline(model: str) -> Json:
    return objects.agent_model(baseline={**objects.BASELINE, "model": model})


def test_a_typo_in_the_baseline_is_corrected_in_spec_baseline() -> None:
    typo = agent_model_state(with_baseline("anthropic/claude-3.5-sonet"))
    driver = AgentModelDriver(typo).run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "StableDrift")
    assert "correct spec.baseline of AgentModel docs" in message

    corrected = parsed(AgentModel, with_baseline("anthropic/claude-3.5-sonnet"))
    status = driver.state.agent_model.status
    driver.state = replace(driver.state, agent_model=corrected.model_copy(update={"status": status}))
    driver.run_until_idle()
    assert driver.record.stable.model == "anthropic/claude-3.5-sonnet"
    assert driver.record.served == {"v1.0.0": driver.record.stable}
    assert driver.condition("Ready")[0] == "True"
    assert driver.condition("BaselineIgnored")[0] == "False"
    assert "BaselineCorrected" in driver.announced


def test_a_baseline_that_the_file_does_not_name_is_not_adopted_and_the_message_says_what_to_set() -> None:
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    edited = parsed(AgentModel, with_baseline("openai/gpt-5"))
    driver.state = replace(driver.state, agent_model=edited)
    driver.run_until_idle()
    assert driver.record.stable.model == "anthropic/claude-3.5-sonnet"
    ignored, _, message = driver.condition("BaselineIgnored")
    assert ignored == "True"
    assert "set the keys of agents.docs in ConfigMap agents, key agents.yaml" in message
    with_file(driver, objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "openai/gpt-5"))
    assert driver.record.stable.model == "openai/gpt-5"
    assert driver.condition("BaselineIgnored")[0] == "False"


def test_an_edit_of_the_baseline_after_a_promotion_is_ignored_and_names_the_version_that_serves() -> None:
    driver = promoted()
    status = driver.state.agent_model.status
    edited = parsed(AgentModel, with_baseline("openai/gpt-5")).model_copy(update={"status": status})
    driver.state = replace(driver.state, agent_model=edited)
    before = driver.record
    driver.run_until_idle()
    assert driver.record == before
    assert "v1.1.0 has replaced it" in driver.condition("BaselineIgnored")[2]


def test_a_record_that_is_deleted_keeps_the_spend_of_the_month_and_says_that_it_was_rebuilt() -> None:
    driver = promoted()
    month = f"{driver.state.now:%Y-%m}"
    spent = driver.record.with_(endpoint_spend={month: 620_000})
    driver.state = replace(driver.state, record=spent)
    driver.run_until_idle()
    booked = driver.record.booked(month)
    driver.state = replace(driver.state, record=None, rollouts={}, runs={}, endpoints=UNSEEN)
    driver.run_until_idle()
    assert driver.record.booked(month) == booked
    assert "RecordRebuilt" in driver.announced


# --- endpoints


def test_an_agent_model_created_again_after_its_endpoint_was_stopped_is_not_ready() -> None:
    driver = promoted()
    created_again = parsed(AgentModel, objects.agent_model())
    without = driver.record.with_(endpoints=())
    driver = AgentModelDriver(replace(driver.state, agent_model=created_again, record=without))
    driver.run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "EndpointNotRunning")
    assert "was stopped" in message
    assert "candidate.version" in message


@pytest.mark.parametrize("state", ["pending", "initializing", "paused", "failed"])
def test_a_stable_endpoint_that_does_not_run_is_not_ready(state: str) -> None:
    driver = promoted()
    driver.cloud = {name: replace(e, state=state) for name, e in driver.cloud.items()}
    driver.run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "EndpointNotRunning")
    assert f"is {state}" in message
    driver.cloud = {name: replace(e, state="running") for name, e in driver.cloud.items()}
    assert driver.run_until_idle().condition("Ready")[0] == "True"


def test_a_stable_endpoint_at_another_address_than_the_file_names_is_not_ready() -> None:
    driver = promoted()
    driver.cloud = {name: replace(e, url="https://new/v1") for name, e in driver.cloud.items()}
    driver.run_until_idle()
    assert driver.condition("Ready")[:2] == ("False", "EndpointNotRunning")
    assert "https://new/v1" in driver.condition("Ready")[2]


def deleted(driver: AgentModelDriver, reports: AgentReports | None) -> AgentModelDriver:
    status = driver.state.agent_model.status
    item = parsed(AgentModel, with_deletion(objects.agent_model())).model_copy(update={"status": status})
    driver.state = replace(driver.state, agent_model=item, reports=reports)
    return driver.run_until_idle()


@pytest.mark.parametrize("reports", [None, AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0)])
def test_a_deletion_stops_no_endpoint_that_the_file_names_and_says_why_it_waits(
    reports: AgentReports | None,
) -> None:
    driver = deleted(promoted(), reports)
    assert len(driver.cloud) == 1
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "Deleting")
    assert next(iter(driver.cloud)) in message
    assert "agents' file names other models" in message
    with_file(driver, objects.FILE_TEXT)
    assert driver.cloud == {}
    assert driver.state.agent_model.metadata.finalizers == ()


def test_an_agent_model_created_again_while_its_endpoint_still_ran_keeps_it() -> None:
    driver = deleted(promoted(), None)
    driver.pass_time(4000)
    driver.run_until_idle()
    assert driver.state.agent_model.metadata.finalizers == ()
    driver.state = replace(driver.state, agent_model=parsed(AgentModel, objects.agent_model()))
    driver.run_until_idle()
    assert [e.role for e in driver.record.endpoints] == ["stable"]
    assert driver.condition("Ready")[0] == "True"
    driver.pass_time(200_000)
    assert len(driver.run_until_idle().cloud) == 1


def test_an_abort_whose_write_is_refused_makes_the_agent_not_ready_until_it_is_written() -> None:
    rollout = RolloutDriver(rollout_state()).run_until(
        lambda state: (
            state.file is not None
            and state.file.entry.routing is not None
            and state.file.entry.routing.weight == 20
        )
    )
    rollout.edit_spec(abort=True)
    rollout.state = replace(rollout.state, file_refusal="webhook denied the request.")
    rollout.step(without=2)
    driver = agent_driver_at(rollout).run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "ConfigNotUsable")
    assert "Rollout r1 cannot take its canary from the agents" in message
    assert "webhook denied the request" in message
    rollout.run_until(has_ended)
    assert agent_driver_at(rollout).run_until_idle().condition("Ready")[0] == "True"


# --- the agents' processes


def test_agents_that_do_not_confirm_the_file_make_it_not_ready_after_a_while() -> None:
    behind = AgentReports(expected=2, heard=2, in_sync=0, canary_reachable=0)
    driver = with_reports(promoted(), behind, MAX_OUT_OF_SYNC_SECONDS - 1)
    assert driver.condition("Ready")[0] == "True"
    with_reports(driver, behind, MAX_OUT_OF_SYNC_SECONDS)
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "AgentsNotInSync")
    assert "0 of 2 agent processes" in message
    refused = replace(behind, refusing=2, config_errors=("agents.yaml, line 3: a tag",))
    with_reports(driver, refused, MAX_OUT_OF_SYNC_SECONDS)
    assert "They refuse it: agents.yaml, line 3: a tag." in driver.condition("Ready")[2]
    with_reports(driver, replace(behind, in_sync=2), 0.0)
    assert driver.condition("Ready")[0] == "True"
