"""Suspended runs, and the deadline of a run with several attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.retried_runs import plan_after_end, run_between_attempts, run_with_job
from tests.unit.training.states import (
    CLOSED_CLAIM,
    KEY,
    KNOWN_FACTS,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    written_record,
    written_status,
)

from modelops.ports import Json


def test_a_suspended_run_stops_its_job_and_continues_with_another() -> None:
    of = run_with_job(suspend=True)
    latch = plan_for(of, job=job())
    assert (step_names(latch), written_status(latch).ending) == (["status"], "Suspending")
    latched = run(written_status(latch).wire(), suspend=True)
    assert "cancel job1" in step_names(plan_for(latched, job=job()))
    ended = plan_after_end(latched, ended=job("CANCELED", running_seconds=60))
    assert step_names(ended) == ["record", "status"]
    status = written_status(ended)
    assert (status.phase, status.reason, status.active_since, status.ending) == (
        "Suspended",
        "Suspended",
        None,
        "",
    )
    later, record = run_between_attempts(ended, latched)
    assert plan_for(later, **KNOWN_FACTS, record=record).empty
    resumed, _ = run_between_attempts(ended, latched, suspend=False)
    again = plan_for(resumed, **KNOWN_FACTS, record=record, now=NOW + timedelta(days=30))
    assert written_status(again).job.attempt == 2
    assert written_status(again).active_since == NOW + timedelta(days=30)


def test_a_suspension_counts_even_if_spec_suspend_changes_while_the_job_is_stopped() -> None:
    latched = run_with_job(status={"ending": "Suspending"})
    ended = plan_after_end(latched, ended=job("CANCELED", running_seconds=60))
    assert written_status(ended).attempts[0].reason == "Suspended"


def test_a_suspension_is_not_a_retry() -> None:
    past = [{"attempt": n, "reason": "Suspended"} for n in (1, 2, 3)]
    assert written_status(plan_after_end(run_with_job(status={"attempts": past}))).reason == "Retrying"


def test_a_run_suspended_from_the_start_prepares_nothing() -> None:
    plan = plan_for(run(suspend=True))
    assert (step_names(plan), written_status(plan).phase) == (["status"], "Suspended")
    assert "set it to false" in ready_message(plan)


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": {"deletionTimestamp": "2025-12-09T21:55:00Z"}}])
def test_a_run_between_two_attempts_is_ended_through_the_record(how: Json) -> None:
    of = run_with_job()
    plan = plan_after_end(of)
    ended = plan_for(run(written_status(plan).wire(), **how), record=written_record(plan))
    assert step_names(ended) == ["record"]
    (done,) = written_record(ended).completed.values()
    assert done.outcome == "Cancelled"
    assert list(written_record(ended).settlements) == [KEY]


def test_the_deadline_counts_from_the_first_submission() -> None:
    began = (NOW - timedelta(hours=3)).isoformat()
    of = run_with_job(status={"activeSince": began}, activeDeadlineSeconds=7200)
    assert written_status(plan_for(of)).ending == "DeadlineExceeded"
    ended = plan_after_end(
        run(written_status(plan_for(of)).wire(), activeDeadlineSeconds=7200),
        ended=job("CANCELED"),
        attempt_claim=CLOSED_CLAIM,
    )
    assert next(iter(written_record(ended).completed.values())).outcome == "DeadlineExceeded"


def test_a_suspended_run_has_no_deadline() -> None:
    latched = run_with_job(status={"ending": "Suspending"}, activeDeadlineSeconds=7200)
    later, record = run_between_attempts(
        plan_after_end(latched, ended=job("CANCELED")), latched, suspend=True
    )
    assert plan_for(later, **KNOWN_FACTS, record=record, now=NOW + timedelta(days=9)).empty
