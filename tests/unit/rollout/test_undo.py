"""An undo goes back at once: it asks no agent, wakes its endpoint, and says which version it left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, has_ended, rollout_state

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain import agentsfile
from modelops.domain.agentmodel.actions import ResumeEndpoint
from modelops.domain.agentmodel.decide import decide as decide_agent
from modelops.domain.facts import Outage
from modelops.domain.plan import Action, WriteFile
from modelops.domain.record import ActiveRollout
from modelops.domain.rollout.evaluation import is_undo
from modelops.ports import AgentReports, Endpoint

SICK = replace(HEALTHY, expected=20, heard=19, in_sync=19, canary_reachable=0, canary_unreachable=19)
NOBODY = AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0)
IMMEDIATE = {"immediate": {}}


def promoted() -> RolloutDriver:
    """v1.1.0 is stable, and v1.0.0 served before."""
    return RolloutDriver(rollout_state()).run_until(has_ended)


def undo_after(
    driver: RolloutDriver, version: str = "v1.0.0", name: str = "undo", **changes: Any
) -> RolloutDriver:
    item = objects.rollout(name, candidate={"version": version}, strategy=IMMEDIATE)
    state = rollout_state(
        item, record=driver.state.record, file=driver.state.file, now=driver.state.now, **changes
    )
    return RolloutDriver(state)


@pytest.mark.parametrize("reports", [SICK, NOBODY, None], ids=["sick agents", "no agent", "no report"])
@pytest.mark.parametrize("mount_problem", ["", "Pod docs-0 mounts it with subPath"])
def test_an_undo_is_written_at_once_whatever_the_agents_say(
    reports: AgentReports | None, mount_problem: str
) -> None:
    undo = undo_after(promoted(), reports=reports, mount_problem=mount_problem)
    assert is_undo(undo.state)
    undo.run_until(has_ended)
    assert (undo.phase, undo.reason) == ("Succeeded", "Promoted")
    assert undo.state.file is not None
    assert undo.state.file.entry.stable is not None
    assert undo.state.file.entry.stable.model == "anthropic/claude-3.5-sonnet"
    assert [w for w in undo.written if w.startswith("file")] == ["file Promoted 0"]


def test_a_version_that_never_served_waits_for_the_agents_even_if_it_is_immediate() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=IMMEDIATE), reports=SICK))
    for _ in range(20):
        driver.step()
        driver.pass_time(20)
    assert driver.reason == "WaitingForAgents"
    assert driver.state.record is not None
    assert driver.state.record.stable.version == "v1.0.0"


def test_an_undo_that_costs_nothing_is_made_in_a_month_whose_budget_is_spent() -> None:
    undo = undo_after(promoted(), agent=objects.agent_model(budget={"monthlyUSD": "0.5"}))
    undo.pass_time(5 * 3600)
    record = undo.state.record
    assert record is not None
    assert record.committed("2025-12", undo.state.now) > 500_000
    assert undo.run_until(has_ended).phase == "Succeeded"


def test_an_undo_to_a_model_without_an_endpoint_needs_no_secret() -> None:
    undo = undo_after(promoted(), secret_problem="Secret tokens (spec.secretRefs.huggingFace) does not exist")
    assert undo.run_until(has_ended).phase == "Succeeded"


OUTAGE = Outage(service="Hugging Face", message="answered 503")


@pytest.mark.parametrize("outage", [OUTAGE, replace(OUTAGE, refused=True, token_refused=True)])
def test_an_undo_to_an_endpoint_that_answers_does_not_wait_for_the_list_of_endpoints(outage: Outage) -> None:
    undo = back_to_trained()
    undo.facts["endpoint"] = outage
    assert undo.run_until(has_ended).phase == "Succeeded"
    assert undo.state.file is not None
    assert undo.state.file.entry.stable is not None
    assert undo.state.file.entry.stable.endpoint_url == "https://canary.example/v1"


def test_an_undo_to_an_endpoint_that_does_not_answer_waits_and_says_what_the_service_answered() -> None:
    undo = back_to_trained()
    undo.facts |= {"endpoint": OUTAGE, "answers": False}
    for _ in range(3):
        undo.step()
        undo.pass_time(15)
    assert (undo.phase, undo.reason) == ("Provisioning", "EndpointServiceUnavailable")


def test_an_undo_waits_while_it_is_paused() -> None:
    undo = undo_after(promoted())
    undo.edit_spec(paused=True)
    for _ in range(10):
        undo.step()
        undo.pass_time(20)
    assert undo.reason == "Paused"
    undo.edit_spec(paused=False)
    assert undo.run_until(has_ended).phase == "Succeeded"


def test_the_record_keeps_what_an_undo_left_until_it_serves_again() -> None:
    undo = undo_after(promoted()).run_until(has_ended)
    assert undo.state.record is not None
    assert list(undo.state.record.undone) == ["v1.1.0"]
    again = undo_after(undo, "v1.1.0", "again").run_until(has_ended)
    assert again.phase == "Succeeded"
    assert again.state.record is not None
    assert list(again.state.record.undone) == ["v1.0.0"]


def test_an_undo_applied_again_under_its_name_says_what_serves_now() -> None:
    first = undo_after(promoted()).run_until(has_ended)
    newer = undo_after(first, "v1.1.0", "again").run_until(has_ended)
    item = objects.rollout("undo", uid="another", candidate={"version": "v1.0.0"}, strategy=IMMEDIATE)
    repeated = RolloutDriver(rollout_state(item, record=newer.state.record, file=newer.state.file))
    repeated.step()
    assert (repeated.phase, repeated.reason) == (RolloutPhase.FAILED, "AlreadyCompleted")
    assert "v1.1.0 serves now" in repeated.message
    succeeded = next(c for c in repeated.state.rollout.status.conditions if c.type == "Succeeded")
    assert succeeded.status == "False"


def test_an_undo_applied_again_while_its_version_serves_has_succeeded() -> None:
    first = undo_after(promoted()).run_until(has_ended)
    item = objects.rollout("undo", uid="another", candidate={"version": "v1.0.0"}, strategy=IMMEDIATE)
    repeated = RolloutDriver(rollout_state(item, record=first.state.record, file=first.state.file))
    repeated.step()
    assert (repeated.phase, repeated.reason) == ("Succeeded", "AlreadyCompleted")


# --- a file that somebody else edits


def undo_that_crashed_before_its_file_write() -> RolloutDriver:
    """Its intent is on record, and the process was killed."""
    undo = undo_after(promoted())
    while not any(isinstance(step, WriteFile) for step in undo.plan().steps):
        undo.step()
    kinds = [type(step) for step in undo.plan().steps]
    undo.step(without=len(kinds) - kinds.index(WriteFile))
    assert undo.state.rollout.status.promoting
    return undo


def with_comment(text: str) -> str:
    return text + "# someone's comment\n"


def without_routing(text: str) -> str:
    return agentsfile.with_routing(text, objects.AGENT, None)


def with_tombstone(text: str) -> str:
    tombstone = agentsfile.RoutingBlock.aborted(uid="another", step=1, generation=10**14)
    return agentsfile.with_routing(text, objects.AGENT, tombstone)


@pytest.mark.parametrize("edit", [with_comment, without_routing, with_tombstone])
def test_an_undo_goes_on_after_a_crash_and_an_edit_of_something_else(edit: Callable[[str], str]) -> None:
    undo = undo_that_crashed_before_its_file_write()
    assert undo.state.file is not None
    undo.edit_file(edit(undo.state.file.text))
    before = undo.state.block.generation if undo.state.block else 0
    assert undo.run_until(has_ended).phase == "Succeeded"
    assert undo.state.record is not None
    assert undo.state.record.stable.version == "v1.0.0"
    assert undo.state.block is not None
    assert undo.state.block.generation > before


def test_an_undo_gives_way_to_a_person_who_wrote_another_stable_model() -> None:
    undo = undo_that_crashed_before_its_file_write()
    assert undo.state.file is not None
    undo.edit_file(undo.state.file.text.replace("model: org/candidate-of-r1", "model: org/by-hand"))
    assert undo.run_until(has_ended).reason == "RoutingMismatch"
    assert undo.state.file.entry.stable is not None
    assert undo.state.file.entry.stable.model == "org/by-hand"


# --- waking the endpoint


def back_to_trained() -> RolloutDriver:
    """An undo to v1.1.0, which has an endpoint, up to the lock on the agent."""
    first = undo_after(promoted()).run_until(has_ended)
    undo = undo_after(first, "v1.1.0", "again")
    undo.facts["endpoint"] = sleeping("scaledToZero")
    return undo.run_until(lambda state: state.rollout.status.started_at is not None)


def sleeping(state: str) -> Endpoint:
    return Endpoint(name="mo", state=state, url="https://canary.example/v1", repo="", revision="")


def test_an_endpoint_that_is_scaled_to_zero_is_woken_by_a_request() -> None:
    undo = back_to_trained()
    asked: list[str] = []
    for _ in range(3):
        plan = undo.plan()
        asked.append(str(undo.state.answers))
        assert plan.steps == ()
        undo.step()
        undo.pass_time(5)
    assert asked == ["True"] * 3
    undo.facts["endpoint"] = sleeping("running")
    assert undo.run_until(has_ended).phase == "Succeeded"


def agent_with_endpoint(undo: RolloutDriver, state: str) -> AgentModelDriver:
    driver = agent_driver_at(undo)
    names = [entry.name for entry in driver.record.endpoints]
    listed = tuple(replace(sleeping(state), name=name) for name in names)
    driver.state = replace(driver.state, endpoints=listed)
    return driver


def test_a_paused_endpoint_of_an_undo_is_resumed() -> None:
    undo = back_to_trained()
    assert undo.state.record is not None
    assert undo.state.record.active is not None
    name = undo.state.record.active.candidate.endpoint_name
    steps = decide_agent(agent_with_endpoint(undo, "paused").state).steps
    assert [step for step in steps if isinstance(step, Action)] == [ResumeEndpoint(name=name)]


@pytest.mark.parametrize("other", ["cannot be created", "cannot be deleted"])
def test_a_paused_endpoint_of_an_undo_is_resumed_beside_another_that_fails(other: str) -> None:
    driver = agent_with_endpoint(back_to_trained(), "paused")
    (entry,) = driver.record.endpoints
    changes = {"name": "mo-x", "repo": "org/x", "role": "stable"}
    if other == "cannot be deleted":
        changes |= {"role": "deleting", "stop_after": "2025-12-01T00:00:00+00:00"}
    record = driver.record.with_(endpoints=(*driver.record.endpoints, entry.model_copy(update=changes)))
    listed = [*(driver.state.listed_endpoints or ())]
    listed += [replace(sleeping("running"), name="mo-x")] if other == "cannot be deleted" else []
    plan = decide_agent(replace(driver.state, record=record, endpoints=tuple(listed), live=True))
    resumed = next(step for step in plan.steps if isinstance(step, ResumeEndpoint))
    assert resumed == ResumeEndpoint(name=entry.name)
    assert resumed.independent


@pytest.mark.parametrize("state", ["running", "initializing", "scaledToZero", "failed"])
def test_an_endpoint_that_is_not_paused_is_not_resumed(state: str) -> None:
    plan = decide_agent(agent_with_endpoint(back_to_trained(), state).state)
    assert not [step for step in plan.steps if isinstance(step, ResumeEndpoint)]


def test_a_wait_for_an_endpoint_that_does_not_wake_is_bounded_by_the_deadline() -> None:
    undo = back_to_trained()
    undo.facts["endpoint"] = sleeping("paused")
    undo.pass_time(172_801)
    assert undo.run_until(has_ended).reason == "DeadlineExceeded"


def test_an_undo_waits_behind_another_rollout_and_says_how_to_go_back_now() -> None:
    stable = promoted()
    assert stable.state.record is not None
    other = ActiveRollout(uid="x", name="r2", digest="d", candidate=stable.state.record.stable)
    undo = undo_after(stable)
    undo.state = replace(undo.state, record=stable.state.record.with_(active=other))
    undo.run_until_idle()
    undo.pass_time(30 * 86400)
    undo.run_until_idle()
    assert (undo.phase, undo.reason) == ("Pending", "AnotherRolloutActive")
    assert undo.message.startswith("Rollout r2 has the lock on agent docs")
    assert undo.message.endswith("To go back now, set spec.abort of that one")
    undo.state = replace(undo.state, record=stable.state.record)
    assert undo.run_until(has_ended).phase == "Succeeded"
