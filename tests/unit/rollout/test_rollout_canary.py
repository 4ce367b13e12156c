"""Watching the canary: only healthy time counts, missing reports never promote, and any fault aborts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects, sessions
from tests.unit.rollout.explorer import with_lower_weight
from tests.unit.rollout.objects import AGENT
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    a_file,
    at_weight,
    has_ended,
    is_armed,
    is_watching,
    rollout_state,
)

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain import agentsfile
from modelops.domain.analysis import Judgement
from modelops.domain.plan import WriteFile, WriteRecord, WriteStatus
from modelops.domain.record import Record
from modelops.domain.rollout.actions import RolloutFact
from modelops.domain.rollout.analysis import judge_of, known_words
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.endpoint_cost import paid_seconds
from modelops.domain.rollout.state import CanaryMeasurements
from modelops.ports import AgentReports, SessionReports, SessionTrack, TrackCounters


def driver_at_twenty_percent() -> RolloutDriver:
    return RolloutDriver(rollout_state()).run_until(at_weight(20))


def driver_in_pause(**spec: Any) -> RolloutDriver:
    return RolloutDriver(rollout_state(objects.rollout(**spec))).run_until(is_watching)


def assert_back_on_stable(driver: RolloutDriver, *, reason: str, phase: str = "Aborted") -> None:
    """The rollout has ended and released the lock, the file has a tombstone, and the cost is settled."""
    record, file = driver.state.record, driver.state.file
    assert record is not None
    assert (driver.phase, driver.reason) == (phase, reason)
    assert record.active is None
    assert record.reservations == {}
    assert record.stable.version == "v1.0.0"
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert driver.state.rollout.status.weight == 0
    if file is not None and file.entry.routing is not None:
        assert file.entry.routing.rollout.state == "Aborted"


# --- waiting


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (None, "WaitingForAgents"),
        (AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0), "WaitingForAgents"),
        (replace(HEALTHY, in_sync=1), "WaitingForAgents"),
        (replace(HEALTHY, canary_reachable=1, canary_errors=("401 from the canary",)), "CanaryUnreachable"),
    ],
)
def test_no_weight_before_every_agent_reaches_the_canary(reports: AgentReports | None, reason: str) -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_armed)
    driver.state = replace(driver.state, reports=reports)
    driver.step()
    assert driver.reason == "Arming"
    driver.pass_time(16)
    driver.step()
    assert driver.reason == reason
    for _ in range(20):
        driver.pass_time(60)
        driver.step()
    assert driver.state.block is not None
    assert driver.state.block.weight == 0
    assert driver.written.count(f"status {reason}") == 1
    driver.state = replace(driver.state, reports=HEALTHY)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_the_message_of_an_unreachable_canary_has_the_agents_error() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_armed)
    driver.pass_time(20)
    driver.state = replace(
        driver.state, reports=replace(HEALTHY, canary_reachable=0, canary_errors=("401 from the canary",))
    )
    driver.step()
    assert "401 from the canary" in driver.message


def test_a_short_wait_for_agents_is_not_written() -> None:
    driver = driver_at_twenty_percent()
    driver.state = replace(driver.state, reports=replace(HEALTHY, in_sync=1))
    before = list(driver.written)
    driver.step()
    driver.pass_time(5)
    driver.step()
    assert driver.written == before


def test_a_pause_ends_only_after_its_healthy_seconds() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=9.0))
    driver.step()
    assert driver.state.block is not None
    assert driver.state.block.weight == 20
    driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=10.0))
    driver.step()
    assert at_weight(100)(driver.state)


def test_healthy_seconds_survive_a_restart() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=6.0))
    driver.step()
    assert driver.state.rollout.status.analysis is not None
    assert driver.state.rollout.status.analysis.healthy_seconds == 6
    driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=4.0))
    driver.step()
    assert driver.state.block is not None
    assert driver.state.block.weight == 100


def test_a_pause_lasts_until_there_are_enough_samples() -> None:
    driver = driver_in_pause(analysis={"minRequests": 50})
    driver.state = replace(driver.state, reports=replace(HEALTHY, canary=TrackCounters(requests=49)))
    for _ in range(30):
        driver.pass_time(60)
        driver.step()
    assert driver.reason == "WaitingForSamples"
    assert driver.written.count("status WaitingForSamples") == 1
    assert driver.state.block is not None
    assert driver.state.block.weight == 20
    driver.state = replace(driver.state, reports=HEALTHY)
    assert driver.run_until(has_ended).phase == "Succeeded"


OLD_ROUTER = replace(HEALTHY, sessions=replace(sessions.reported(sessions.counts(300)), without_sessions=1))


def test_an_older_router_is_named_at_once_and_not_only_when_the_pause_is_overdue() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, reports=OLD_ROUTER)
    driver.step()
    assert (driver.reason, driver.state.rollout.status.weight) == ("WaitingForSamples", 20)
    assert "update the package in the agents" in driver.message


def test_a_pause_that_waits_for_something_else_says_so() -> None:
    driver = driver_in_pause(analysis={"minRequests": 50})
    driver.state = replace(driver.state, reports=OLD_ROUTER)
    driver.step()
    driver.pass_time(60)
    for requests in (40, 44, 48):
        driver.state = replace(
            driver.state, reports=replace(HEALTHY, canary=TrackCounters(requests=requests))
        )
        driver.step()
        driver.pass_time(5)
    assert "40 of at least 50 canary requests" in driver.message
    assert driver.written.count("status WaitingForSamples") == 2


def test_a_session_that_began_just_now_is_no_evidence_of_health() -> None:
    live = sessions.reported(sessions.counts(12), sessions.counts(2000))
    found = replace(HEALTHY, sessions=live)
    limits = Analysis()
    assert known_words(found, judge_of(limits).judge(live, weight=0.2)).endswith("not shown to be worse")
    ended = replace(live, canary=SessionTrack(folded=sessions.counts(12)))
    assert "fewer than 24 in 100 fail" in known_words(found, judge_of(limits).judge(ended, weight=0.2))


def test_the_routing_is_renewed_while_it_waits_with_its_generation_kept() -> None:
    driver = driver_at_twenty_percent()
    driver.state = replace(driver.state, reports=replace(HEALTHY, in_sync=1))
    assert driver.state.block is not None
    before = driver.state.block
    driver.pass_time(601)
    plan = driver.step()
    assert isinstance(plan.steps[0], WriteFile)
    after = driver.state.block
    assert after is not None
    assert after.canary_until is not None
    assert before.canary_until is not None
    assert after.canary_until > before.canary_until
    assert replace(after, canary_until=before.canary_until) == before
    driver.state = replace(driver.state, reports=HEALTHY)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_canary_whose_expiry_somebody_removed_gets_one_again() -> None:
    driver = driver_at_twenty_percent()
    before, file = driver.state.block, driver.state.file
    assert before is not None
    assert file is not None
    text = agentsfile.with_routing(file.text, AGENT, replace(before, canary_until=None))
    driver.state = replace(driver.state, file=replace(file, text=text, entry=agentsfile.parse(text, AGENT)))
    assert driver.state.block is not None
    assert driver.state.block.canary_until is None
    plan = driver.step()
    assert isinstance(plan.steps[0], WriteFile)
    assert driver.state.block == before
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_spec_paused_stops_before_the_next_step_until_it_is_unset() -> None:
    driver = driver_in_pause()
    driver.edit_spec(paused=True)
    for _ in range(10):
        driver.pass_time(20)
        driver.step()
    assert driver.reason == "Paused"
    assert driver.state.block is not None
    assert driver.state.block.weight == 20
    driver.edit_spec(paused=False)
    assert driver.run_until(has_ended).phase == "Succeeded"


# --- aborting

BROKEN = replace(HEALTHY, canary=TrackCounters(requests=500, errors=60, p95_ms=80), sessions=sessions.FAILING)
SLOW = replace(HEALTHY, canary=TrackCounters(requests=500, errors=0, p95_ms=500), sessions=sessions.SLOW)


@pytest.mark.parametrize(("reports", "reason"), [(BROKEN, "ErrorRateBreached"), (SLOW, "LatencyBreached")])
@pytest.mark.parametrize("paused", [False, True])
def test_a_breach_aborts_in_one_plan(reports: AgentReports, reason: str, paused: bool) -> None:
    driver = driver_in_pause()
    driver.edit_spec(paused=paused)
    driver.state = replace(
        driver.state,
        reports=reports,
        measurements=CanaryMeasurements(first_bad_age_ms=900, newest_report_age_ms=50),
    )
    before = len(driver.written)
    driver.step()
    assert driver.written[before:] == ["status Aborting", "file Aborted 0", "record release"]
    times = driver.state.rollout.status.rollback
    assert times is not None
    assert (times.detect_milliseconds, times.decide_milliseconds) == (850, 50)
    driver.state = replace(driver.state, measurements=CanaryMeasurements(write_ms=40))
    assert_back_on_stable(driver.run_until(has_ended), reason=reason)
    assert driver.state.rollout.status.rollback is not None
    assert driver.state.rollout.status.rollback.write_milliseconds == 40


ILL = replace(
    HEALTHY, sessions=sessions.reported(sessions.counts(100, failed=60), sessions.counts(2000, failed=1200))
)


@pytest.mark.parametrize("steps", [[{"setWeight": 20}, {"setWeight": 100}], [{"setWeight": 100}]])
def test_a_rollout_holds_while_both_tracks_are_ill_and_goes_on_afterwards(steps: list[Any]) -> None:
    item = objects.rollout(strategy={"canary": {"steps": steps}})
    driver = RolloutDriver(rollout_state(item)).run_until(at_weight(steps[0]["setWeight"]))
    evidence = replace(judge_of(Analysis()).judge(ILL.sessions, weight=0.2), judgement=Judgement.BOTH_ILL)
    driver.state = replace(driver.state, reports=ILL, evidence=evidence)
    for _ in range(5):
        driver.pass_time(30)
        driver.step()
    assert driver.reason == "BothTracksIll"
    assert at_weight(steps[0]["setWeight"])(driver.state)
    driver.state = replace(driver.state, reports=HEALTHY, evidence=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_pause_waits_until_the_difference_that_was_asked_for_is_excluded() -> None:
    item = objects.rollout(analysis={"excludePoints": "10"})
    driver = RolloutDriver(rollout_state(item)).run_until(is_watching)
    few, enough = (replace(HEALTHY, sessions=settled(number)) for number in (31, 60))
    driver.state = replace(driver.state, reports=few, measurements=CanaryMeasurements(healthy_seconds=1e6))
    for _ in range(5):
        driver.pass_time(30)
        driver.step()
    assert driver.reason == "WaitingForSamples"
    assert "Whether it is 10 points worse" in driver.message
    driver.state = replace(driver.state, reports=enough)
    assert driver.run_until(has_ended).phase == "Succeeded"


def settled(number: int) -> SessionReports:
    found = sessions.reported(sessions.counts(0))
    return replace(found, canary=SessionTrack(folded=sessions.counts(number)))


def test_agents_whose_router_reports_no_sessions_are_named_with_the_remedy() -> None:
    driver = driver_in_pause()
    old = replace(HEALTHY, sessions=replace(HEALTHY.sessions, without_sessions=1))
    driver.state = replace(driver.state, reports=old, measurements=CanaryMeasurements(healthy_seconds=1e6))
    for _ in range(5):
        driver.pass_time(30)
        driver.step()
    assert driver.reason == "WaitingForSamples"
    assert "update the package in the agents" in driver.message


def test_the_time_until_the_last_agent_confirmed_is_added_later() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, reports=BROKEN)
    driver.run_until(has_ended)
    driver.state = replace(driver.state, reports=replace(BROKEN, in_sync=1))
    assert driver.step().requeue_after
    driver.state = replace(driver.state, reports=BROKEN, measurements=CanaryMeasurements(effect_ms=700))
    driver.step()
    assert driver.state.rollout.status.rollback is not None
    assert driver.state.rollout.status.rollback.effect_milliseconds == 700
    assert driver.step().steps == ()


def test_an_abort_needs_no_latch() -> None:
    driver = driver_at_twenty_percent()
    driver.edit_spec(abort=True)
    before = len(driver.written)
    driver.step()
    assert driver.written[before:] == ["file Aborted 0", "record release"]
    assert_back_on_stable(driver.run_until(has_ended), reason="AbortedByUser")


def test_a_deletion_aborts_before_the_finalizer_is_removed() -> None:
    driver = driver_at_twenty_percent()
    driver.delete_rollout()
    assert_back_on_stable(driver.run_until(has_ended), reason="Deleted")
    assert driver.written[-4:] == ["file Aborted 0", "record release", "status Deleted", "finalizers 0"]


def test_an_abort_before_the_agent_lock_is_on_record_too() -> None:
    driver = RolloutDriver(rollout_state())
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    assert driver.written == ["record release", "status AbortedByUser"]
    assert driver.state.record is not None
    assert driver.state.identity in driver.state.record.completed


def test_an_abort_while_evaluating_leaves_the_file_alone() -> None:
    driver = RolloutDriver(rollout_state()).run_until(
        lambda state: state.rollout.status.reason == "Evaluating"
    )
    driver.edit_spec(abort=True)
    assert_back_on_stable(driver.run_until(has_ended), reason="AbortedByUser")
    assert not [w for w in driver.written if w.startswith("file")]


def test_the_deadline_aborts() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, reports=None)
    driver.pass_time(172801)
    assert_back_on_stable(driver.run_until(has_ended), reason="DeadlineExceeded")


@pytest.mark.parametrize(("reported", "shown"), [(700, 700), (3, 500)])
def test_an_end_that_the_numbers_did_not_decide_still_has_the_newest_ones(reported: int, shown: int) -> None:
    """Agents fell silent after the last status, or the operator has just started and has not heard from all."""
    driver = driver_in_pause()
    canary = TrackCounters(requests=reported, errors=0, p95_ms=80)
    silent = replace(HEALTHY, expected=2, heard=0, in_sync=0, canary=canary)
    driver.state = replace(driver.state, reports=silent)
    driver.pass_time(172801)
    assert_back_on_stable(driver.run_until(has_ended), reason="DeadlineExceeded")
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    assert analysis.canary is not None
    assert analysis.canary.requests == shown


def test_an_endpoint_never_runs_longer_than_its_reservation_pays_for() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, reports=None)
    driver.pass_time(paid_seconds(driver.state) + 1)
    assert_back_on_stable(driver.run_until(has_ended), reason="DeadlineExceeded")


def driver_in_promotion(*, without: int) -> RolloutDriver:
    """A promotion without its last steps."""
    driver = RolloutDriver(rollout_state()).run_until(at_weight(100))
    driver.step(without=without)
    assert driver.state.rollout.status.promoting
    return driver


@pytest.mark.parametrize("without", [1, 2])
def test_an_abort_during_the_promotion_is_fenced_first(without: int) -> None:
    driver = driver_in_promotion(without=without)
    driver.edit_spec(abort=True)
    before = len(driver.written)
    assert_back_on_stable(driver.run_until(has_ended), reason="AbortedByUser")
    assert driver.written[before:][:3] == ["record fence", "file Aborted 0", "record release"]
    assert driver.state.file is not None
    assert driver.state.file.entry.stable is not None
    assert driver.state.file.entry.stable.model == "anthropic/claude-3.5-sonnet"


def test_an_abort_after_the_commit_is_too_late_and_says_so() -> None:
    driver = driver_in_promotion(without=0)
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Succeeded", "AbortTooLate")
    assert "candidate.version" in driver.message


EDITS: dict[str, Any] = {
    "routing removed": lambda text: agentsfile.with_routing(text, AGENT, None),
    "weight lowered": with_lower_weight,
    "weight raised": lambda text: text.replace("weight: 20", "weight: 90"),
    "an old copy": lambda text: objects.FILE_TEXT,
    "stable edited": lambda text: text.replace("    model: anth", "    model: elsewhere/anth", 1),
    "another canary": lambda text: text.replace("org/candidate-of-r1", "org/another"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_any_foreign_edit_of_the_routing_aborts(edit: str) -> None:
    driver = driver_at_twenty_percent()
    assert driver.state.file is not None
    changed = EDITS[edit](driver.state.file.text)
    assert changed != driver.state.file.text
    driver.edit_file(changed)
    before = len(driver.written)
    driver.run_until(has_ended)
    assert driver.reason == "RoutingMismatch"
    assert driver.phase == "Aborted"
    assert not [w for w in driver.written[before:] if w.startswith("file Prog")]
    assert driver.state.block is not None
    assert driver.state.block.rollout.state == "Aborted"
    if edit == "stable edited":
        assert driver.state.file.entry.stable is not None
        assert driver.state.file.entry.stable.model == "elsewhere/anthropic/claude-3.5-sonnet"


def test_a_mismatch_is_decided_on_a_live_read() -> None:
    driver = driver_at_twenty_percent()
    file_before = driver.state.file
    driver.edit_file(objects.FILE_TEXT)
    from modelops.domain.rollout.decide import decide

    assert decide(driver.state).needs == "file_is_live"
    driver.state = replace(driver.state, file=file_before)
    assert driver.run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize("latched", [False, True])
def test_an_abort_whose_write_is_refused_says_so_and_tries_again(latched: bool) -> None:
    driver = driver_at_twenty_percent()
    if latched:
        driver.state = replace(driver.state, reports=BROKEN)
        driver.step(without=2)
        driver.state = replace(driver.state, reports=HEALTHY)
    else:
        driver.edit_spec(abort=True)
    driver.state = replace(driver.state, file_refusal="webhook denied the request.")
    driver.step(without=2)
    conditions = {c.type: c for c in driver.state.rollout.status.conditions}
    assert driver.reason == "Aborting"
    assert "webhook denied the request. The operator tries again" in conditions["RoutingPropagated"].message
    assert conditions["RoutingPropagated"].status == "False"
    assert ("canary sessions began with an error" in driver.message) is latched
    assert [type(step) for step in driver.plan().steps] == [WriteFile, WriteRecord]
    assert driver.run_until(has_ended).reason == ("ErrorRateBreached" if latched else "AbortedByUser")


def test_an_unreadable_file_aborts_and_the_abort_waits_for_it() -> None:
    driver = driver_at_twenty_percent()
    file_before = driver.state.file
    driver.state = replace(
        driver.state, file=None, file_problem="ConfigMap agents, key agents.yaml: not YAML"
    )
    driver.step()
    assert driver.state.rollout.status.abort_reason == "ConfigNotUsable"
    for _ in range(5):
        driver.pass_time(2)
        driver.step()
    conditions = [c for c in driver.state.rollout.status.conditions if c.type == "RoutingPropagated"]
    assert "not YAML" in conditions[0].message
    assert driver.state.record is not None
    assert driver.state.record.active is not None
    driver.state = replace(driver.state, file=file_before, file_problem="")
    assert_back_on_stable(driver.run_until(has_ended), reason="ConfigNotUsable")
    assert driver.message == "ConfigMap agents, key agents.yaml: not YAML"


def test_a_deleted_file_does_not_block_the_abort() -> None:
    driver = driver_at_twenty_percent()
    driver.state = replace(
        driver.state, file=None, file_missing=True, file_problem="ConfigMap agents does not exist"
    )
    assert_back_on_stable(driver.run_until(has_ended), reason="ConfigNotUsable")


def test_a_deleted_agent_model_ends_the_canary_at_once() -> None:
    driver = driver_at_twenty_percent()
    driver.state = replace(driver.state, agent_model=None)
    assert_back_on_stable(driver.run_until(has_ended), reason="AgentModelNotFound")


def test_a_lost_agent_lock_ends_the_rollout_without_a_write_of_the_file() -> None:
    driver = driver_at_twenty_percent()
    assert driver.state.record is not None
    driver.state = replace(driver.state, record=driver.state.record.with_(active=None))
    before = len(driver.written)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "AgentLockLost")
    assert driver.written[before:] == ["record release", "status AgentLockLost", "finalizers 0"]


def test_a_fence_set_by_another_process_is_latched() -> None:
    driver = driver_at_twenty_percent()
    assert driver.state.record is not None
    assert driver.state.record.active is not None
    active = driver.state.record.active.model_copy(update={"aborting": True})
    driver.state = replace(driver.state, record=driver.state.record.with_(active=active))
    plan = driver.step()
    assert isinstance(plan.steps[0], WriteStatus)
    assert_back_on_stable(driver.run_until(has_ended), reason="AgentLockLost")


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_an_abort_without_the_record_still_removes_the_weight(how: str) -> None:
    driver = driver_at_twenty_percent()
    record: Record | None = driver.state.record
    driver.state = replace(driver.state, record=None)
    driver.edit_spec(abort=True) if how == "abort" else driver.delete_rollout()
    driver.step()
    assert driver.written[-1] == "file Aborted 0"
    driver.step()
    assert driver.phase == "Progressing"
    driver.state = replace(driver.state, record=record)
    assert_back_on_stable(
        driver.run_until(has_ended), reason="AbortedByUser" if how == "abort" else "Deleted"
    )


def test_a_deletion_without_agent_model_and_record_removes_the_finalizer() -> None:
    driver = RolloutDriver(replace(rollout_state(), agent_model=None, record=None))
    driver.delete_rollout()
    assert driver.run_until(has_ended).phase == "Aborted"


def test_the_latch_of_a_newer_operator_is_an_abort() -> None:
    driver = driver_at_twenty_percent()
    status = driver.state.rollout.status.model_copy(update={"abort_reason": "SomethingNew"})
    driver.state = replace(driver.state, rollout=driver.state.rollout.model_copy(update={"status": status}))
    assert driver.run_until(has_ended).phase == "Aborted"


def test_a_definite_conflict_repeats_the_intent_at_the_new_resource_version() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_armed)
    plan = driver.step(without=2 if len(driver.plan().steps) > 2 else 1)
    write = next(s for s in plan.steps if isinstance(s, WriteFile))
    assert driver.state.file is not None
    intended = driver.state.rollout.status.intent
    assert intended is not None
    driver.state = replace(
        driver.state,
        file=a_file(driver.state.file.text + "# a note\n", "77"),
        rebase=write.intended,
    )
    driver.step()
    again = driver.state.rollout.status.intent
    assert again is not None
    assert (again.generation, again.base_resource_version, again.writes) == (intended.generation, "77", 2)
    driver.state = replace(driver.state, rebase=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_conflict_over_a_changed_block_is_no_reason_to_repeat() -> None:
    driver = driver_at_twenty_percent()
    driver.pass_time(11)
    driver.run_until(is_watching)
    driver.pass_time(11)
    plan = driver.plan()
    write = next(s for s in plan.steps if isinstance(s, WriteFile))
    cut = len(plan.steps) - plan.steps.index(write)
    driver.step(without=cut)
    assert driver.state.file is not None
    driver.state = replace(
        driver.state, file=a_file(with_lower_weight(driver.state.file.text), "77"), rebase=write.intended
    )
    driver.run_until(has_ended)
    assert driver.reason == "RoutingMismatch"


# --- the canary's reachability above weight 0

UNREACHABLE = replace(HEALTHY, canary_reachable=0, canary_unreachable=2, canary_errors=("Timeout",))
MANY_GOOD = replace(UNREACHABLE, canary=TrackCounters(requests=10_040, errors=40, p95_ms=80))


@pytest.mark.parametrize("reports", [UNREACHABLE, MANY_GOOD, replace(UNREACHABLE, canary_unreachable=1)])
@pytest.mark.parametrize("paused", [False, True])
def test_a_canary_that_agents_cannot_reach_any_more_is_a_breach(reports: AgentReports, paused: bool) -> None:
    driver = driver_in_pause()
    driver.edit_spec(paused=paused)
    driver.state = replace(driver.state, reports=reports)
    before = len(driver.written)
    driver.step()
    assert driver.written[before:] == ["status Aborting", "file Aborted 0", "record release"]
    assert "2 agent processes cannot reach the canary any more (Timeout)" in driver.message
    assert_back_on_stable(driver.run_until(has_ended), reason="CanaryUnreachable")


def test_one_of_many_agents_that_cannot_reach_the_canary_stops_the_raise_but_does_not_abort() -> None:
    driver = driver_in_pause()
    many = replace(HEALTHY, expected=30, heard=30, in_sync=30, canary_reachable=29, canary_unreachable=1)
    driver.state = replace(driver.state, reports=many)
    for _ in range(30):
        driver.pass_time(60)
        driver.step()
    assert driver.reason == "CanaryUnreachable"
    assert driver.state.block is not None
    assert driver.state.block.weight == 20
    driver.state = replace(driver.state, reports=HEALTHY)
    assert driver.run_until(has_ended).phase == "Succeeded"


# --- a canary that no operator renewed in time


@pytest.mark.parametrize("weight", [20, 100])
@pytest.mark.parametrize("seconds", [1800, 3000])
def test_an_expired_canary_is_not_renewed_but_aborted(weight: int, seconds: int) -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(weight))
    before = len(driver.written)
    driver.pass_time(seconds)
    driver.step()
    assert driver.written[before:] == ["status Aborting", "file Aborted 0", "record release"]
    assert_back_on_stable(driver.run_until(has_ended), reason="CanaryExpired")


def test_an_expired_canary_is_judged_on_a_live_read_of_the_file() -> None:
    driver = driver_at_twenty_percent()
    driver.pass_time(1801)
    driver.state = replace(driver.state, measurements=CanaryMeasurements())
    assert decide(driver.state).needs is RolloutFact.FILE_IS_LIVE


def test_a_raise_that_is_on_record_is_not_written_over_an_expired_canary() -> None:
    driver = driver_in_pause()
    driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=10.0))
    driver.step(without=1)
    assert driver.state.rollout.status.intent is not None
    assert driver.state.rollout.status.intent.weight == 100
    driver.pass_time(1801)
    driver.step()
    assert_back_on_stable(driver.run_until(has_ended), reason="CanaryExpired")
    assert "file Progressing 100" not in driver.written


# --- a breach comes before an intent that is on record


@pytest.mark.parametrize("missing", [1, 2])
def test_a_breach_stops_a_promotion_that_is_on_record_and_not_committed(missing: int) -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(100))
    while not driver.state.rollout.status.promoting:
        driver.pass_time(11)
        plan = driver.plan()
        promotes = any(isinstance(s, WriteStatus) and s.status.promoting for s in plan.steps)
        driver.step(without=missing if promotes else 0)
    driver.state = replace(driver.state, reports=BROKEN)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "ErrorRateBreached")
    assert driver.state.record is not None
    assert driver.state.record.stable.version == "v1.0.0"
    assert driver.state.file is not None
    assert driver.state.file.entry.stable is not None
    assert driver.state.file.entry.stable.version == "v1.0.0"


def test_the_status_says_how_long_the_last_weight_took_to_reach_all_agents() -> None:
    driver = RolloutDriver(rollout_state()).run_until(lambda state: state.rollout.status.weight > 0)
    assert driver.state.rollout.status.propagation_seconds is None
    behind = replace(HEALTHY, in_sync=1)
    driver.state = replace(driver.state, reports=behind)
    driver.step()
    driver.pass_time(3)
    driver.state = replace(driver.state, reports=HEALTHY)
    writes = len([name for name in driver.written if name.startswith("status")])
    driver.run_until(is_watching)
    assert driver.state.rollout.status.propagation_seconds == 3
    assert len([name for name in driver.written if name.startswith("status")]) == writes + 1
    assert driver.run_until(has_ended).state.rollout.status.propagation_seconds == 3
