"""The watch after a promotion: a breach goes back by itself, and other rollouts wait meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at, with_deletion
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import HEALTHY, RolloutDriver, has_ended, parsed, rollout_state
from tests.unit.rollout.test_undo import undo_after

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentsfile import StableTarget, with_stable
from modelops.domain.plan import Announce, WriteRecord
from modelops.ports import AgentReports, SessionReports, SessionTrack

WATCHED = {**objects.canary(), "postPromotion": {"durationSeconds": 3600}}


BEFORE = (1000, 3, 4, 1, 0, 0, 0)
"""Sessions of v1.0.0 and their errors; its latencies are of no use later."""
STABLE = SessionTrack(folded=(900, 2, 3, 1, 800, 40, 8), live=((6, (100, 1, 1, 0, 100, 5, 1)),))


def watched() -> RolloutDriver:
    """v1.1.0 was promoted and is watched for an hour; v1.0.0 had 1,000 sessions before."""
    found = replace(HEALTHY, sessions=SessionReports(stable=STABLE))
    state = rollout_state(objects.rollout(strategy=WATCHED), reports=found)
    return RolloutDriver(state).run_until(has_ended)


def reports(sessions: int, errors: int, *, of: str = "v1.1.0 org/candidate-of-r1") -> AgentReports:
    """What agents have counted of the promoted version, which is their stable track now."""
    counts = (sessions, errors, errors, errors, 0, 0, 0)
    return replace(
        HEALTHY, sessions=SessionReports(stable_model=of, stable=SessionTrack(live=((7, counts),)))
    )


def agent_of(rollout: RolloutDriver, found: AgentReports) -> AgentModelDriver:
    return agent_driver_at(rollout, reports=found)


def test_the_commit_of_a_promotion_begins_the_watch_with_all_that_it_needs() -> None:
    record = watched().state.record
    assert record is not None
    assert record.watch is not None
    assert (record.watch.version, record.watch.back) == ("v1.1.0", "v1.0.0")
    assert record.watch.before == BEFORE
    assert record.watch.limits["maxErrorPoints"] == "2"


def run_until_only_the_commit_is_missing(rollout: RolloutDriver) -> None:
    for _ in range(40):
        steps = rollout.plan().steps
        if any(isinstance(step, WriteRecord) and step.purpose.startswith("commit") for step in steps):
            rollout.step(without=1)
            return
        if rollout.step().requeue_after != 0:
            rollout.pass_time(11)
    raise AssertionError(rollout.written)


def test_a_commit_that_is_repeated_takes_no_session_of_the_promoted_version_for_one_before() -> None:
    """Agents follow the file within a second: where the record's write had a conflict, they report v1.1.0 already."""
    found = replace(HEALTHY, sessions=SessionReports(stable=STABLE))
    rollout = RolloutDriver(rollout_state(objects.rollout(strategy=WATCHED), reports=found))
    run_until_only_the_commit_is_missing(rollout)
    assert rollout.state.block is not None
    assert rollout.state.block.rollout.state == "Promoted"
    rollout.state = replace(rollout.state, reports=reports(20, 0))
    record = rollout.run_until(has_ended).state.record
    assert record is not None
    assert record.watch is not None
    # As the last judgement left them in the status: 4 of 1,000 sessions had an error.
    assert record.watch.before == (1000, 4, 4, 4, 0, 0, 0)


def test_sessions_of_the_version_before_are_not_taken_for_the_promoted_one() -> None:
    """Before agents confirm the promotion they report what was stable before, here a version that fails often."""
    agent = agent_of(watched(), reports(400, 300, of="v1.0.0 org/base")).run_until_idle()
    assert agent.record.stable.version == "v1.1.0"
    assert agent.record.undo is None


def test_an_absolute_limit_needs_no_session_of_the_version_before() -> None:
    limits = {**objects.rollout()["spec"].get("analysis", {}), "maxErrorPercent": "5"}
    rollout = RolloutDriver(rollout_state(objects.rollout(strategy=WATCHED, analysis=limits)))
    agent = agent_of(rollout.run_until(has_ended), reports(60, 60)).run_until_idle()
    assert agent.record.stable.version == "v1.0.0"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (reports(0, 0), "no agent process reported a session of it, so its health is not known"),
        (
            reports(1200, 3),
            "3 of 1,200 sessions had an error, which does not show that it is worse than v1.0.0",
        ),
    ],
)
def test_the_end_of_a_watch_says_what_was_seen(found: AgentReports, said: str) -> None:
    agent = agent_of(watched(), found)
    agent.pass_time(3601)
    plan = agent.step()
    assert any(isinstance(step, Announce) and step.message.endswith(said) for step in plan.steps)


def test_a_promotion_that_asks_for_no_watch_begins_none() -> None:
    record = RolloutDriver(rollout_state()).run_until(has_ended).state.record
    assert record is not None
    assert record.watch is None


def test_a_breach_goes_back_by_itself_although_the_rollout_is_gone() -> None:
    agent = agent_of(watched(), reports(40, 40))
    agent.state = replace(agent.state, rollouts={})
    agent.run_until_idle()
    assert agent.record.stable.version == "v1.0.0"
    assert list(agent.record.undone) == ["v1.1.0"]
    assert (agent.record.watch, agent.record.undo) == (None, None)
    assert {"ErrorRateBreached", "WentBack"} <= set(agent.announced)
    assert agent.state.file is not None
    assert agent.state.file.entry.routing is not None
    assert (agent.state.file.entry.routing.rollout.uid, agent.state.file.entry.routing.rollout.undo) == (
        "watch",
        "v1.0.0",
    )


@pytest.mark.parametrize(("sessions", "errors"), [(4000, 12), (0, 0), (2, 2)])
def test_a_healthy_or_silent_version_stays_and_the_watch_ends_with_its_time(
    sessions: int, errors: int
) -> None:
    agent = agent_of(watched(), reports(sessions, errors)).run_until_idle()
    assert agent.record.watch is not None
    agent.pass_time(3601)
    agent.run_until_idle()
    assert (agent.record.watch, agent.record.stable.version) == (None, "v1.1.0")


def test_other_rollouts_wait_for_the_watch_and_an_undo_does_not() -> None:
    promoted = watched()
    later = promoted.state.now + timedelta(seconds=5)
    other = RolloutDriver(
        rollout_state(
            objects.rollout("r2", created=later),
            record=promoted.state.record,
            file=promoted.state.file,
            now=later,
        )
    ).run_until_idle()
    assert (other.phase, other.reason) == ("Pending", "WatchingPromotion")
    undo = undo_after(promoted).run_until(has_ended)
    assert undo.phase == "Succeeded"
    assert undo.state.record is not None
    assert undo.state.record.watch is None


def test_another_stable_model_in_the_file_ends_the_watch_and_a_breach_does_not_overwrite_it() -> None:
    agent = agent_of(watched(), reports(40, 40))
    assert agent.state.file is not None
    text = with_stable(
        agent.state.file.text, objects.AGENT, StableTarget(model="org/by-hand", version="v7.0.0")
    )
    agent.edit_file(text)
    agent.run_until_idle()
    assert agent.record.watch is None
    assert agent.state.file.entry.stable is not None
    assert agent.state.file.entry.stable.model == "org/by-hand"


def test_a_person_who_edits_between_the_breach_and_its_write_is_not_overwritten() -> None:
    agent = agent_of(watched(), reports(40, 40))
    agent.step()
    assert agent.record.undo is not None
    assert agent.state.file is not None
    agent.edit_file(with_stable(agent.state.file.text, objects.AGENT, StableTarget(model="org/by-hand")))
    agent.run_until_idle()
    assert (agent.record.undo, agent.record.watch) == (None, None)
    assert agent.state.file.entry.stable is not None
    assert agent.state.file.entry.stable.model == "org/by-hand"


def test_the_deletion_of_the_agent_model_ends_the_watch() -> None:
    agent = agent_of(watched(), reports(40, 40))
    deleted = parsed(AgentModel, with_deletion(objects.agent_model()))
    agent.state = replace(agent.state, agent_model=deleted)
    agent.step()
    assert (agent.record.watch, agent.record.undo) == (None, None)
