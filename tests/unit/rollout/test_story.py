"""What `modelops explain` tells of a rollout, from the history that its status keeps beside each transition."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.unit.rollout import sessions
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    at_weight,
    has_ended,
    is_watching,
    rollout_state,
)

from modelops.api.v1alpha1.history import HISTORY_LENGTH, RolloutTransition
from modelops.api.v1alpha1.rollout import RollbackTimes, Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.rollout.state import CanaryMeasurements
from modelops.domain.status_history import appended
from modelops.tools.results import StoryLine
from modelops.tools.story import story_of, story_of_rollout

FAILING = replace(
    HEALTHY, sessions=sessions.reported(sessions.counts(40, failed=30), sessions.counts(2000, failed=4))
)


def story(driver: RolloutDriver) -> list[StoryLine]:
    state = driver.state
    return list(story_of_rollout(state.rollout, agent=state.agent_model, record=state.record, now=state.now))


def told(driver: RolloutDriver) -> list[str]:
    return [line.what for line in story(driver)]


def aborted() -> RolloutDriver:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    driver.pass_time(60)
    driver.state = replace(
        driver.state,
        reports=FAILING,
        measurements=CanaryMeasurements(first_bad_age_ms=900, newest_report_age_ms=50, write_ms=40),
    )
    return driver.run_until(has_ended)


def test_a_promotion_is_told_from_the_plan_to_what_it_cost() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    assert told(driver) == [
        "created",
        "endpoint starts",
        "evaluation",
        "evaluated",
        "agents test the canary",
        "20 %",
        "pause",
        "100 %",
        "promotion",
        "promoted",
        "cost",
    ]
    lines = {line.what: line for line in story(driver)}
    assert "up to $" in lines["endpoint starts"].text
    assert "; it answered after " in lines["endpoint starts"].text
    assert lines["evaluated"].text == (
        "pass: stable 61 %, candidate 74 % of 60 examples; difference 13.3 points (interval 2.1 to 24.0), margin 5"
    )
    assert (lines["pause"].weight, lines["pause"].seconds) == (20, 11)


def test_an_abort_is_told_with_the_numbers_that_decided_it_and_the_seconds_of_the_return() -> None:
    driver = aborted()
    lines = {line.what: line for line in story(driver)}
    pause, abort = lines["pause"], lines["abort"]
    assert (pause.weight, pause.sessions, pause.failed_sessions, pause.seconds) == (20, 40, 30, 60)
    assert float(pause.evidence) >= 100
    assert abort.text.startswith("ErrorRateBreached: worse: 30 of 40 canary sessions began with an error")
    assert abort.bad
    assert lines["aborted"].bad
    assert lines["rollback took"].text == (
        "0.85 s to detect, 0.05 s to decide, 0.04 s to write, not every agent has confirmed it"
    )


def test_why_it_waited_and_for_how_long_is_told_when_the_status_has_forgotten_it() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    driver.pass_time(20)
    driver.state = replace(driver.state, reports=replace(HEALTHY, in_sync=1))
    driver.step()
    assert driver.reason == "WaitingForAgents"
    driver.pass_time(90)
    driver.state = replace(driver.state, reports=HEALTHY)
    driver.run_until(has_ended)
    waits = [line for line in story(driver) if line.what == "waits"]
    assert [(line.reason, line.seconds) for line in waits] == [("WaitingForAgents", 90)]
    assert "1 of 2 agent processes have confirmed" in waits[0].text


def test_the_history_has_no_write_of_its_own_and_an_unchanged_wait_no_entry() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    driver.pass_time(20)
    driver.state = replace(driver.state, reports=replace(HEALTHY, in_sync=1))
    driver.step()
    length, writes = len(driver.state.rollout.status.history), len(driver.written)
    for _ in range(5):
        driver.pass_time(30)
        driver.step()
    assert (len(driver.state.rollout.status.history), len(driver.written)) == (length, writes)


def test_a_status_with_a_history_is_what_the_api_server_gives_back() -> None:
    rollout = aborted().state.rollout
    stored = Rollout.model_validate(
        {**rollout.model_dump(mode="json", by_alias=True), "status": rollout.status.wire()}
    )
    assert stored.status.history == rollout.status.history
    assert all(len(entry.message) <= 256 for entry in stored.status.history)


def test_a_long_history_keeps_its_beginning_and_its_end_and_counts_the_rest() -> None:
    begin = rollout_state().now
    history: tuple[RolloutTransition, ...] = ()
    for number in range(100):
        entry = RolloutTransition(number=1, at=begin + timedelta(seconds=number), reason=f"R{number}")
        history = appended(history, entry)
    assert len(history) == HISTORY_LENGTH
    assert [entry.number for entry in history] == [*range(1, 13), *range(81, 101)]
    assert sum(1 + entry.folded for entry in history) == 100
    assert history[11].folded == 68
    assert {entry.reason: entry.number for entry in history}["R99"] == 100


def test_a_rollout_of_an_older_operator_is_told_from_its_conditions() -> None:
    driver = aborted()
    status = driver.state.rollout.status.model_copy(
        update={"history": (), "rollback": RollbackTimes(write_milliseconds=40, effect_milliseconds=90)}
    )
    driver.state = replace(driver.state, rollout=driver.state.rollout.model_copy(update={"status": status}))
    lines = story(driver)
    assert [line.what for line in lines[:2]] == ["created", "started"]
    ended = next(line for line in lines if line.what == "aborted")
    assert ended.text.startswith("ErrorRateBreached: worse: 30 of 40")
    assert any(line.text == "0.04 s to write, 0.09 s until in effect" for line in lines)


def test_a_training_run_is_told_from_its_transitions_and_attempts() -> None:
    run = TrainingRun.model_validate(
        {
            "kind": "TrainingRun",
            "metadata": {"name": "t", "creationTimestamp": "2025-12-09T09:00:00Z"},
            "spec": {"agentModelRef": {"name": "docs"}, "maxUSD": "5"},
            "status": {
                "phase": "Succeeded",
                "finishedAt": "2025-12-09T10:00:00Z",
                "costUSD": "1.25",
                "attempts": [
                    {
                        "attempt": 1,
                        "reason": "OutOfMemory",
                        "costUSD": "0.25",
                        "finishedAt": "2025-12-09T09:20:00Z",
                    }
                ],
                "history": [
                    {"number": 1, "at": "2025-12-09T09:01:00Z", "phase": "Running", "reason": "JobRunning"},
                    {"number": 2, "at": "2025-12-09T10:00:00Z", "phase": "Succeeded", "reason": "Trained"},
                ],
            },
        }
    )
    lines = story_of(run, agent=None, record=None, now=rollout_state().now)
    assert [line.what for line in lines] == ["created", "running", "attempt 1 ended", "succeeded", "cost"]
    assert lines[1].seconds == 59 * 60
    assert lines[-1].text == "$1.25 of at most $5"
