"""A TrainingRun whose submission is on record: what becomes of it, without a second job or a leak."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training import observation
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.observation import (
    CLOSED_CLAIM,
    KEY,
    LABEL,
    agent_model,
    claimed_by,
    job,
    plan_for,
    ready_message,
    record_with_reservation,
    run,
    state,
    step_names,
    submitted_status,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Announce
from modelops.domain.record import Completed
from modelops.domain.training.state import Submission
from modelops.ports import ModelInfo

WITH_INTENT, WITH_JOB = run(submitted_status()), run(submitted_status(id="job1"))
DELETED = {"deletionTimestamp": "2025-12-09T21:55:00Z"}
OUTAGE = Outage(service="hf", message="answered 503", retry_after=9.0)
PUBLISHED_MODEL = ModelInfo(repo="appsmithery/x", revision="r" * 40)
LINEAGE = {"run": RUN_UID, "config": {"num_epochs": 3}}
COMPLETED_FACTS: dict[str, Any] = {
    "job": job("COMPLETED", running_seconds=61),
    "attempt_claim": claimed_by(),
    "labelled": (job("COMPLETED"),),
    "report": None,
}


def report(**changes: Any) -> JobReport:
    return JobReport(**{"kind": "log", "t": 1.0, "began_at": 0.0, **changes})


# The answer to the submission.


def test_the_accepted_job_is_recorded() -> None:
    plan = plan_for(WITH_INTENT, submission=Submission(job=job("SCHEDULING")))
    assert (written_status(plan).job.id, written_status(plan).phase) == ("job1", "Scheduling")


def test_an_unknown_answer_waits_before_jobs_are_listed_or_submitted() -> None:
    plan = plan_for(WITH_INTENT)
    assert written_status(plan).reason == "SubmissionUncertain"
    assert LABEL in ready_message(plan)
    assert not plan.needs


def test_after_the_settle_period_the_job_is_found_by_its_label() -> None:
    assert plan_for(WITH_INTENT, settle_period_passed=True).needs == "labelled"
    plan = plan_for(WITH_INTENT, settle_period_passed=True, labelled=(job("RUNNING", id="job7"),))
    assert written_status(plan).job.id == "job7"


def test_a_running_job_is_adopted_before_an_ended_one() -> None:
    plan = plan_for(
        WITH_INTENT, settle_period_passed=True, labelled=(job("ERROR", id="job1"), job("RUNNING", id="job2"))
    )
    assert written_status(plan).job.id == "job2"


def test_it_is_submitted_again_with_a_new_intent_only_if_no_job_is_listed() -> None:
    plan = plan_for(WITH_INTENT, settle_period_passed=True, labelled=())
    assert step_names(plan) == ["status", "submit"]
    assert written_status(plan).job.submissions == 2


def test_an_outage_of_the_list_submits_nothing() -> None:
    plan = plan_for(WITH_INTENT, settle_period_passed=True, labelled=OUTAGE)
    assert "503" in ready_message(plan)
    assert (step_names(plan), plan.requeue_after) == (["status"], 9.0)


def test_an_unavailable_service_is_asked_again_later() -> None:
    plan = plan_for(WITH_INTENT, submission=Submission(unavailable="answered 429", retry_after=7.0))
    assert "429" in ready_message(plan)
    assert (step_names(plan), plan.requeue_after) == (["status", "forget_submission"], 7.0)


def test_a_refused_submission_ends_the_run_without_asking_the_hub() -> None:
    refused = Submission(refused="answered 402: no credit")
    latched = written_status(plan_for(WITH_INTENT, submission=refused))
    assert latched.ending == "SubmissionRefused"
    for remembered in (refused, None):  # also after a restart
        plan = plan_for(run(latched.wire()), submission=remembered)
        assert step_names(plan) == ["record"]
        assert written_record(plan).settlements[KEY].usd_micro == 0
        assert KEY not in written_record(plan).reservations


def test_a_refused_second_submission_closes_the_attempt_first() -> None:
    of = run(submitted_status(submissions=2, ending="SubmissionRefused"))
    refused = Submission(refused="answered 402")
    assert plan_for(of, submission=refused).needs == "attempt_claim"
    assert step_names(plan_for(of, submission=refused, attempt_claim=None)) == ["close"]
    assert written_status(plan_for(of, submission=refused, attempt_claim=claimed_by("job3"))).job.id == "job3"
    assert step_names(plan_for(of, submission=refused, attempt_claim=CLOSED_CLAIM, labelled=())) == ["record"]


# The job's life.


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


def test_a_restart_without_a_report_writes_nothing() -> None:
    first = written_status(plan_for(WITH_JOB, job=job("RUNNING"), report=report(step=5, max_steps=10)))
    for fact in (None, OUTAGE):
        assert plan_for(
            run(first.wire()), job=job("RUNNING"), report=fact, now=NOW + timedelta(hours=1)
        ).empty


def test_an_outage_of_the_jobs_list_changes_nothing() -> None:
    assert plan_for(WITH_JOB, job=OUTAGE).empty


# Claims.


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


# The end.


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


def test_a_forgotten_job_is_settled_at_its_whole_reservation() -> None:
    plan = plan_for(WITH_JOB, job=None, attempt_claim=CLOSED_CLAIM, labelled=(), report=None)
    assert written_record(plan).settlements[KEY].usd_micro == 375_000


def test_every_job_of_the_attempt_is_settled() -> None:
    jobs = (job("ERROR", running_seconds=60), job("ERROR", id="job2", running_seconds=1))
    plan = plan_for(WITH_JOB, job=jobs[0], attempt_claim=CLOSED_CLAIM, labelled=jobs, report=None)
    assert written_record(plan).settlements[KEY].usd_micro == 50_000
    assert written_record(plan).settlements[KEY].jobs == ("job1", "job2")


# Cancel, deletion, deadline.

ENDINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cancel": ({"cancel": True}, {}),
    "deletion": ({"meta": DELETED}, {}),
    "deadline": ({"activeDeadlineSeconds": 60}, {"ending": "DeadlineExceeded"}),
}
ended = pytest.mark.parametrize(("how", "latch"), ENDINGS.values(), ids=ENDINGS.keys())


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_a_run_without_a_price_ends_in_the_record_too(how: dict[str, Any]) -> None:
    """A reservation may be under way, or have been written just before the status that names it was refused."""
    for record in (empty_record(), record_with_reservation()):
        plan = plan_for(run(**how), record=record)
        assert step_names(plan) == ["record"]
        assert KEY not in written_record(plan).reservations
        assert [done.outcome for done in written_record(plan).completed.values()] == ["Cancelled"]


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_without_a_record_a_cancelled_run_ends_in_the_status(how: dict[str, Any]) -> None:
    plan = plan_for(run(**how), record=None)
    assert step_names(plan) == ["stop_dataset", "status"]
    assert written_status(plan).phase == "Cancelled"


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_a_reservation_without_intent_is_released_through_the_record(how: dict[str, Any]) -> None:
    plan = plan_for(run(prepared_status(), **how), record=record_with_reservation())
    assert step_names(plan) == ["record"]
    assert KEY not in written_record(plan).reservations


@ended
def test_an_attempt_with_only_an_intent_is_closed_listed_and_settled(
    how: dict[str, Any], latch: dict[str, Any]
) -> None:
    of = run(submitted_status(**latch), **how)
    assert plan_for(of).needs == "attempt_claim"
    assert step_names(plan_for(of, attempt_claim=None)) == ["close"]
    assert plan_for(of, attempt_claim=CLOSED_CLAIM).empty
    assert plan_for(of, attempt_claim=CLOSED_CLAIM, settle_period_passed=True).needs == "labelled"
    running = (job("SCHEDULING", id="job4"),)
    assert step_names(
        plan_for(of, attempt_claim=CLOSED_CLAIM, settle_period_passed=True, labelled=running)
    ) == ["cancel job4"]
    assert step_names(plan_for(of, attempt_claim=CLOSED_CLAIM, settle_period_passed=True, labelled=())) == [
        "record"
    ]
    assert written_status(plan_for(of, attempt_claim=claimed_by("job5"))).job.id == "job5"


@ended
def test_a_running_job_is_cancelled_before_it_is_settled(how: dict[str, Any], latch: dict[str, Any]) -> None:
    of = run(submitted_status(id="job1", **latch), **how)
    plan = plan_for(of, job=job("RUNNING"))
    assert step_names(plan) == ["status", "cancel job1"]
    over = plan_for(
        of, job=job("CANCELED", running_seconds=30), attempt_claim=CLOSED_CLAIM, labelled=(), report=None
    )
    assert step_names(over) == ["record"]
    assert written_record(over).settlements[KEY].usd_micro == 25_000


@ended
def test_a_trained_model_is_kept_even_if_the_run_was_cancelled_meanwhile(
    how: dict[str, Any], latch: dict[str, Any]
) -> None:
    plan = plan_for(
        run(submitted_status(id="job1", **latch), **how),
        **COMPLETED_FACTS,
        result=PUBLISHED_MODEL,
        lineage=LINEAGE,
    )
    assert [entry.deployment_status for entry in written_record(plan).history] == ["trained"]


@pytest.mark.parametrize("status", [submitted_status(), submitted_status(id="job1")], ids=["intent", "job"])
def test_a_passed_deadline_is_written_before_the_job_is_stopped_and_stays(status: dict[str, Any]) -> None:
    late = run(status, activeDeadlineSeconds=60)
    plan = plan_for(late)
    assert (step_names(plan), written_status(plan).ending) == (["status"], "DeadlineExceeded")
    earlier = plan_for(
        run(written_status(plan).wire(), activeDeadlineSeconds=60), now=NOW - timedelta(days=1), job=job()
    )
    assert "cancel job1" in step_names(earlier) or earlier.needs == "attempt_claim"


def test_a_refusal_does_not_hide_the_deadline() -> None:
    of = run(submitted_status(id="job1", ending="SubmissionRefused"), activeDeadlineSeconds=60)
    assert written_status(plan_for(of)).ending == "DeadlineExceeded"


# Once only, and never a leak.


def test_a_run_re_created_with_the_same_name_and_spec_does_nothing() -> None:
    done = Completed(kind="TrainingRun", name="docs-1", uid="old", outcome="JobFailed", message="m")
    plan = plan_for(record=empty_record().with_(completed={state().identity: done}))
    assert step_names(plan) == ["status"]
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "AlreadyCompleted")
    assert "new metadata.name" in ready_message(plan)


def test_a_re_created_run_shows_the_model_of_the_first() -> None:
    record = written_record(plan_for(WITH_JOB, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE))
    done = record.completed[state(WITH_JOB).identity].model_copy(update={"uid": "old"})
    again = plan_for(record=record.with_(completed={state().identity: done}))
    assert (written_status(again).phase, written_status(again).model.version) == ("Succeeded", "v1.1.0-rc.1")
    assert written_status(again).cost_usd is None


def test_a_re_created_run_with_its_own_intent_is_followed_to_its_end() -> None:
    done = Completed(kind="TrainingRun", name="docs-1", uid="old", outcome="JobFailed")
    record = record_with_reservation().with_(completed={state(WITH_JOB).identity: done})
    assert plan_for(WITH_JOB, record=record).needs == "job"


def test_only_the_finalizer_of_an_ended_run_is_removed() -> None:
    assert step_names(plan_for(run({"phase": "Succeeded"}))) == ["finalizers"]
    assert plan_for(run({"phase": "Succeeded"}, meta={"finalizers": []})).empty


def test_a_job_is_followed_to_its_end_without_its_agent_model() -> None:
    assert plan_for(WITH_JOB, agent_model=None).needs == "job"
    assert step_names(
        plan_for(WITH_JOB, agent_model=None, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE)
    ) == ["record"]
    waits = plan_for(WITH_INTENT, agent_model=None, settle_period_passed=True, labelled=())
    assert (step_names(waits), written_status(waits).reason) == (["status"], "AgentModelNotFound")


@pytest.mark.parametrize("hindrance", [{"secret_problem": "Secret tokens is gone"}, {"record": None}])
def test_a_deletion_without_credentials_ends_after_an_hour_and_says_what_may_bill(
    hindrance: dict[str, Any],
) -> None:
    of = run(submitted_status(id="job1"), meta=DELETED)
    assert not [
        s for s in plan_for(of, **hindrance).steps if isinstance(s, Announce) and s.reason == "Leaked"
    ]
    plan = plan_for(of, **hindrance, now=NOW + timedelta(hours=1))
    assert isinstance(plan.steps[0], Announce)
    assert "LEAK: job job1" in plan.steps[0].message
    assert step_names(plan) == ["finalizers"]
    gone = run(submitted_status(id="job1"), meta={**DELETED, "finalizers": ["other/one"]})
    assert "LEAK" not in str(plan_for(gone, **hindrance, now=NOW + timedelta(hours=1)))


SECRET_IS_MISSING: dict[str, Any] = {"secret_problem": "Secret tokens is gone", "can_clean_up": True}


@pytest.mark.parametrize(
    "of",
    [
        run(submitted_status(id="job1"), meta=DELETED),
        run(submitted_status(id="job1"), cancel=True),
        run(submitted_status(id="job1", ending="DeadlineExceeded")),
    ],
    ids=["deleted", "cancelled", "late"],
)
def test_without_the_secret_an_attempt_ends_with_the_installations_token(of: TrainingRun) -> None:
    assert "cancel job1" in step_names(plan_for(of, job=job(), **SECRET_IS_MISSING))
    assert step_names(plan_for(of, job=job("CANCELED"), attempt_claim=None, **SECRET_IS_MISSING)) == ["close"]


def test_nothing_else_uses_the_installations_token() -> None:
    for of in (run(submitted_status(id="job1")), run(submitted_status()), run(prepared_status())):
        plan = plan_for(
            of, **observation.KNOWN_FACTS, settle_period_passed=True, labelled=(), **SECRET_IS_MISSING
        )
        assert (step_names(plan), written_status(plan).reason) == (["status"], "SecretNotUsable")


def test_a_deadline_passes_without_the_secret_too() -> None:
    late = run(submitted_status(id="job1"), activeDeadlineSeconds=60)
    assert written_status(plan_for(late, **SECRET_IS_MISSING)).ending == "DeadlineExceeded"


def test_the_version_is_allocated_at_the_end_if_the_record_was_rebuilt() -> None:
    plan = plan_for(
        WITH_JOB, record=empty_record(), **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE
    )
    assert written_record(plan).completed[state(WITH_JOB).identity].version == "v1.1.0-rc.1"
    assert "v1.1.0-rc.1" in written_record(plan).allocated


def test_the_registry_names_the_recipe_that_the_job_used() -> None:
    edited = agent_model(trainingDefaults={"numEpochs": 9})
    plan = plan_for(WITH_JOB, agent_model=edited, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=LINEAGE)
    entry = written_record(plan).history[-1]
    assert entry.lineage["recipe"]["num_epochs"] == "3"


def test_facts_are_asked_for_one_at_a_time() -> None:
    assert state(WITH_JOB).job is UNSEEN
    assert plan_for(WITH_JOB).needs == "job"
