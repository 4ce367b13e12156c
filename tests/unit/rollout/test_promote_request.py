"""What a person opens with `spec.promote`, and what goes before it. Protocol, "Steps, promote, approvals"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby, permutations, product
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import (
    HEALTHY,
    RolloutDriver,
    at_weight,
    has_ended,
    is_armed,
    rollout_state,
)
from tests.unit.rollout.test_rollout_canary import BROKEN, ILL, settled
from tests.unit.rollout.test_rollout_planned_cost import reserved
from tests.unit.rollout.test_rollout_review import approve, driver_of, is_offered

from modelops.api.v1alpha1.rollout import Analysis
from modelops.api.v1alpha1.step_requests import PromoteRequest
from modelops.domain.analysis import Judgement
from modelops.domain.plan import WriteFile, WriteStatus
from modelops.domain.rollout.analysis import judge_of
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.promote_request import promotion_is_next
from modelops.domain.rollout.state import CanaryMeasurements, State
from modelops.ports import TrackCounters

OPEN = objects.canary({"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100})
DAY = 86400


def waits_for_promotion(state: State) -> bool:
    return state.rollout.status.reason == "WaitingForPromotion"


def driver_in_open_pause(**spec: Any) -> RolloutDriver:
    item = objects.rollout(**{"strategy": OPEN, **spec})
    return RolloutDriver(rollout_state(item)).run_until(waits_for_promotion)


def promote(driver: RolloutDriver, **request: Any) -> None:
    driver.edit_spec(promote=PromoteRequest(**request))


def weights(driver: RolloutDriver) -> list[int]:
    """The weights that were written, in order; a renewal of `canary_until` is no new one."""
    written = [int(one.rsplit(" ", 1)[1]) for one in driver.written if one.startswith("file Progressing")]
    return [one for one, _ in groupby(written)]


# --- a pause without a duration


def test_an_open_pause_waits_for_a_person_and_its_canary_does_not_expire() -> None:
    """Quorum 5: `canary_until` is renewed all the time, so it never ends a pause that somebody watches."""
    driver = driver_in_open_pause(progressDeadlineSeconds=5 * DAY)
    for _ in range(100):
        driver.pass_time(900)
        driver.step()
    assert (driver.phase, driver.reason) == ("Progressing", "WaitingForPromotion")
    assert set(weights(driver)) == {0, 20}
    assert "`modelops promote r1 -n team`" in driver.message
    assert driver.state.rollout.status.weight == 20


def test_an_open_pause_says_until_when_and_its_numbers_are_written_every_ten_minutes() -> None:
    driver = driver_in_open_pause()
    assert "UTC all sessions go back to stable" in driver.message
    before = len([one for one in driver.written if one.startswith("status")])
    for seconds in (100, 200, 601):
        driver.state = replace(driver.state, measurements=CanaryMeasurements(healthy_seconds=seconds))
        driver.step()
    assert "UTC all sessions go back to stable" in driver.message
    assert len([one for one in driver.written if one.startswith("status")]) - before == 1
    analysis = driver.state.rollout.status.analysis
    assert analysis is not None
    assert (analysis.verdict, analysis.healthy_seconds >= 601) == ("Healthy", True)


def test_an_open_pause_is_paid_until_the_deadline_and_then_sessions_go_back() -> None:
    driver = driver_in_open_pause(progressDeadlineSeconds=7 * 3600)
    assert reserved(driver).seconds == 7 * 3600
    assert reserved(driver).usd_micro == 7_000_000
    driver.pass_time(7 * 3600)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")


def test_a_limit_that_does_not_pay_for_an_open_pause_names_the_deadline_as_the_remedy() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=OPEN, maxUSD="10")))
    driver.run_until(has_ended)
    assert driver.reason == "OverMaxUSD"
    assert "lower spec.progressDeadlineSeconds" in driver.message


def test_a_breach_in_an_open_pause_aborts_flagger_1801() -> None:
    """Flagger #1801: the threshold was breached while a confirmation was waited for, and nothing went back."""
    driver = driver_in_open_pause()
    driver.state = replace(driver.state, reports=BROKEN)
    assert driver.run_until(has_ended).reason == "ErrorRateBreached"


# --- opening


def test_through_step_opens_the_pauses_up_to_it_and_no_other() -> None:
    driver = driver_in_open_pause()
    promote(driver, through_step=2)
    driver.run_until(lambda state: at_weight(50)(state) and waits_for_promotion(state))
    for _ in range(20):
        driver.pass_time(60)
        driver.step()
    assert weights(driver) == [0, 20, 50]
    promote(driver, through_step=4)
    assert driver.run_until(has_ended).phase == "Succeeded"
    assert weights(driver) == [0, 20, 50, 100]


def test_a_timed_pause_that_is_opened_ends_early() -> None:
    steps = objects.canary({"setWeight": 20}, {"pause": {"durationSeconds": DAY}}, {"setWeight": 100})
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=steps))).run_until(at_weight(20))
    driver.run_until(lambda state: state.rollout.status.step == 2)
    promote(driver, through_step=2)
    driver.step()
    assert at_weight(100)(driver.state)


def test_pauses_that_are_opened_beforehand_are_passed_without_a_write() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=OPEN, promote={"throughStep": 4})))
    driver.run_until(has_ended)
    assert weights(driver) == [0, 20, 50, 100]
    assert "status WaitingForPromotion" not in driver.written


def test_full_leaves_out_the_weights_that_are_left() -> None:
    driver = driver_in_open_pause()
    promote(driver, full=True)
    assert promotion_is_next(driver.state)
    driver.step()
    assert driver.run_until(has_ended).phase == "Succeeded"
    assert weights(driver) == [0, 20]


def test_full_before_any_weight_goes_by_the_first_weight() -> None:
    """No session has been on the canary at weight 0."""
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=OPEN, promote={"full": True})))
    driver.run_until(is_armed)
    assert not promotion_is_next(driver.state)
    assert driver.run_until(has_ended).phase == "Succeeded"
    assert weights(driver) == [0, 20]


# --- what a promotion does not go over

HELD = {
    "agents that have not confirmed": (replace(HEALTHY, in_sync=1), "WaitingForAgents"),
    "a canary that one of many does not reach": (
        replace(HEALTHY, expected=20, heard=20, in_sync=20, canary_reachable=19, canary_unreachable=1),
        "CanaryUnreachable",
    ),
    "both tracks are ill": (ILL, "BothTracksIll"),
    "no reports": (None, "WaitingForAgents"),
}


@pytest.mark.parametrize("request_", [{"through_step": 4}, {"full": True}])
@pytest.mark.parametrize("case", HELD)
def test_a_promotion_waits_for(case: str, request_: dict[str, Any]) -> None:
    reports, reason = HELD[case]
    driver = driver_in_open_pause()
    both = replace(judge_of(Analysis()).judge(ILL.sessions, weight=0.2), judgement=Judgement.BOTH_ILL)
    driver.state = replace(driver.state, reports=reports, evidence=both if reports is ILL else None)
    promote(driver, **request_)
    for _ in range(10):
        driver.pass_time(60)
        driver.step()
    assert (driver.reason, weights(driver)) == (reason, [0, 20])
    driver.state = replace(driver.state, reports=HEALTHY, evidence=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_breach_that_arrives_with_a_promotion_wins() -> None:
    """Steps 1: with the promotion first, a breached canary would be promoted."""
    driver = driver_in_open_pause()
    promote(driver, full=True)
    driver.state = replace(driver.state, reports=BROKEN)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "ErrorRateBreached")
    assert weights(driver) == [0, 20]


@pytest.mark.parametrize("request_", [{"through_step": 3}, {"full": True}])
def test_a_promotion_does_not_replace_the_approval_after_an_inconclusive_evaluation_argo_3850(
    request_: dict[str, Any],
) -> None:
    """Argo Rollouts #3850: what was inconclusive was promoted."""
    driver = driver_of().run_until(is_offered)
    approve(driver)
    promote(driver, **request_)
    driver.run_until(at_weight(20), max_steps=60).run_until(is_offered, max_steps=60)
    for _ in range(10):
        driver.pass_time(600)
        driver.step()
    assert (driver.reason, weights(driver)) == ("NeedsApproval", [0, 20])
    approve(driver, "noor")
    driver.run_until(has_ended, max_steps=60)
    assert driver.phase == "Succeeded"
    assert weights(driver) == ([0, 20] if "full" in request_ else [0, 20, 100])


# --- two that arrive together, in every order

Event = Callable[[RolloutDriver], None]
EVENTS: dict[str, Event] = {
    "abort": lambda driver: driver.edit_spec(abort=True),
    "delete": lambda driver: driver.delete_rollout(),
    "breach": lambda driver: setattr(driver, "state", replace(driver.state, reports=BROKEN)),
    "pause": lambda driver: driver.edit_spec(paused=True),
    "promote": lambda driver: promote(driver, through_step=5),
    "full": lambda driver: promote(driver, full=True),
}
ENDS = {"abort": "AbortedByUser", "delete": "Deleted", "breach": "ErrorRateBreached"}
TOGETHER = [
    order
    for first, second in product(("abort", "delete", "breach", "pause"), ("promote", "full"))
    for order in permutations((first, second))
]


@pytest.mark.parametrize("order", TOGETHER, ids=" then ".join)
def test_an_abort_wins_over_a_promotion_that_arrives_with_it_argo_4461(order: tuple[str, str]) -> None:
    """Argo Rollouts #4461: an abort after `promote --full` was ignored. The table is in designs/002."""
    driver = driver_in_open_pause()
    for event in order:
        EVENTS[event](driver)
    other = next(event for event in order if event not in ("promote", "full"))
    if other == "pause":
        for _ in range(10):
            driver.pass_time(60)
            driver.step()
        assert (driver.reason, weights(driver)) == ("Paused", [0, 20])
        driver.edit_spec(paused=False)
        assert driver.run_until(has_ended).phase == "Succeeded"
        return
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", ENDS[other])
    assert weights(driver) == [0, 20]
    assert driver.state.require_record().stable.version == "v1.0.0"


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("event", ["abort", "delete", "breach"])
def test_after_promote_full_an_abort_wins_until_the_commit_argo_4461(event: str, missing: int) -> None:
    """`missing`: how many of the promotion's three writes were lost. After the commit the abort says that it is too late."""
    driver = driver_in_open_pause()
    promote(driver, full=True)
    driver.step(without=missing)
    assert driver.state.rollout.status.promoting
    EVENTS[event](driver)
    driver.run_until(has_ended)
    if missing == 0:
        assert driver.phase == "Succeeded"
        assert driver.reason == ("Promoted" if event == "breach" else "AbortTooLate")
        return
    assert (driver.phase, driver.reason) == ("Aborted", ENDS[event])
    assert driver.state.require_file().entry.stable.version == "v1.0.0"  # type: ignore[union-attr]


def test_sessions_do_not_return_to_an_aborted_canary_argo_1838() -> None:
    """Argo Rollouts #1838: sessions were kept on the canary after the abort. A promote after it brings nothing back."""
    driver = driver_in_open_pause()
    EVENTS["abort"](driver)
    driver.run_until(has_ended)
    promote(driver, full=True)
    before = list(driver.written)
    for _ in range(5):
        driver.pass_time(60)
        driver.step()
    assert driver.written == before
    assert driver.state.block is not None
    assert (driver.state.block.weight, driver.state.block.rollout.state) == (0, "Aborted")


# --- an intent that is written is not asked for again


@pytest.mark.parametrize("request_", [{"through_step": 2}, {"full": True}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_new_leader_finishes_what_was_decided_whatever_promote_says_now(
    request_: dict[str, Any], missing: int
) -> None:
    """Steps 2: it was judged when the intent was decided. Else the claim would be held for ever."""
    driver = driver_in_open_pause()
    promote(driver, **request_)
    plan = driver.plan()
    missing = min(missing, len([step for step in plan.steps if not isinstance(step, WriteStatus)]) - 1)
    driver.step(without=missing)
    driver.edit_spec(promote=None)  # The API server refuses this; an old copy of the cache may still say so.
    driver.state = replace(driver.state, rebase=None)
    plan = driver.plan()
    assert any(isinstance(step, WriteFile) for step in plan.steps) or "full" in request_
    if "full" in request_:
        assert driver.run_until(has_ended).phase == "Succeeded"
    else:
        assert driver.run_until(at_weight(50)).phase == "Progressing"


def test_promote_is_not_looked_at_before_the_evaluation_has_passed() -> None:
    item = objects.rollout(strategy=OPEN, promote={"full": True})
    driver = RolloutDriver(rollout_state(item))
    driver.facts["evaluation"] = objects_failed()
    driver.run_until(has_ended)
    assert (driver.phase, weights(driver)) == ("Rejected", [])


def objects_failed() -> Any:
    from modelops.ports import ProgramState

    return ProgramState(result={**objects.EVALUATION_PASSED, "verdict": "fail", "recommendation": "reject"})


# --- an analysis step

ANALYSIS = objects.canary(
    {"setWeight": 20}, {"analysis": {"excludePoints": "10", "timeoutSeconds": 3600}}, {"setWeight": 100}
)


def driver_in_analysis(strategy: Any = ANALYSIS) -> RolloutDriver:
    driver = RolloutDriver(rollout_state(objects.rollout(strategy=strategy))).run_until(at_weight(20))
    driver.state = replace(driver.state, reports=replace(HEALTHY, sessions=settled(31)), evidence=None)
    return driver.run_until(lambda state: state.rollout.status.step == 2)


def pass_timeout(driver: RolloutDriver) -> None:
    for _ in range(11):
        driver.pass_time(400)
        driver.step()


def test_an_analysis_ends_as_soon_as_it_has_shown_what_is_asked() -> None:
    driver = driver_in_analysis()
    assert "not 10 points worse" in driver.message
    for _ in range(5):
        driver.pass_time(60)
        driver.step()
    assert (driver.reason, weights(driver)) == ("WaitingForSamples", [0, 20])
    driver.state = replace(driver.state, reports=replace(HEALTHY, sessions=settled(60)), evidence=None)
    driver.step()
    assert at_weight(100)(driver.state)


def test_an_analysis_that_shows_nothing_asks_a_person_after_its_timeout() -> None:
    driver = driver_in_analysis()
    pass_timeout(driver)
    assert driver.reason == "WaitingForPromotion"
    assert "not shown within the 3600 s" in driver.message
    assert "modelops promote r1" in driver.message
    promote(driver, through_step=2)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_an_analysis_that_shows_it_late_goes_on_by_itself() -> None:
    driver = driver_in_analysis()
    pass_timeout(driver)
    driver.state = replace(driver.state, reports=replace(HEALTHY, sessions=settled(60)), evidence=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_an_analysis_is_paid_until_the_deadline_because_it_may_ask_a_person() -> None:
    assert reserved(driver_in_analysis()).seconds == 172800


def test_an_analysis_without_a_question_waits_until_the_canary_is_healthy() -> None:
    driver = driver_in_analysis(objects.canary({"setWeight": 20}, {"analysis": {}}, {"setWeight": 100}))
    assert "shown to be healthy" in driver.message
    driver.state = replace(
        driver.state, reports=replace(HEALTHY, canary=TrackCounters(requests=9)), evidence=None
    )
    for _ in range(5):
        driver.pass_time(60)
        driver.step()
    assert (driver.reason, weights(driver)) == ("WaitingForSamples", [0, 20])
    driver.state = replace(driver.state, reports=HEALTHY, evidence=None)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_an_unchanged_wait_writes_nothing() -> None:
    driver = driver_in_open_pause()
    driver.step()
    assert not [s for s in decide(driver.state).steps if isinstance(s, WriteStatus | WriteFile)]


def test_a_retry_after_an_abort_is_not_stuck_argo_3120() -> None:
    """Argo Rollouts #3120: a retry hung at a weight. A new Rollout begins at weight 0, whatever the old one has left."""
    old = driver_in_open_pause()
    promote(old, through_step=2)
    old.run_until(at_weight(50))
    EVENTS["abort"](old)
    old.run_until(has_ended)
    item = objects.rollout("r2", candidate=objects.rollout("r1")["spec"]["candidate"], strategy=OPEN)
    new = RolloutDriver(rollout_state(item, record=old.state.record, file=old.state.file, now=old.state.now))
    new.run_until(waits_for_promotion)
    assert weights(new) == [0, 20]
    promote(new, full=True)
    assert new.run_until(has_ended).phase == "Succeeded"
