"""A rollout that goes well: its writes in order, and restarts between them."""

from __future__ import annotations

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_file,
    a_record,
    an_entry,
    at_weight,
    has_ended,
    is_armed,
    program_action,
    rollout_state,
)

from modelops.domain.facts import UNSEEN
from modelops.domain.plan import WriteFile, WriteRecord, WriteStatus
from modelops.domain.rollout.actions import StartProgram
from modelops.ports import ProgramState

ALL_WRITES = [
    "finalizers 1",
    "record lock",
    "status Provisioning",
    "status Evaluating",
    "status Arming",
    "file Progressing 0",
    "status Advancing",
    "file Progressing 20",
    "status Watching",
    "status Advancing",
    "file Progressing 100",
    "status Promoting",
    "file Promoted 0",
    "record commit",
    "status Promoted",
    "finalizers 0",
]


def test_a_good_candidate_becomes_stable_in_sixteen_writes() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    assert driver.written == ALL_WRITES
    record, file = driver.state.record, driver.state.file
    assert record is not None
    assert file is not None
    assert file.entry.stable is not None
    assert (driver.phase, driver.state.rollout.status.weight) == ("Succeeded", 100)
    assert (record.stable.model, record.stable.version) == ("org/candidate-of-r1", "v1.1.0")
    assert record.previous is not None
    assert record.previous.version == "v1.0.0"
    assert record.active is None
    assert record.reservations == {}
    assert (file.entry.stable.model, file.entry.stable.version) == ("org/candidate-of-r1", "v1.1.0")
    assert file.entry.stable.endpoint_url == record.stable.endpoint_url == "https://canary.example/v1"
    assert "  cicd: {model: other}  # not ours\n" in file.text


def test_every_transition_is_announced_once() -> None:
    events = RolloutDriver(rollout_state()).run_until(has_ended)
    assert events.announced == [
        "Provisioning",
        "Evaluating",
        "EvaluationPassed",
        "Arming",
        "Advancing",
        "Watching",
        "Advancing",
        "Promoting",
        "Promoted",
    ]


def test_each_weight_is_announced_also_without_a_pause_between() -> None:
    steps = {"steps": [{"setWeight": weight} for weight in (10, 50, 100)]}
    events = (
        RolloutDriver(rollout_state(objects.rollout(strategy={"canary": steps})))
        .run_until(has_ended)
        .announced
    )
    assert events[events.index("Arming") :] == ["Arming", *["Advancing"] * 3, "Promoting", "Promoted"]


def test_the_verdict_is_in_the_status_write_that_arms_the_canary() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_armed)
    verdict = driver.state.rollout.status.evaluation
    assert verdict is not None
    assert (verdict.verdict, verdict.difference_points, verdict.candidates_compared) == ("pass", "13.3", 1)
    evaluated = [c for c in driver.state.rollout.status.conditions if c.type == "Evaluated"]
    assert evaluated[0].status == "True"


def test_a_raise_and_a_promotion_begin_with_their_intent_in_the_same_plan() -> None:
    driver = RolloutDriver(rollout_state())
    raises = 0
    while not has_ended(driver.state):
        plan = driver.step()
        files = [i for i, s in enumerate(plan.steps) if isinstance(s, WriteFile)]
        if files and "abort" not in plan.steps[files[0]].purpose:  # type: ignore[union-attr]
            raises += 1
            assert isinstance(plan.steps[0], WriteStatus)
            assert files[0] > 0
        if plan.requeue_after != 0:
            driver.pass_time(11)
    assert raises == 4


def test_the_registry_names_the_release_its_scores_and_what_it_superseded() -> None:
    history = (an_entry("v1.1.0-rc.1"),)
    item = objects.rollout(candidate={"version": "v1.1.0-rc.1"})
    state = rollout_state(
        item, record=a_record(history=history, allocated={"v1.0.0": {}, "v1.1.0-rc.1": {"a": "b"}})
    )
    driver = RolloutDriver(state).run_until(has_ended)
    record = driver.state.record
    assert record is not None
    entry = record.entry("v1.1.0")
    assert entry is not None
    assert entry.deployment_status == "deployed"
    assert entry.eval_scores["baseline_improvement"] == "+13%"
    assert (entry.eval_scores["scorer"], entry.eval_scores["threshold"]) == ("exact", 1.0)
    evaluated = driver.state.rollout.status.evaluation
    assert evaluated is not None
    assert (evaluated.scorer, evaluated.threshold) == ("exact", "1")
    assert entry.eval_dataset == "ls://docs-eval"
    assert record.entry("v1.1.0-rc.1") is None
    assert record.allocated == {"v1.0.0": {}, "v1.1.0": {"a": "b"}}
    assert set(record.served) == {"v1.0.0", "v1.1.0"}


def test_an_immediate_rollout_is_armed_and_then_promoted() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy={"immediate": {}}))).run_until(has_ended)
    assert [w for w in driver.written if w.startswith("file")] == ["file Progressing 0", "file Promoted 0"]
    assert driver.phase == "Succeeded"


def test_an_evaluation_alone_moves_nothing() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy={"evaluateOnly": {}}))).run_until(has_ended)
    assert not [w for w in driver.written if w.startswith("file")]
    assert (driver.phase, driver.reason) == ("Succeeded", "EvaluatedOnly")
    record = driver.state.record
    assert record is not None
    assert record.active is None
    assert record.reservations == {}
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert record.stable.version == "v1.0.0"


def driver_for_undo() -> RolloutDriver:
    """The agent after one promotion, and a second rollout back to the baseline."""
    first = RolloutDriver(rollout_state()).run_until(has_ended).state
    item = objects.rollout("undo", candidate={"version": "v1.0.0"})
    return RolloutDriver(rollout_state(item, record=first.record, file=first.file, now=first.now))


def test_an_undo_needs_no_evaluation_and_no_endpoint_of_its_own() -> None:
    driver = driver_for_undo()
    driver.facts = {"evaluation": UNSEEN, "endpoint": UNSEEN, "price": UNSEEN}
    driver.run_until(has_ended)
    record, file = driver.state.record, driver.state.file
    assert record is not None
    assert file is not None
    assert file.entry.stable is not None
    assert (driver.phase, record.stable.version) == ("Succeeded", "v1.0.0")
    assert file.entry.stable.model == "anthropic/claude-3.5-sonnet"
    assert file.entry.stable.endpoint == "openrouter"
    assert [e.role for e in record.endpoints] == ["previous"]
    assert record.endpoints[0].stop_after
    assert len(driver.written) == len(ALL_WRITES) - 1


def test_an_undo_of_an_undo_finds_its_endpoint_again() -> None:
    undone = driver_for_undo().run_until(has_ended).state
    item = objects.rollout("again", candidate={"version": "v1.1.0"})
    driver = RolloutDriver(
        rollout_state(item, record=undone.record, file=undone.file, now=undone.now)
    ).run_until(has_ended)
    record = driver.state.record
    assert record is not None
    assert (driver.phase, record.stable.version) == ("Succeeded", "v1.1.0")
    assert [(e.role, e.stop_after) for e in record.endpoints] == [("stable", "")]
    assert record.reservations == {}


@pytest.mark.parametrize("stop", range(len(ALL_WRITES)))
def test_a_restart_between_two_writes_leads_to_the_same_end(stop: int) -> None:
    driver = RolloutDriver(rollout_state())
    while len(driver.written) < stop:
        plan = driver.plan()
        writes = [i for i, s in enumerate(plan.steps) if type(s).__name__.startswith("Write")]
        room = stop - len(driver.written)
        cut = len(plan.steps) - writes[room] if len(writes) > room else 0
        driver.step(without=cut)
        if plan.requeue_after != 0:
            driver.pass_time(11)
    driver.run_until(has_ended)
    assert driver.phase == "Succeeded"
    assert len(driver.written) <= len(ALL_WRITES) + 1
    assert driver.written.count("record lock") == driver.written.count("record commit") == 1


def test_a_repeated_intent_keeps_its_generation() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_armed)
    plan = driver.step(without=1)
    assert isinstance(plan.steps[-1], WriteFile)
    intended = driver.state.rollout.status.intent
    driver.step()
    again = driver.state.rollout.status.intent
    assert intended is not None
    assert again is not None
    assert (again.generation, again.base_resource_version, again.writes) == (
        intended.generation,
        intended.base_resource_version,
        2,
    )
    assert driver.state.block is not None
    assert driver.state.block.generation == intended.generation


def test_the_status_names_the_candidate_once_the_agent_is_locked() -> None:
    driver = RolloutDriver(rollout_state()).run_until(
        lambda state: state.rollout.status.started_at is not None
    )
    status = driver.state.rollout.status
    assert status.candidate is not None
    assert status.candidate.version == "v1.1.0-rc.1"
    assert status.estimate_usd == "1.003612"
    assert status.standing_usd_per_month == "730.00"


def test_a_waiting_evaluation_is_started_once_and_asked_again() -> None:
    driver = RolloutDriver(rollout_state(), facts={"evaluation": None}).run_until(
        lambda state: state.rollout.status.reason == "Evaluating"
    )
    plan = driver.step()
    assert [program_action(s) for s in plan.steps if isinstance(s, StartProgram)] == ["start_evaluation"]
    assert len(plan.steps) == 1
    driver.facts = {"evaluation": ProgramState(running=True)}
    assert driver.step().steps == ()


def test_twenty_percent_are_reached_only_from_a_confirmed_zero() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    assert driver.written.index("file Progressing 0") < driver.written.index("file Progressing 20")


def test_a_foreign_edit_of_the_file_keeps_the_rollout_going() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    assert driver.state.file is not None
    driver.edit_file(driver.state.file.text + "# a note\n")
    driver.run_until(has_ended)
    assert driver.phase == "Succeeded"
    assert driver.state.file is not None
    assert driver.state.file.text.endswith("# a note\n")


def test_a_plan_writes_the_record_last() -> None:
    driver = RolloutDriver(rollout_state())
    while not has_ended(driver.state):
        plan = driver.step()
        records = [i for i, s in enumerate(plan.steps) if isinstance(s, WriteRecord)]
        assert not records or records[-1] == len(plan.steps) - 1
        if plan.requeue_after != 0:
            driver.pass_time(11)


def test_a_file_that_leaves_keys_out_is_no_drift() -> None:
    text = "agents:\n  docs:\n    model: anthropic/claude-3.5-sonnet\n"
    assert RolloutDriver(rollout_state(file=a_file(text))).run_until(has_ended).phase == "Succeeded"
