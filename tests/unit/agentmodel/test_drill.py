"""A rehearsal of a rollback writes what an abort would write, moves no session, and never meets a rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at, agent_model_state
from tests.unit.rollout import objects
from tests.unit.rollout.explorer import RECORD_NAME, Run, Scenario
from tests.unit.rollout.playback import next_usual_move
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    a_record,
    at_weight,
    has_ended,
    parsed,
    rollout_state,
)
from tests.unit.rollout.test_watch import watched

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentmodel.drill import DRILL_SECONDS
from modelops.domain.plan import WriteFile, WriteRecord
from modelops.domain.record import Drill, DrillResult, Undo

ASKED = {"drill": {"id": "monday"}}


def drilled(agent: AgentModelDriver) -> AgentModelDriver:
    """The AgentModel after somebody asked for a drill."""
    spec = parsed(AgentModel, objects.agent_model(**ASKED)).spec
    agent.state = replace(agent.state, agent_model=agent.state.agent_model.model_copy(update={"spec": spec}))
    return agent


def idle_agent(**changes: Any) -> AgentModelDriver:
    state = agent_model_state(record=a_record(), reports=HEALTHY, **changes)
    return AgentModelDriver(state).run_until_idle()


def begun() -> AgentModelDriver:
    """The drill's block is in the file; the engine has timed the write."""
    agent = drilled(idle_agent())
    for _ in range(3):
        if agent.step() and agent.record.drill is not None:
            break
    agent.state = replace(agent.state, drill_write_ms=30)
    return agent


def result(agent: AgentModelDriver) -> DrillResult:
    found = agent.record.last_drill
    assert found is not None
    return found


def test_it_is_the_write_of_an_abort_with_the_same_models_and_no_session_moves() -> None:
    agent = drilled(idle_agent())
    before = agent.state.file
    plan = agent.step()
    assert [type(step) for step in plan.steps] == [WriteRecord, WriteFile]
    assert before is not None
    assert agent.state.file is not None
    entry = agent.state.file.entry
    assert entry.routing is not None
    block = entry.routing
    assert (block.weight, block.rollout.state, block.rollout.undo) == (0, "Aborted", None)
    assert entry.stable == before.entry.stable
    assert agent.condition("InSync")[0] == "True"


def test_the_seconds_are_on_record_and_in_the_status_once_all_have_confirmed() -> None:
    agent = begun()
    agent.state = replace(agent.state, drill_effect_ms=210)
    agent.run_until_idle()
    done = result(agent)
    assert (done.id, done.outcome, done.write_ms, done.effect_ms, done.agents) == (
        "monday",
        "Confirmed",
        30,
        210,
        2,
    )
    assert done.message == (
        "2 agent processes confirmed the routing 0.24 s after the decision: 0.03 s to write, 0.21 s until in effect"
    )
    shown = agent.state.agent_model.status.last_drill
    assert shown is not None
    assert (shown.outcome, shown.effect_milliseconds) == ("Confirmed", 210)
    assert "DrillConfirmed" in agent.announced


def test_an_id_acts_once() -> None:
    agent = begun()
    agent.state = replace(agent.state, drill_effect_ms=210)
    agent.run_until_idle()
    writes = len(agent.written)
    agent.run_until_idle()
    assert len(agent.written) == writes


def test_a_write_whose_answer_was_lost_is_sent_again_before_the_drill_ends() -> None:
    agent = drilled(idle_agent())
    assert agent.state.file is not None
    drill = Drill(id="monday", at="2025-12-10T08:59:59+00:00", base=agent.state.file.resource_version)
    agent.state = replace(agent.state, record=agent.record.with_(drill=drill))
    plan = agent.step()
    assert [type(step) for step in plan.steps] == [WriteRecord, WriteFile]
    assert agent.record.drill == drill


def test_processes_that_do_not_confirm_are_named_after_a_minute() -> None:
    agent = begun()
    agent.state = replace(
        agent.state,
        reports=replace(HEALTHY, in_sync=1),
        unconfirmed=("docs-7",),
        drill_seconds=DRILL_SECONDS - 1,
    )
    agent.step()
    assert agent.record.drill is not None
    agent.state = replace(agent.state, drill_seconds=DRILL_SECONDS)
    agent.run_until_idle()
    done = result(agent)
    assert (done.outcome, done.unconfirmed, done.effect_ms) == ("NotConfirmed", ("docs-7",), None)
    assert "1 of 2 agent processes confirmed the routing within 60 s (not: docs-7)" in done.message


def test_a_new_leader_and_a_write_that_came_between_end_it_without_a_result() -> None:
    agent = begun()
    agent.state = replace(agent.state, drill_write_ms=None)
    agent.run_until_idle()
    assert result(agent).outcome == "Interrupted"
    agent = begun()
    assert agent.state.file is not None
    agent.edit_file(objects.FILE_TEXT)
    agent.run_until_idle()
    assert (result(agent).outcome, agent.record.drill) == ("Interrupted", None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reports": replace(HEALTHY, expected=0)}, "no agent process has reported"),
        ({"file": None, "file_problem": "it is gone"}, "the agents' file cannot be read: it is gone"),
    ],
)
def test_it_is_refused_where_it_could_show_nothing(changes: dict[str, Any], said: str) -> None:
    agent = drilled(idle_agent())
    agent.state = replace(agent.state, **changes)
    agent.run_until_idle()
    assert result(agent).outcome == "Refused"
    assert said in result(agent).message
    assert "file" not in agent.written


def test_it_is_refused_while_a_rollout_is_active_and_during_a_watch() -> None:
    rollout = RolloutDriver(rollout_state()).run_until(at_weight(20))
    for of, said in ((rollout, "Rollout r1 is active"), (watched(), "is watched after its promotion")):
        agent = drilled(agent_driver_at(of, reports=HEALTHY))
        text = agent.state.file.text if agent.state.file else ""
        agent.run_until_idle()
        assert said in result(agent).message
        assert agent.state.file is not None
        assert agent.state.file.text == text


def test_a_rollout_waits_for_the_end_of_a_drill_and_goes_on() -> None:
    record = a_record(drill=Drill(id="monday", at="2025-12-10T08:59:59+00:00", base="1"))
    driver = RolloutDriver(rollout_state(record=record))
    driver.step()
    assert (driver.phase, driver.reason) == ("Pending", "WaitingForDrill")
    assert driver.written == ["status WaitingForDrill"]
    driver.state = replace(driver.state, record=a_record())
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_an_undo_does_not_wait_for_a_drill_which_then_has_no_result() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent = drilled(agent_driver_at(driver, reports=HEALTHY))
    agent.step()
    assert agent.record.drill is not None
    undo = Undo(by="field:x", to="v1.0.0", at="2025-12-10T09:10:00+00:00", name="field:x")
    agent.state = replace(
        agent.state, record=agent.record.with_(undo=undo), record_is_ours=True, drill_write_ms=30
    )
    agent.run_until_idle()
    assert agent.record.stable.version == "v1.0.0"
    ended = agent.record
    assert (result(agent).outcome, ended.undo) == ("Interrupted", None)
    assert not ended.drill


def test_a_rollout_after_a_drill_runs_over_its_block() -> None:
    agent = begun()
    agent.state = replace(agent.state, drill_effect_ms=210)
    agent.run_until_idle()
    assert agent.state.file is not None
    driver = RolloutDriver(rollout_state(record=agent.record, file=agent.state.file)).run_until(has_ended)
    assert driver.phase == "Succeeded"


def test_the_real_reconciler_times_the_write_from_its_decision() -> None:
    """The explorer's operator carries a drill out, on a clock that only the test moves."""
    run = Run(Scenario(events=frozenset({"drill"}), event_count=1))
    for _ in range(400):
        move = next_usual_move(run)
        if move is None:
            break
        run.play(move)
    assert run.play("drill rollback")
    for _ in range(100):
        if RECORD_NAME in run.server.objects and run.record().last_drill is not None:
            break
        run.play(next_usual_move(run) or "tick")
    done = run.record().last_drill
    assert done is not None
    assert (done.outcome, done.agents) == ("Confirmed", 2)
    assert done.write_ms is not None
    assert done.write_ms < 60_000
