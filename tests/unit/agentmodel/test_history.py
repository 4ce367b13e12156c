"""The history of an AgentModel says which version served when, and what kept the agent from being ready."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at, agent_model_state
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, a_record, has_ended, rollout_state
from tests.unit.rollout.test_watch import reports, watched

from modelops.api.v1alpha1.agentmodel import UndoRequest
from modelops.tools.story import story_of


def told(agent: AgentModelDriver) -> list[tuple[str, str]]:
    return [(one.reason, one.version) for one in agent.state.agent_model.status.history]


def test_a_promotion_and_an_undo_are_told_with_the_version_that_was_left() -> None:
    agent = AgentModelDriver(agent_model_state(record=a_record(), reports=HEALTHY)).run_until_idle()
    assert told(agent) == [("VersionServes", "v1.0.0"), ("Reconciled", "v1.0.0")]
    promoted = RolloutDriver(rollout_state()).run_until(has_ended).state
    agent.state = replace(agent.state, record=promoted.record, file=promoted.file)
    agent.run_until_idle()
    undo = UndoRequest(to="v1.0.0", id="monday")
    spec = agent.state.agent_model.spec.model_copy(update={"undo": undo})
    agent.state = replace(
        agent.state,
        agent_model=agent.state.agent_model.model_copy(update={"spec": spec}),
        record_is_ours=True,
    )
    agent.run_until_idle()
    assert [one for one in told(agent) if one[0] in ("VersionServes", "WentBack")][1:] == [
        ("VersionServes", "v1.1.0"),
        ("WentBack", "v1.0.0"),
    ]
    went_back = next(one for one in agent.state.agent_model.status.history if one.reason == "WentBack")
    assert went_back.message.endswith("serves again: an undo left v1.1.0")


def test_a_breach_of_the_watch_is_told_once() -> None:
    agent = agent_driver_at(watched(), reports=HEALTHY).run_until_idle()
    agent.state = replace(agent.state, reports=reports(60, 60))
    agent.run_until_idle()
    assert [one for one, _ in told(agent)].count("WentBack") == 1


def test_drift_is_told_when_it_begins_and_ends_and_no_decision_adds_an_entry() -> None:
    agent = AgentModelDriver(agent_model_state(record=a_record(), reports=HEALTHY)).run_until_idle()
    agent.edit_file(objects.FILE_TEXT.replace("claude-3.5-sonnet", "other"))
    agent.run_until_idle()
    before = told(agent)
    assert before[-1][0] == "StableDrift"
    agent.pass_time(600)
    agent.run_until_idle()
    assert told(agent) == before
    agent.edit_file(objects.FILE_TEXT)
    agent.run_until_idle()
    assert told(agent)[-1] == ("Reconciled", "v1.0.0")
    story = story_of(agent.state.agent_model, agent=None, record=None, now=agent.state.now)
    assert any(line.bad and line.text.startswith("StableDrift: ") for line in story)
