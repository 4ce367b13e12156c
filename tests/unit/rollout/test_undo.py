"""An undo goes back at once: it asks no agent, wakes its endpoint, and says which version it left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    at_weight,
    has_ended,
    parsed,
    rollout_state,
)

from modelops.api.v1alpha1.agentmodel import AgentModel, AgentModelStatus
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain import agentsfile
from modelops.domain.agentmodel.decide import decide as decide_agent
from modelops.domain.agentmodel.project import current_conditions
from modelops.domain.facts import Outage
from modelops.domain.plan import WriteFile, WriteRecord, WriteRolloutStatus
from modelops.domain.rollout.evaluation import is_undo
from modelops.domain.rollout.state import stable_keys
from modelops.domain.undo import previous_version
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
    now = driver.state.now + timedelta(seconds=10)
    item = objects.rollout(name, created=now, candidate={"version": version}, strategy=IMMEDIATE)
    state = rollout_state(item, record=driver.state.record, file=driver.state.file, now=now, **changes)
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
    assert [w for w in undo.written if w.startswith("file")] == ["file Aborted 0"]


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
    undo.agent_facts["endpoints"] = outage
    assert undo.run_until(has_ended).phase == "Succeeded"
    assert undo.state.file is not None
    assert undo.state.file.entry.stable is not None
    assert undo.state.file.entry.stable.endpoint_url == "https://canary.example/v1"


def test_an_undo_to_an_endpoint_that_does_not_answer_waits_and_says_until_when_and_what_could_serve() -> None:
    undo = back_to_trained()
    undo.agent_facts |= {"endpoints": OUTAGE, "answers": False}
    for _ in range(4):
        undo.step()
        undo.pass_time(15)
    assert (undo.phase, undo.reason) == ("Promoting", "GoingBack")
    assert "answered 503" in undo.message
    assert "until 2025-12-10T09:" in undo.message
    assert undo.state.record is not None
    assert undo.state.record.stable.version == "v1.2.0"
    assert "`modelops rollback docs -n team --to v1.0.0 --direct`" in undo.message


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


# --- the acceptance, and what comes too late


def accepted_undo(driver: RolloutDriver | None = None, version: str = "v1.0.0") -> RolloutDriver:
    """Its acceptance is on record, and the AgentModel's reconcile has not acted yet."""
    undo = undo_after(driver or promoted(), version)
    undo.agent_model_acts = False
    undo.run_until(lambda state: state.record is not None and state.record.undo is not None)
    undo.agent_model_acts = True
    return undo


def serving(undo: RolloutDriver) -> str | None:
    assert undo.state.file is not None
    assert undo.state.file.entry.stable is not None
    return undo.state.file.entry.stable.model


def test_an_undo_takes_two_small_writes_until_the_file_has_it_and_leaves_its_mark_there() -> None:
    undo = undo_after(promoted()).run_until(has_ended)
    assert undo.written[:3] == ["record accept", "file Aborted 0", "record commit"]
    block, record = undo.state.block, undo.state.record
    assert block is not None
    assert record is not None
    assert (block.rollout.uid, block.rollout.undo, block.weight) == (undo.state.uid, "v1.0.0", 0)
    assert (record.undo, record.active, record.watch, record.marked) == (None, None, None, block.generation)
    assert record.previous is not None
    assert record.previous.version == "v1.1.0"
    assert not undo.state.rollout.metadata.finalizers


@pytest.mark.parametrize("late", ["abort", "deletion"])
def test_an_abort_or_a_deletion_after_the_acceptance_is_too_late(late: str) -> None:
    undo = accepted_undo()
    if late == "abort":
        undo.edit_spec(abort=True)
    else:
        undo.delete_rollout()
    for _ in range(6):
        undo.step()
        undo.pass_time(5)
    assert serving(undo) == "anthropic/claude-3.5-sonnet"
    assert undo.state.record is not None
    assert undo.state.record.stable.version == "v1.0.0"


def test_an_abort_before_the_acceptance_ends_the_undo_and_writes_no_file() -> None:
    undo = undo_after(promoted())
    undo.edit_spec(abort=True)
    assert undo.run_until(has_ended).reason == "AbortedByUser"
    assert not [write for write in undo.written if write.startswith("file")]


def test_another_undo_that_was_asked_for_before_ends_as_superseded() -> None:
    first = promoted()
    older = undo_after(first)
    between = undo_after(first, name="between").run_until(has_ended)
    newer = undo_after(between, "v1.1.0", "newer").run_until(has_ended)
    older.state = replace(older.state, record=newer.state.record, file=newer.state.file)
    assert older.run_until(has_ended).reason == "Superseded"
    assert serving(older) == "org/candidate-of-r1"


def test_an_undo_that_is_asked_for_while_another_is_under_way_waits_and_then_acts() -> None:
    first = accepted_undo()
    second = undo_after(first, "v1.1.0", "second")
    second.agent_model_acts = False
    second.step()
    assert second.reason == "WaitingForUndo"
    second.agent_model_acts = True
    assert second.run_until(has_ended).phase == "Succeeded"
    assert serving(second) == "org/candidate-of-r1"


def test_a_rollout_that_was_created_before_an_undo_does_not_bring_its_version_back() -> None:
    first = promoted()
    waiting = objects.rollout("again", created=first.state.now, candidate={"version": "v1.1.0"})
    undone = undo_after(first).run_until(has_ended)
    queued = RolloutDriver(
        rollout_state(waiting, record=undone.state.record, file=undone.state.file, now=undone.state.now)
    )
    assert queued.run_until(has_ended).reason == "VersionUndone"
    later = objects.rollout(
        "later", created=undone.state.now + timedelta(seconds=1), candidate={"version": "v1.1.0"}
    )
    tried = RolloutDriver(
        rollout_state(later, record=queued.state.record, file=queued.state.file, now=queued.state.now)
    )
    assert tried.run_until(has_ended).reason == "Promoted"
    assert tried.state.record is not None
    assert tried.state.record.undone == {}


def test_an_undo_to_what_record_and_file_name_says_so_and_writes_no_file() -> None:
    undo = undo_after(promoted(), "v1.1.0").run_until(has_ended)
    assert (undo.phase, undo.reason) == ("Succeeded", "AlreadyServes")
    assert not [write for write in undo.written if write.startswith("file")]


def test_an_undo_to_what_only_the_record_names_is_written() -> None:
    driver = promoted()
    assert driver.state.file is not None
    driver.edit_file(driver.state.file.text.replace("model: org/candidate-of-r1", "model: org/by-hand"))
    undo = undo_after(driver, "v1.1.0").run_until(has_ended)
    assert (undo.phase, undo.reason) == ("Succeeded", "Promoted")
    assert serving(undo) == "org/candidate-of-r1"


# --- an active rollout


def beside_canary() -> tuple[RolloutDriver, RolloutDriver]:
    """A canary of v1.2.0 at 20 percent, and an undo to v1.0.0 that begins now."""
    before = promoted().state
    item = objects.rollout("r2", created=before.now)
    canary = RolloutDriver(rollout_state(item, record=before.record, file=before.file, now=before.now))
    canary.run_until(at_weight(20))
    return canary, undo_after(canary, active_rollout=canary.state.rollout)


def test_an_undo_latches_the_active_rollout_before_its_acceptance_and_takes_three_writes() -> None:
    canary, undo = beside_canary()
    plan = undo.plan()
    latch, acceptance = plan.steps
    assert isinstance(latch, WriteRolloutStatus)
    assert (latch.uid, latch.status.abort_reason) == (canary.state.uid, "LeftByUndo")  # type: ignore[attr-defined]
    assert isinstance(acceptance, WriteRecord)
    undo.run_until(has_ended)
    assert undo.written[:4] == ["latch r2", "record accept", "file Aborted 0", "record commit"]
    record = undo.state.record
    assert record is not None
    assert (record.stable.version, record.active) == ("v1.0.0", None)
    assert set(record.undone) == {"v1.1.0", "v1.2.0-rc.1"}
    assert record.completed[canary.state.identity].outcome == "LeftByUndo"


def test_the_active_rollout_writes_neither_file_nor_record_while_the_undo_drives() -> None:
    canary, undo = beside_canary()
    undo.agent_model_acts = False
    undo.step()
    canary.state = replace(canary.state, record=undo.state.record)
    canary.agent_model_acts = False
    canary.written.clear()
    for _ in range(4):
        canary.step()
        canary.pass_time(5)
    assert canary.written == ["status Aborting"]
    undo.agent_model_acts = True
    undo.run_until(has_ended)
    canary.state = replace(canary.state, record=undo.state.record, file=undo.state.file)
    canary.run_until(has_ended)
    assert (canary.phase, canary.reason) == ("Aborted", "LeftByUndo")


def test_an_active_rollout_that_was_aborted_already_is_not_latched_again() -> None:
    canary, undo = beside_canary()
    canary.edit_spec(abort=True)
    undo.state = replace(undo.state, active_rollout=canary.state.rollout)
    assert [type(step) for step in undo.plan().steps] == [WriteRecord]


# --- a file that somebody else edits


def with_comment(text: str) -> str:
    return text + "# someone's comment\n"


def without_routing(text: str) -> str:
    return agentsfile.with_routing(text, objects.AGENT, None)


def with_tombstone(text: str) -> str:
    tombstone = agentsfile.RoutingBlock.aborted(uid="another", step=1, generation=10**14)
    return agentsfile.with_routing(text, objects.AGENT, tombstone)


def with_another_model(text: str) -> str:
    return text.replace("model: org/candidate-of-r1", "model: org/by-hand")


@pytest.mark.parametrize("edit", [with_comment, without_routing, with_tombstone, with_another_model])
def test_an_accepted_undo_is_written_whatever_was_edited_before_its_mark(edit: Callable[[str], str]) -> None:
    undo = accepted_undo()
    assert undo.state.file is not None
    undo.edit_file(edit(undo.state.file.text))
    before = undo.state.block.generation if undo.state.block else 0
    assert undo.run_until(has_ended).phase == "Succeeded"
    assert serving(undo) == "anthropic/claude-3.5-sonnet"
    assert undo.state.block is not None
    assert undo.state.block.generation > before


def test_keys_beside_the_mark_are_a_persons_and_stay() -> None:
    undo = accepted_undo()
    record = undo.state.record
    undo.let_agent_model_act()
    assert undo.state.file is not None
    undo.edit_file(undo.state.file.text.replace("model: anthropic/claude-3.5-sonnet", "model: org/by-hand"))
    undo.state = replace(undo.state, record=record)
    undo.written.clear()
    undo.run_until(has_ended)
    assert [write for write in undo.written if not write.startswith("status")] == ["record commit"]
    assert serving(undo) == "org/by-hand"


def test_a_new_leader_writes_the_record_unchanged_before_it_acts_on_the_undo_in_its_copy() -> None:
    undo = accepted_undo()
    agent = replace(agent_driver_at(undo).state, record_is_ours=False)
    kinds = [type(step) for step in decide_agent(agent).steps]
    assert kinds[:3] == [WriteRecord, WriteFile, WriteRecord]
    proof = decide_agent(agent).steps[0]
    assert isinstance(proof, WriteRecord)
    assert proof.record == undo.state.record


# --- spec.undo of the AgentModel


def asked_by_field(driver: RolloutDriver, to: str, id_: str = "2025-12-10") -> RolloutDriver:
    agent = objects.agent_model(undo={"to": to, "id": id_})
    driver.state = replace(driver.state, agent_model=parsed(AgentModel, agent))
    for _ in range(4):
        driver.let_agent_model_act()
    return driver


def shown(driver: RolloutDriver) -> AgentModelStatus:
    assert driver.state.agent_model is not None
    return driver.state.agent_model.status


def test_spec_undo_goes_back_and_acts_once_for_each_id() -> None:
    driver = asked_by_field(promoted(), "v1.0.0")
    assert serving(driver) == "anthropic/claude-3.5-sonnet"
    last = shown(driver).last_undo
    assert last is not None
    assert (last.id, last.to, last.outcome) == ("2025-12-10", "v1.0.0", "Promoted")
    newer = undo_after(driver, "v1.1.0", "again").run_until(has_ended)
    assert serving(asked_by_field(newer, "v1.0.0")) == "org/candidate-of-r1"
    assert serving(asked_by_field(newer, "v1.0.0", "2")) == "anthropic/claude-3.5-sonnet"


def test_spec_undo_to_what_never_served_is_refused_with_the_versions_that_did() -> None:
    driver = asked_by_field(promoted(), "v9.0.0")
    last = shown(driver).last_undo
    assert last is not None
    assert (last.outcome, serving(driver)) == ("CandidateNotFound", "org/candidate-of-r1")
    assert "v1.0.0, v1.1.0" in last.message


def test_spec_undo_that_was_set_when_another_undo_was_accepted_is_superseded() -> None:
    first = promoted()
    agent = objects.agent_model(undo={"to": "v1.1.0", "id": "x"})
    undo = undo_after(first, agent_model=parsed(AgentModel, agent)).run_until(has_ended)
    for _ in range(3):
        undo.let_agent_model_act()
    last = shown(undo).last_undo
    assert last is not None
    assert (last.outcome, serving(undo)) == ("Superseded", "anthropic/claude-3.5-sonnet")


# --- a direct undo


def directly(driver: RolloutDriver, to: str) -> RolloutDriver:
    """A person writes keys and mark with the Kubernetes API alone."""
    state = driver.state
    assert state.file is not None
    assert state.record is not None
    generation = max(state.block.generation if state.block else 0, int(state.now.timestamp() * 1000)) + 1
    mark = agentsfile.RoutingBlock.undone(by="direct", to=to, generation=generation)
    keys = stable_keys(state.record.served[to])
    driver.edit_file(agentsfile.edit(state.file.text, objects.AGENT, stable=keys, routing=mark))
    return driver


def test_a_direct_undo_is_taken_over_from_its_mark() -> None:
    driver = directly(promoted(), "v1.0.0")
    text = driver.state.file.text if driver.state.file else ""
    for _ in range(3):
        driver.let_agent_model_act()
    record = driver.state.record
    assert record is not None
    assert (record.stable.version, record.undo, list(record.undone)) == ("v1.0.0", None, ["v1.1.0"])
    assert driver.state.file is not None
    assert driver.state.file.text == text


def test_a_direct_undo_replaces_a_pending_one_which_is_superseded() -> None:
    undo = accepted_undo(undo_after(promoted()).run_until(has_ended), "v1.1.0")
    directly(undo, "v1.0.0")
    for _ in range(3):
        undo.let_agent_model_act()
    assert undo.run_until(has_ended).reason == "Superseded"
    assert serving(undo) == "anthropic/claude-3.5-sonnet"


def test_a_canary_writes_nothing_over_a_mark_that_the_record_lacks() -> None:
    canary, _ = beside_canary()
    directly(canary, "v1.0.0")
    canary.written.clear()
    for spec in ({}, {"abort": True}):
        canary.edit_spec(**spec)
        for _ in range(3):
            canary.step()
            canary.pass_time(30)
    assert canary.written == []
    for _ in range(3):
        canary.let_agent_model_act()
    assert canary.run_until(has_ended).phase == "Aborted"
    assert canary.state.record is not None
    assert canary.state.record.stable.version == "v1.0.0"


def test_previous_is_looked_up_once_and_a_second_call_repeats_the_first() -> None:
    driver = promoted()
    record, entry = driver.state.record, driver.state.file.entry if driver.state.file else None
    assert record is not None
    assert previous_version(record, entry) == "v1.0.0"
    directly(driver, "v1.0.0")
    assert driver.state.file is not None
    assert previous_version(record, driver.state.file.entry) == "v1.0.0"
    for _ in range(3):
        driver.let_agent_model_act()
    assert driver.state.record is not None
    assert previous_version(driver.state.record, driver.state.file.entry) is None


# --- waking the endpoint


def back_to_trained() -> RolloutDriver:
    """An accepted undo to v1.1.0, which has an endpoint, from v1.2.0; the baseline v1.0.0 could serve at once."""
    before = promoted().state
    item = objects.rollout("r2", created=before.now)
    newer = RolloutDriver(rollout_state(item, record=before.record, file=before.file, now=before.now))
    newer.facts["endpoint"] = replace(sleeping("running"), url="https://newer.example/v1")
    undo = accepted_undo(newer.run_until(has_ended), "v1.1.0")
    undo.agent_facts["endpoints"] = listed(undo, "scaledToZero")
    return undo


def listed(undo: RolloutDriver, state: str) -> tuple[Endpoint, ...]:
    record = undo.state.record
    assert record is not None
    name = record.served["v1.1.0"].endpoint_name
    return tuple(
        replace(sleeping(state if entry.name == name else "running"), name=entry.name)
        for entry in record.endpoints
    )


def sleeping(state: str) -> Endpoint:
    return Endpoint(name="mo", state=state, url="https://canary.example/v1", repo="", revision="")


def test_an_endpoint_that_is_scaled_to_zero_is_woken_by_a_request_and_then_serves() -> None:
    undo = back_to_trained()
    undo.agent_facts["answers"] = False
    for _ in range(3):
        undo.step()
        undo.pass_time(5)
    assert "is scaledToZero" in undo.message
    undo.agent_facts["answers"] = True
    assert undo.run_until(has_ended).phase == "Succeeded"
    assert serving(undo) == "org/candidate-of-r1"


def test_a_canary_gets_its_tombstone_at_once_while_the_endpoint_is_waited_for() -> None:
    undo = back_to_trained()
    assert undo.state.file is not None
    target = agentsfile.CanaryTarget(weight=20, model="org/other", version="v1.3.0-rc.1")
    mark = agentsfile.RolloutMark("uid-gone", 1, "Progressing")
    block = agentsfile.RoutingBlock(10**12, "uid-gone", mark, "2025-12-11T00:00:00Z", target)
    undo.edit_file(agentsfile.with_routing(undo.state.file.text, objects.AGENT, block))
    undo.agent_facts["answers"] = False
    undo.step()
    assert undo.state.block is not None
    assert (undo.state.block.rollout.state, undo.state.block.weight) == ("Aborted", 0)
    assert undo.state.record is not None
    assert undo.state.record.undo is not None


def test_an_endpoint_that_was_deleted_goes_on_record_before_it_is_created() -> None:
    undo = back_to_trained()
    record = undo.state.record
    assert record is not None
    name = record.served["v1.1.0"].endpoint_name
    undo.state = replace(
        undo.state, record=record.with_(endpoints=tuple(e for e in record.endpoints if e.name != name))
    )
    undo.agent_facts |= {"endpoints": (), "answers": False}
    undo.step()
    assert undo.state.record is not None
    entry = next(e for e in undo.state.record.endpoints if e.name == name)
    assert (entry.role, entry.usd_micro_per_hour) == ("previous", 1_000_000)
    undo.step()
    assert "CreateEndpoint" in undo.performed


def test_a_paused_endpoint_of_an_undo_is_resumed() -> None:
    undo = back_to_trained()
    undo.agent_facts |= {"endpoints": listed(undo, "paused"), "answers": False}
    undo.step()
    assert undo.performed == ["ResumeEndpoint"]


@pytest.mark.parametrize(("token", "performed"), [(True, ["ResumeEndpoint"]), (False, [])])
def test_an_undo_needs_no_other_secret_than_that_of_the_hub(token: bool, performed: list[str]) -> None:
    undo = back_to_trained()
    undo.agent_facts |= {"endpoints": listed(undo, "paused"), "answers": False}
    undo.state = replace(undo.state, secret_problem="Secret gone (spec.secretRefs.langsmith) does not exist")
    undo.has_hub_token = token
    undo.step()
    assert undo.performed == performed


@pytest.mark.parametrize("state", ["running", "initializing", "scaledToZero"])
def test_an_endpoint_that_is_not_paused_is_not_resumed(state: str) -> None:
    undo = back_to_trained()
    undo.agent_facts |= {"endpoints": listed(undo, state), "answers": False}
    undo.step()
    assert undo.performed == []


@pytest.mark.parametrize(("state", "seconds"), [("paused", 1801), ("failed", 1)])
def test_an_endpoint_that_never_answers_ends_the_undo_and_the_version_that_serves_stays(
    state: str, seconds: int
) -> None:
    undo = back_to_trained()
    undo.agent_facts |= {"endpoints": listed(undo, state), "answers": False}
    undo.pass_time(seconds)
    undo.run_until(has_ended)
    assert (undo.phase, undo.reason) == ("Failed", "EndpointFailed")
    assert "v1.2.0 stays stable" in undo.message
    assert "--to v1.0.0 --direct" in undo.message
    assert serving(undo) == "org/candidate-of-r2"
    assert undo.state.record is not None
    assert undo.state.record.undo is None


# --- what is said to be stable


def condition(agent: AgentModelDriver, kind: str) -> tuple[str, str]:
    return agent.condition(kind)[:2]


def test_an_undone_version_in_the_file_is_shown_and_not_ready() -> None:
    """GitOps applies the manifest of before the undo."""
    first = promoted()
    text = first.state.file.text if first.state.file else ""
    undone = undo_after(first).run_until(has_ended)
    agent = agent_driver_at(undone)
    agent.edit_file(without_routing(text))
    agent.run_until_idle()
    stable = agent.state.agent_model.status.stable
    assert stable is not None
    assert (stable.version, stable.model) == ("v1.1.0", "org/candidate-of-r1")
    assert condition(agent, "InSync") == ("False", "UndoneVersionServes")
    assert condition(agent, "Ready") == ("False", "UndoneVersionServes")
    assert agent.record.stable.version == "v1.0.0"


def test_status_stable_is_what_the_file_names_also_by_hand() -> None:
    agent = agent_driver_at(promoted())
    assert agent.state.file is not None
    agent.edit_file(agent.state.file.text.replace("model: org/candidate-of-r1", "model: org/by-hand"))
    agent.run_until_idle()
    stable = agent.state.agent_model.status.stable
    assert stable is not None
    assert stable.model == "org/by-hand"
    assert condition(agent, "Ready") == ("False", "StableDrift")


def test_an_accepted_undo_and_a_mark_that_the_record_lacks_are_not_called_in_sync() -> None:
    undo = back_to_trained()
    undo.agent_facts["answers"] = False
    undo.step()
    agent = agent_driver_at(undo)
    agent.state = replace(agent.state, answers=False, endpoints=undo.agent_facts["endpoints"])
    assert {c.type: c.reason for c in current_conditions(agent.state)}["InSync"] == "GoingBack"
    marked = agent_driver_at(directly(promoted(), "v1.0.0"))
    found = {c.type: (c.status.value, c.reason) for c in current_conditions(marked.state)}
    assert found["InSync"] == found["Ready"] == ("False", "GoingBack")
