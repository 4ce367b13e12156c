"""The end of an attempt: a verified model or a failure, and the settlement of its cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.states import (
    CLOSED_CLAIM,
    KEY,
    claimed_by,
    job,
    plan_for,
    ready_message,
    run,
    state,
    step_names,
    submitted_status,
    written_record,
    written_status,
)
from tests.unit.training.submitted_runs import (
    COMPLETED_FACTS,
    LINEAGE,
    OUTAGE,
    PUBLISHED_MODEL,
    WITH_JOB,
    report,
)

from modelops.domain.facts import Outage


def test_a_verified_model_is_settled_and_registered_in_one_write() -> None:
    plan = plan_for(WITH_JOB, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE)
    record = written_record(plan)
    assert step_names(plan) == ["record"]
    assert record.settlements[KEY].usd_micro == 50_000  # two started minutes at 1.50 $/h
    assert KEY not in record.reservations
    entry = record.entry("v1.1.0-rc.1")
    assert entry is not None
    assert (entry.deployment_status, entry.training_dataset) == ("trained", "ls://docs-examples")
    assert entry.lineage["revision"] == "r" * 40


def test_the_status_follows_the_record_after_a_crash_between_the_writes() -> None:
    record = written_record(plan_for(WITH_JOB, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE))
    plan = plan_for(WITH_JOB, record=record)
    assert step_names(plan) == ["status"]
    status = written_status(plan)
    assert (status.phase, status.reason, status.cost_usd) == ("Succeeded", "Trained", "0.05")
    assert (status.model.version, status.model.revision) == ("v1.1.0-rc.1", "r" * 40)


def test_a_completed_job_without_weights_fails_after_the_settle_period() -> None:
    missing = {**COMPLETED_FACTS, "result": PUBLISHED_MODEL, "lineage": None}
    fresh = {**missing, "job": job("COMPLETED", finished_at=NOW - timedelta(seconds=10))}
    assert written_status(plan_for(WITH_JOB, **fresh)).reason == "Verifying"
    old = {**missing, "job": job("COMPLETED", finished_at=NOW - timedelta(seconds=46))}
    plan = plan_for(WITH_JOB, **old)
    assert written_record(plan).completed[state(WITH_JOB).identity].outcome == "WeightsMissing"


def test_weights_of_another_run_are_not_accepted() -> None:
    plan = plan_for(WITH_JOB, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage={"run": "somebody-else"})
    assert written_record(plan).completed[state(WITH_JOB).identity].outcome == "WeightsMissing"


@pytest.mark.parametrize("fact", ["result", "lineage"])
def test_a_model_is_not_given_up_during_an_outage_of_the_hub(fact: str) -> None:
    plan = plan_for(
        WITH_JOB, **{**COMPLETED_FACTS, "result": PUBLISHED_MODEL, "lineage": LINEAGE, fact: OUTAGE}
    )
    assert (step_names(plan), written_status(plan).reason) == (["status"], "HubUnavailable")


def test_an_unreadable_model_is_waited_for_until_the_deadline() -> None:
    no = Outage(service="hf", message="answered 403", refused=True)
    assert step_names(plan_for(WITH_JOB, **COMPLETED_FACTS, result=no)) == ["status"]
    late = run(submitted_status(id="job1", ending="DeadlineExceeded"))
    assert step_names(plan_for(late, **COMPLETED_FACTS, result=no)) == ["record"]


def test_a_repository_that_the_token_may_not_see_is_waited_for_until_the_deadline() -> None:
    """It holds the attempt claim, so it exists: the Hub's 403 or 404 says nothing about the model."""
    plan = plan_for(WITH_JOB, **COMPLETED_FACTS, result=None, lineage=None)
    assert (step_names(plan), written_status(plan).reason) == (["status"], "TokenRefused")
    assert "give the token read access" in ready_message(plan)
    late = run(submitted_status(id="job1", ending="DeadlineExceeded"))
    assert step_names(plan_for(late, **COMPLETED_FACTS, result=None, lineage=None)) == ["record"]


FAILURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "out of memory": (
        {"report": report(kind="error", failure="out_of_memory")},
        "OutOfMemory",
        "choose a larger spec.backend.huggingFace.flavor, or a smaller spec.config.maxSeqLength, in a new run",
    ),
    "bad data": ({"report": report(kind="error", failure="bad_data", error="E: row 7")}, "BadData", "row 7"),
    "timeout": ({"job": job("ERROR", running_seconds=900)}, "TimedOut", "900 s"),
    "its own words": (
        {"report": report(kind="error", failure="failed", error="E: boom")},
        "JobFailed",
        "boom",
    ),
    "the service's words": ({"job": job("ERROR", message="node lost")}, "JobLost", "node lost"),
    "a timeout in the service's words": (
        {"job": job("CANCELED", running_seconds=12, message="Job timed out")},
        "TimedOut",
        "900 s",
    ),
    "stopped at its timeout": ({"job": job("CANCELED", running_seconds=872)}, "TimedOut", "900 s"),
    "stopped at its timeout, by its times": (
        {"job": job("ERROR", started_at=NOW - timedelta(seconds=899), finished_at=NOW)},
        "TimedOut",
        "900 s",
    ),
    "killed without a word": (
        {"job": job("ERROR", message="Job failed with exit code: 137", exit_code=137)},
        "JobKilled",
        "the memory of the machine (not of the GPU) was exhausted",
    ),
    "killed with a word": (
        {"job": job("ERROR", message="node lost, exit code: 137", exit_code=137)},
        "JobLost",
        "node lost",
    ),
    "its exit code alone": (
        {"job": job("ERROR", message="Job failed with exit code: 44", exit_code=44)},
        "ModelDoesNotStop",
        "does not end its answers",
    ),
    "forgotten": ({"job": None, "labelled": ()}, "JobLost", "the service no longer knows job job1"),
    "killed for memory": (
        {"job": job("ERROR", message="exit code: 137, OOMKilled")},
        "OutOfMemory",
        "choose a larger spec.backend.huggingFace.flavor, or a smaller spec.config.maxSeqLength, in a new run",
    ),
    "broken hardware": (
        {"report": report(kind="error", failure="failed", error="RuntimeError: uncorrectable ECC error")},
        "JobLost",
        "broken hardware",
    ),
    "the Hub was away": (
        {"report": report(kind="error", failure="failed", error="HubSilent: no usable answer")},
        "HubUnavailable",
        "no answer from the Hub",
    ),
    "the Hub refused": (
        {
            "report": report(
                kind="error", failure="failed", error="HubRefused: the Hub answered 403", checkpoint=8
            )
        },
        "HubRefused",
        "private storage is left",
    ),
    "no room on its disk": ({"job": job("ERROR", message="no room left")}, "JobLost", "no room left"),
    "stopped by somebody": (
        {"job": job("CANCELED")},
        "JobStopped",
        "not by the operator; find out who stopped it",
    ),
    "never stops": (
        {"report": report(kind="error", failure="never_stops", error="ModelDoesNotStop: prompt 3")},
        "ModelDoesNotStop",
        "prompt 3",
    ),
}

RUN_WITHOUT_RETRIES = run(submitted_status(id="job1"), backoffLimit=0)


@pytest.mark.parametrize(("changes", "outcome", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failed_job_ends_the_run_with_its_reason(changes: dict[str, Any], outcome: str, words: str) -> None:
    facts = {"job": job("ERROR"), "attempt_claim": CLOSED_CLAIM, "labelled": (), "report": None}
    done = written_record(plan_for(RUN_WITHOUT_RETRIES, **{**facts, **changes})).completed[
        state(RUN_WITHOUT_RETRIES).identity
    ]
    assert done.outcome == outcome
    assert words in done.message


@pytest.mark.parametrize("stage", ["ERROR", "CANCELED"])
def test_an_end_is_not_judged_before_its_report_was_read(stage: str) -> None:
    facts = {"job": job(stage, running_seconds=60), "attempt_claim": claimed_by(), "labelled": ()}
    plan = plan_for(WITH_JOB, **facts, report=OUTAGE)
    assert step_names(plan) == ["status"]
    assert written_status(plan).reason == "Verifying"
    assert f"job job1 ended as {stage}; the end of its log is read" in ready_message(plan)
    cancelled = run(submitted_status(id="job1"), cancel=True)
    assert written_record(plan_for(cancelled, **facts, report=OUTAGE)).completed  # its cause is known


def test_the_claiming_job_that_is_listed_as_running_is_waited_for_although_its_id_is_not_known() -> None:
    both = (job("RUNNING"), job("RUNNING", id="job2"))
    facts = {"job": None, "attempt_claim": claimed_by(), "labelled": both, "report": None}
    assert step_names(plan_for(WITH_JOB, **facts)) == ["cancel job2"]
    cancelled = run(submitted_status(id="job1"), cancel=True)
    assert step_names(plan_for(cancelled, **facts)) == ["cancel job1", "cancel job2"]
    closed = {**facts, "attempt_claim": CLOSED_CLAIM}
    assert step_names(plan_for(WITH_JOB, **closed)) == ["cancel job1", "cancel job2"]


def test_a_forgotten_job_is_settled_at_its_whole_reservation() -> None:
    plan = plan_for(WITH_JOB, job=None, attempt_claim=CLOSED_CLAIM, labelled=(), report=None)
    assert written_record(plan).settlements[KEY].usd_micro == 375_000


def test_every_job_of_the_attempt_is_settled() -> None:
    jobs = (job("ERROR", running_seconds=60), job("ERROR", id="job2", running_seconds=1))
    plan = plan_for(WITH_JOB, job=jobs[0], attempt_claim=CLOSED_CLAIM, labelled=jobs, report=None)
    assert written_record(plan).settlements[KEY].usd_micro == 50_000
    assert written_record(plan).settlements[KEY].jobs == ("job1", "job2")


@pytest.mark.parametrize(
    ("known", "booked"),
    [
        ({}, 0),  # It never started.
        ({"started_at": NOW}, 375_000),
        ({"started_at": NOW, "running_seconds": 60}, 25_000),
        ({"started_at": NOW, "finished_at": NOW + timedelta(seconds=60)}, 25_000),
        ({"started_at": NOW, "finished_at": NOW}, 0),
    ],
)
def test_a_job_whose_time_the_service_does_not_say_is_settled_at_its_reservation(
    known: dict[str, Any], booked: int
) -> None:
    ended = job("ERROR", **known)
    plan = plan_for(WITH_JOB, job=ended, attempt_claim=CLOSED_CLAIM, labelled=(ended,), report=None)
    assert written_record(plan).settlements[KEY].usd_micro == booked
