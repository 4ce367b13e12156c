"""Suspended runs, and the deadline of a run with several attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.retried_runs import (
    failure_report,
    plan_after_end,
    run_between_attempts,
    run_with_job,
)
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
from tests.unit.training.submitted_runs import LINEAGE, PUBLISHED_MODEL, report

from modelops.domain.facts import Outage
from modelops.ports import Job, Json


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


@pytest.mark.parametrize(
    ("failure", "ended", "outcome"),
    [
        ("never_stops", job("ERROR", running_seconds=800, exit_code=44), "ModelDoesNotStop"),
        ("never_stops", job("CANCELED", running_seconds=800), "ModelDoesNotStop"),
        ("bad_data", job("ERROR", running_seconds=60), "BadData"),
        ("failed", job("ERROR", running_seconds=60, exit_code=1), "JobFailed"),
    ],
)
def test_a_known_end_is_not_paid_for_again_after_a_suspension(failure: str, ended: Job, outcome: str) -> None:
    latched = run_with_job(suspend=True, status={"ending": "Suspending"})
    plan = plan_after_end(latched, ended=ended, report=failure_report(failure))
    assert step_names(plan) == ["record"]
    assert next(iter(written_record(plan).completed.values())).outcome == outcome


def test_what_a_job_measured_before_its_suspension_is_used() -> None:
    latched = run_with_job(suspend=True, status={"ending": "Suspending"})
    slow = failure_report("too_slow", metrics={"seconds_left": 600.0})
    status = written_status(plan_after_end(latched, ended=job("ERROR", running_seconds=60), report=slow))
    assert (status.attempts[0].reason, status.attempts[0].remaining_seconds) == ("TooSlow", 600)
    later = written_status(plan_for(run(status.wire(), suspend=True)))
    assert (later.phase, later.active_since) == ("Suspended", None)


@pytest.mark.parametrize(
    ("ended", "failure"),
    [
        (job("CANCELED", running_seconds=60), "failed"),
        (job("ERROR", running_seconds=60, exit_code=143), "failed"),
        (job("ERROR", running_seconds=60), "already_claimed"),
    ],
)
def test_a_failure_that_comes_of_being_stopped_is_a_suspension(ended: Job, failure: str) -> None:
    latched = run_with_job(suspend=True, status={"ending": "Suspending"})
    plan = plan_after_end(latched, ended=ended, report=failure_report(failure))
    assert written_status(plan).attempts[0].reason == "Suspended"


def test_the_log_of_a_suspended_job_is_waited_for_unless_it_was_stopped() -> None:
    latched = run_with_job(suspend=True, status={"ending": "Suspending"})
    late = Outage(service="hf", message="the log does not show the end yet", retry_after=5.0)
    waits = plan_after_end(latched, ended=job("ERROR", running_seconds=60), report=late)  # type: ignore[arg-type]
    assert (written_status(waits).reason, written_status(waits).attempts) == ("Verifying", ())
    stopped = plan_after_end(latched, ended=job("CANCELED", running_seconds=60), report=late)  # type: ignore[arg-type]
    assert written_status(stopped).attempts[0].reason == "Suspended"


def test_a_model_that_was_published_before_the_suspension_is_kept() -> None:
    latched = run_with_job(suspend=True, status={"ending": "Suspending"})
    plan = plan_after_end(
        latched,
        ended=job("CANCELED", running_seconds=60),
        report=report(kind="done"),
        result=PUBLISHED_MODEL,
        lineage=LINEAGE,
    )
    assert next(iter(written_record(plan).completed.values())).outcome == "Trained"


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
