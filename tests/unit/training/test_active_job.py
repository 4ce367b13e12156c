"""A submitted job: its progress, outages of its service, and the claim that says which job counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.states import (
    CLOSED_CLAIM,
    claimed_by,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_status,
    written_status,
)
from tests.unit.training.submitted_runs import OUTAGE, WITH_JOB, report

from modelops.api.v1alpha1.trainingrun import TrainingRun


def test_the_status_says_that_a_job_waits_for_hardware() -> None:
    assert step_names(plan_for(WITH_JOB, job=job("SCHEDULING"))) == ["status"]  # observed for the first time
    assert "waits for hardware" in ready_message(plan_for(WITH_JOB, job=job("SCHEDULING")))


def test_progress_comes_from_the_job_and_never_decreases() -> None:
    started = NOW - timedelta(minutes=10)
    running = job("RUNNING", started_at=started)
    first = written_status(
        plan_for(WITH_JOB, job=running, report=report(step=50, max_steps=100, metrics={"loss": 0.42}))
    )
    assert (first.phase, first.progress.percent, first.progress.loss) == ("Running", 50, "0.4200")
    assert first.progress.eta_minutes == 10
    older = plan_for(run(first.wire()), job=running, report=report(step=20, max_steps=100))
    assert older.empty


@pytest.mark.parametrize(
    ("warning_reason", "shown"),
    [("HubSilent", "HubUnavailable"), ("HubRefused", "HubRefused"), ("", "HubRefused")],
)
def test_an_outage_that_a_job_warns_of_is_not_shown_as_a_refusal(warning_reason: str, shown: str) -> None:
    warned = report(warning="the checkpoint at step 10 is not on the Hub: 503", warning_reason=warning_reason)
    plan = plan_for(WITH_JOB, job=job("RUNNING"), report=warned)
    assert (written_status(plan).reason, written_status(plan).phase) == (shown, "Running")
    assert ready_message(plan) == "job job1 goes on, but the checkpoint at step 10 is not on the Hub: 503"


def test_a_restart_without_a_report_writes_nothing() -> None:
    first = written_status(plan_for(WITH_JOB, job=job("RUNNING"), report=report(step=5, max_steps=10)))
    for fact in (None, OUTAGE):
        assert plan_for(
            run(first.wire()), job=job("RUNNING"), report=fact, now=NOW + timedelta(hours=1)
        ).empty


def test_an_outage_of_the_jobs_list_changes_nothing() -> None:
    assert plan_for(WITH_JOB, job=OUTAGE).empty


@pytest.mark.parametrize(
    "must_end",
    [
        run(submitted_status(id="job1"), cancel=True),
        run(submitted_status(id="job1"), meta={"deletionTimestamp": "2025-12-09T21:55:00Z"}),
        run(submitted_status(id="job1", ending="DeadlineExceeded")),
        run(submitted_status(id="job1", ending="Suspending"), suspend=True),
    ],
    ids=["cancel", "delete", "deadline", "suspension"],
)
def test_a_job_that_must_end_is_cancelled_by_its_id_while_the_list_cannot_be_read(
    must_end: TrainingRun,
) -> None:
    plan = plan_for(must_end, job=OUTAGE)
    assert step_names(plan)[-1] == "cancel job1"
    assert (ready_message(plan), plan.requeue_after) == ("stopping job job1", 9.0)
    refused = replace(OUTAGE, refused=True, token_refused=True)
    plan = plan_for(must_end, job=refused)
    assert step_names(plan) == ["status", "cancel job1"]
    assert written_status(plan).reason == "TokenRefused"
    assert ready_message(plan).startswith("job job1 is to be stopped, and its progress is not known")


def test_a_job_that_may_have_started_is_not_replaced_while_the_list_cannot_be_read() -> None:
    assert plan_for(run(submitted_status(id="job1", ending="StuckInScheduling")), job=OUTAGE).empty


def test_no_job_is_cancelled_before_one_has_claimed_the_attempt() -> None:
    both = (job("RUNNING"), job("SCHEDULING", id="job2"))
    of = run(submitted_status(id="job1", submissions=2))
    plan = plan_for(of, job=job("SCHEDULING"), attempt_claim=None, labelled=both)
    assert not [name for name in step_names(plan) if name.startswith("cancel")]


def test_a_claim_by_another_job_records_that_job() -> None:
    of = run(submitted_status(id="job1", submissions=2))
    assert (
        written_status(plan_for(of, job=job("SCHEDULING"), attempt_claim=claimed_by("job2"))).job.id == "job2"
    )
    assert (
        written_status(plan_for(WITH_JOB, job=job("ERROR"), attempt_claim=claimed_by("job2"))).job.id
        == "job2"
    )


def test_exit_75_of_a_job_without_the_claim_ends_nothing() -> None:
    claimed = report(kind="error", failure="already_claimed")
    plan = plan_for(WITH_JOB, job=job("ERROR"), attempt_claim=claimed_by("job2"), report=claimed)
    assert step_names(plan) == ["status"]
    assert written_status(plan).finished_at is None


def test_an_attempt_without_a_claim_is_closed_before_it_is_settled() -> None:
    assert plan_for(WITH_JOB, job=job("ERROR")).needs == "attempt_claim"
    assert step_names(plan_for(WITH_JOB, job=job("ERROR"), attempt_claim=None)) == ["close"]
    assert plan_for(WITH_JOB, job=job("ERROR"), attempt_claim=CLOSED_CLAIM).needs == "labelled"


def test_duplicates_are_cancelled_once_the_attempt_is_closed_or_claimed() -> None:
    both = (job("ERROR"), job("SCHEDULING", id="job2"))
    assert step_names(plan_for(WITH_JOB, job=job("ERROR"), attempt_claim=CLOSED_CLAIM, labelled=both)) == [
        "cancel job2"
    ]
    assert step_names(
        plan_for(WITH_JOB, job=job("COMPLETED"), attempt_claim=claimed_by(), labelled=both)
    ) == ["cancel job2"]


@pytest.mark.parametrize("fact", ["attempt_claim", "labelled"])
def test_an_outage_at_the_end_is_reported_and_nothing_is_settled(fact: str) -> None:
    plan = plan_for(WITH_JOB, **{"job": job("ERROR"), "attempt_claim": CLOSED_CLAIM, fact: OUTAGE})
    assert step_names(plan) == ["status"]
    assert written_status(plan).reason == "HubUnavailable"
