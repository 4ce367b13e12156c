"""A TrainingRun whose submission is on record: what becomes of it, without a second job or a leak."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training import observation
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.observation import (
    CLOSED,
    KEY,
    LABEL,
    actions,
    agent_model,
    booked,
    decided,
    job,
    message,
    reserved,
    run,
    said,
    state,
    submitted,
    won,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Announce
from modelops.domain.record import Completed
from modelops.domain.training.state import Submission
from modelops.ports import ModelInfo

INTENDED, KNOWN = run(submitted()), run(submitted(id="job1"))
DELETED = {"deletionTimestamp": "2025-12-09T21:55:00Z"}
AWAY = Outage(service="hf", message="answered 503", retry_after=9.0)
MODEL = ModelInfo(repo="appsmithery/x", revision="r" * 40)
LINEAGE = {"run": RUN_UID, "config": {"num_epochs": 3}}
DONE: dict[str, Any] = {
    "job": job("COMPLETED", running_seconds=61),
    "attempt_claim": won(),
    "labelled": (job("COMPLETED"),),
    "report": None,
}


def report(**changes: Any) -> JobReport:
    return JobReport(**{"kind": "log", "t": 1.0, "began_at": 0.0, **changes})


# The answer to the submission.


def test_the_job_that_the_service_took_is_recorded() -> None:
    plan = decided(INTENDED, submission=Submission(job=job("SCHEDULING")))
    assert (said(plan).job.id, said(plan).phase) == ("job1", "Scheduling")


def test_an_unknown_answer_is_waited_for_before_anything_is_listed_or_sent() -> None:
    plan = decided(INTENDED)
    assert said(plan).reason == "SubmissionUncertain"
    assert LABEL in message(plan)
    assert not plan.needs


def test_after_the_settle_period_the_job_is_found_by_its_label() -> None:
    assert decided(INTENDED, settle_period_passed=True).needs == "labelled"
    plan = decided(INTENDED, settle_period_passed=True, labelled=(job("RUNNING", id="job7"),))
    assert said(plan).job.id == "job7"


def test_a_running_job_is_adopted_rather_than_one_that_ended() -> None:
    plan = decided(
        INTENDED, settle_period_passed=True, labelled=(job("ERROR", id="job1"), job("RUNNING", id="job2"))
    )
    assert said(plan).job.id == "job2"


def test_only_where_no_job_is_listed_it_is_submitted_again_with_a_new_intent() -> None:
    plan = decided(INTENDED, settle_period_passed=True, labelled=())
    assert actions(plan) == ["status", "submit"]
    assert said(plan).job.submissions == 2


def test_an_outage_of_the_list_submits_nothing() -> None:
    plan = decided(INTENDED, settle_period_passed=True, labelled=AWAY)
    assert "503" in message(plan)
    assert (actions(plan), plan.requeue_after) == (["status"], 9.0)


def test_a_service_that_takes_no_jobs_now_is_asked_again_later() -> None:
    plan = decided(INTENDED, submission=Submission(unavailable="answered 429", retry_after=7.0))
    assert "429" in message(plan)
    assert (actions(plan), plan.requeue_after) == (["status", "forget_submission"], 7.0)


def test_a_refused_submission_ends_the_run_without_asking_the_hub() -> None:
    refused = Submission(refused="answered 402: no credit")
    latched = said(decided(INTENDED, submission=refused))
    assert latched.ending == "SubmissionRefused"
    for remembered in (refused, None):  # also after a restart
        plan = decided(run(latched.wire()), submission=remembered)
        assert actions(plan) == ["record"]
        assert booked(plan).settlements[KEY].usd_micro == 0
        assert KEY not in booked(plan).reservations


def test_a_refused_second_submission_closes_the_attempt_first() -> None:
    of = run(submitted(submissions=2, ending="SubmissionRefused"))
    refused = Submission(refused="answered 402")
    assert decided(of, submission=refused).needs == "attempt_claim"
    assert actions(decided(of, submission=refused, attempt_claim=None)) == ["close"]
    assert said(decided(of, submission=refused, attempt_claim=won("job3"))).job.id == "job3"
    assert actions(decided(of, submission=refused, attempt_claim=CLOSED, labelled=())) == ["record"]


# The job's life.


def test_a_job_without_hardware_is_said_to_wait() -> None:
    assert actions(decided(KNOWN, job=job("SCHEDULING"))) == ["status"]  # observed for the first time
    assert "waits for hardware" in message(decided(KNOWN, job=job("SCHEDULING")))


def test_progress_is_the_jobs_own_and_never_goes_back() -> None:
    started = NOW - timedelta(minutes=10)
    running = job("RUNNING", started_at=started)
    first = said(decided(KNOWN, job=running, report=report(step=50, max_steps=100, metrics={"loss": 0.42})))
    assert (first.phase, first.progress.percent, first.progress.loss) == ("Running", 50, "0.4200")
    assert first.progress.eta_minutes == 10
    older = decided(run(first.wire()), job=running, report=report(step=20, max_steps=100))
    assert older.empty


def test_a_restart_without_a_report_writes_nothing() -> None:
    first = said(decided(KNOWN, job=job("RUNNING"), report=report(step=5, max_steps=10)))
    for fact in (None, AWAY):
        assert decided(run(first.wire()), job=job("RUNNING"), report=fact, now=NOW + timedelta(hours=1)).empty


def test_an_outage_of_the_jobs_list_is_no_news() -> None:
    assert decided(KNOWN, job=AWAY).empty


# Claims.


def test_nothing_is_cancelled_while_nobody_claimed() -> None:
    both = (job("RUNNING"), job("SCHEDULING", id="job2"))
    of = run(submitted(id="job1", submissions=2))
    plan = decided(of, job=job("SCHEDULING"), attempt_claim=None, labelled=both)
    assert not [name for name in actions(plan) if name.startswith("cancel")]


def test_a_claim_by_another_job_records_that_job() -> None:
    of = run(submitted(id="job1", submissions=2))
    assert said(decided(of, job=job("SCHEDULING"), attempt_claim=won("job2"))).job.id == "job2"
    assert said(decided(KNOWN, job=job("ERROR"), attempt_claim=won("job2"))).job.id == "job2"


def test_exit_75_of_a_job_that_did_not_win_ends_nothing() -> None:
    claimed = report(kind="error", failure="already_claimed")
    plan = decided(KNOWN, job=job("ERROR"), attempt_claim=won("job2"), report=claimed)
    assert actions(plan) == ["status"]
    assert said(plan).finished_at is None


def test_an_ended_job_without_a_claim_is_closed_before_it_is_booked() -> None:
    assert decided(KNOWN, job=job("ERROR")).needs == "attempt_claim"
    assert actions(decided(KNOWN, job=job("ERROR"), attempt_claim=None)) == ["close"]
    assert decided(KNOWN, job=job("ERROR"), attempt_claim=CLOSED).needs == "labelled"


def test_duplicates_are_cancelled_once_the_attempt_is_closed_or_claimed() -> None:
    both = (job("ERROR"), job("SCHEDULING", id="job2"))
    assert actions(decided(KNOWN, job=job("ERROR"), attempt_claim=CLOSED, labelled=both)) == ["cancel job2"]
    assert actions(decided(KNOWN, job=job("COMPLETED"), attempt_claim=won(), labelled=both)) == [
        "cancel job2"
    ]


@pytest.mark.parametrize("fact", ["attempt_claim", "labelled"])
def test_an_outage_at_the_end_is_said_and_nothing_is_booked(fact: str) -> None:
    plan = decided(KNOWN, **{"job": job("ERROR"), "attempt_claim": CLOSED, fact: AWAY})
    assert actions(plan) == ["status"]
    assert said(plan).reason == "HubUnavailable"


# The end.


def test_a_verified_model_is_booked_and_registered_in_one_write() -> None:
    plan = decided(KNOWN, **DONE, result=MODEL, lineage=LINEAGE)
    record = booked(plan)
    assert actions(plan) == ["record"]
    assert record.settlements[KEY].usd_micro == 50_000  # two started minutes at 1.50 $/h
    assert KEY not in record.reservations
    entry = record.entry("v1.1.0-rc.1")
    assert entry is not None
    assert (entry.deployment_status, entry.training_dataset) == ("trained", "ls://docs-examples")
    assert entry.lineage["revision"] == "r" * 40


def test_the_status_follows_the_record_also_after_a_crash_between() -> None:
    record = booked(decided(KNOWN, **DONE, result=MODEL, lineage=LINEAGE))
    plan = decided(KNOWN, record=record)
    assert actions(plan) == ["status"]
    status = said(plan)
    assert (status.phase, status.reason, status.cost_usd) == ("Succeeded", "Trained", "0.05")
    assert (status.model.version, status.model.revision) == ("v1.1.0-rc.1", "r" * 40)


def test_completed_without_weights_fails_after_the_hub_had_its_time() -> None:
    missing = {**DONE, "result": MODEL, "lineage": None}
    fresh = {**missing, "job": job("COMPLETED", finished_at=NOW - timedelta(seconds=10))}
    assert said(decided(KNOWN, **fresh)).reason == "Verifying"
    old = {**missing, "job": job("COMPLETED", finished_at=NOW - timedelta(seconds=46))}
    plan = decided(KNOWN, **old)
    assert booked(plan).completed[state(KNOWN).identity].outcome == "WeightsMissing"


def test_weights_of_another_run_are_not_taken() -> None:
    plan = decided(KNOWN, **DONE, result=MODEL, lineage={"run": "somebody-else"})
    assert booked(plan).completed[state(KNOWN).identity].outcome == "WeightsMissing"


@pytest.mark.parametrize("fact", ["result", "lineage"])
def test_a_model_is_not_given_up_while_the_hub_is_away(fact: str) -> None:
    plan = decided(KNOWN, **{**DONE, "result": MODEL, "lineage": LINEAGE, fact: AWAY})
    assert (actions(plan), said(plan).reason) == (["status"], "HubUnavailable")


def test_a_model_that_may_not_be_read_is_waited_for_until_the_deadline() -> None:
    no = Outage(service="hf", message="answered 403", refused=True)
    assert actions(decided(KNOWN, **DONE, result=no)) == ["status"]
    late = run(submitted(id="job1", ending="DeadlineExceeded"))
    assert actions(decided(late, **DONE, result=no)) == ["record"]


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
ONCE = run(submitted(id="job1"), backoffLimit=0)


@pytest.mark.parametrize(("changes", "outcome", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failed_job_ends_the_run_with_its_class(changes: dict[str, Any], outcome: str, words: str) -> None:
    facts = {"job": job("ERROR"), "attempt_claim": CLOSED, "labelled": (), "report": None}
    done = booked(decided(ONCE, **{**facts, **changes})).completed[state(ONCE).identity]
    assert done.outcome == outcome
    assert words in done.message


def test_a_job_that_the_service_forgot_is_booked_at_all_that_was_reserved() -> None:
    plan = decided(KNOWN, job=None, attempt_claim=CLOSED, labelled=(), report=None)
    assert booked(plan).settlements[KEY].usd_micro == 375_000


def test_every_job_of_the_attempt_is_booked() -> None:
    jobs = (job("ERROR", running_seconds=60), job("ERROR", id="job2", running_seconds=1))
    plan = decided(KNOWN, job=jobs[0], attempt_claim=CLOSED, labelled=jobs, report=None)
    assert booked(plan).settlements[KEY].usd_micro == 50_000
    assert booked(plan).settlements[KEY].jobs == ("job1", "job2")


# Cancel, deletion, deadline.

ENDINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cancel": ({"cancel": True}, {}),
    "deletion": ({"meta": DELETED}, {}),
    "deadline": ({"activeDeadlineSeconds": 60}, {"ending": "DeadlineExceeded"}),
}
ended = pytest.mark.parametrize(("how", "latch"), ENDINGS.values(), ids=ENDINGS.keys())


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_before_the_price_is_known_an_ended_run_ends_in_the_record_too(how: dict[str, Any]) -> None:
    """A reservation may be under way, or have been written just before the status that names it was refused."""
    for record in (empty_record(), reserved()):
        plan = decided(run(**how), record=record)
        assert actions(plan) == ["record"]
        assert KEY not in booked(plan).reservations
        assert [done.outcome for done in booked(plan).completed.values()] == ["Cancelled"]


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_without_a_record_an_ended_run_is_just_over(how: dict[str, Any]) -> None:
    plan = decided(run(**how), record=None)
    assert actions(plan) == ["stop_dataset", "status"]
    assert said(plan).phase == "Cancelled"


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_a_reservation_without_intent_is_released_through_the_record(how: dict[str, Any]) -> None:
    plan = decided(run(prepared_status(), **how), record=reserved())
    assert actions(plan) == ["record"]
    assert KEY not in booked(plan).reservations


@ended
def test_with_an_intent_only_the_attempt_is_closed_settled_listed_and_booked(
    how: dict[str, Any], latch: dict[str, Any]
) -> None:
    of = run(submitted(**latch), **how)
    assert decided(of).needs == "attempt_claim"
    assert actions(decided(of, attempt_claim=None)) == ["close"]
    assert decided(of, attempt_claim=CLOSED).empty
    assert decided(of, attempt_claim=CLOSED, settle_period_passed=True).needs == "labelled"
    running = (job("SCHEDULING", id="job4"),)
    assert actions(decided(of, attempt_claim=CLOSED, settle_period_passed=True, labelled=running)) == [
        "cancel job4"
    ]
    assert actions(decided(of, attempt_claim=CLOSED, settle_period_passed=True, labelled=())) == ["record"]
    assert said(decided(of, attempt_claim=won("job5"))).job.id == "job5"


@ended
def test_a_running_job_is_cancelled_before_anything_is_booked(
    how: dict[str, Any], latch: dict[str, Any]
) -> None:
    of = run(submitted(id="job1", **latch), **how)
    plan = decided(of, job=job("RUNNING"))
    assert actions(plan) == ["status", "cancel job1"]
    over = decided(
        of, job=job("CANCELED", running_seconds=30), attempt_claim=CLOSED, labelled=(), report=None
    )
    assert actions(over) == ["record"]
    assert booked(over).settlements[KEY].usd_micro == 25_000


@ended
def test_a_model_that_was_trained_is_kept_whatever_was_asked_meanwhile(
    how: dict[str, Any], latch: dict[str, Any]
) -> None:
    plan = decided(run(submitted(id="job1", **latch), **how), **DONE, result=MODEL, lineage=LINEAGE)
    assert [entry.deployment_status for entry in booked(plan).history] == ["trained"]


@pytest.mark.parametrize("status", [submitted(), submitted(id="job1")], ids=["intent", "job"])
def test_a_deadline_is_latched_before_it_is_acted_on_and_not_taken_back(status: dict[str, Any]) -> None:
    late = run(status, activeDeadlineSeconds=60)
    plan = decided(late)
    assert (actions(plan), said(plan).ending) == (["status"], "DeadlineExceeded")
    earlier = decided(
        run(said(plan).wire(), activeDeadlineSeconds=60), now=NOW - timedelta(days=1), job=job()
    )
    assert "cancel job1" in actions(earlier) or earlier.needs == "attempt_claim"


def test_a_refusal_does_not_hide_the_deadline() -> None:
    of = run(submitted(id="job1", ending="SubmissionRefused"), activeDeadlineSeconds=60)
    assert said(decided(of)).ending == "DeadlineExceeded"


# Once only, and never a leak.


def test_a_run_re_created_with_the_same_name_and_spec_does_nothing() -> None:
    done = Completed(kind="TrainingRun", name="docs-1", uid="old", outcome="JobFailed", message="m")
    plan = decided(record=empty_record().with_(completed={state().identity: done}))
    assert actions(plan) == ["status"]
    assert (said(plan).phase, said(plan).reason) == ("Failed", "AlreadyCompleted")
    assert "new metadata.name" in message(plan)


def test_a_re_created_run_shows_the_model_of_the_first() -> None:
    record = booked(decided(KNOWN, **DONE, result=MODEL, lineage=LINEAGE))
    done = record.completed[state(KNOWN).identity].model_copy(update={"uid": "old"})
    again = decided(record=record.with_(completed={state().identity: done}))
    assert (said(again).phase, said(again).model.version) == ("Succeeded", "v1.1.0-rc.1")
    assert said(again).cost_usd is None


def test_a_re_created_run_with_an_intent_of_its_own_is_seen_through() -> None:
    done = Completed(kind="TrainingRun", name="docs-1", uid="old", outcome="JobFailed")
    record = reserved().with_(completed={state(KNOWN).identity: done})
    assert decided(KNOWN, record=record).needs == "job"


def test_an_ended_run_only_loses_its_finalizer() -> None:
    assert actions(decided(run({"phase": "Succeeded"}))) == ["finalizers"]
    assert decided(run({"phase": "Succeeded"}, meta={"finalizers": []})).empty


def test_a_job_is_followed_to_its_end_without_its_agent_model() -> None:
    assert decided(KNOWN, agent_model=None).needs == "job"
    assert actions(decided(KNOWN, agent_model=None, **DONE, result=MODEL, lineage=LINEAGE)) == ["record"]
    waits = decided(INTENDED, agent_model=None, settle_period_passed=True, labelled=())
    assert (actions(waits), said(waits).reason) == (["status"], "AgentModelNotFound")


@pytest.mark.parametrize("hindrance", [{"secret_problem": "Secret tokens is gone"}, {"record": None}])
def test_a_deletion_without_means_lets_go_after_an_hour_and_says_what_may_bill(
    hindrance: dict[str, Any],
) -> None:
    of = run(submitted(id="job1"), meta=DELETED)
    assert not [s for s in decided(of, **hindrance).steps if isinstance(s, Announce) and s.reason == "Leaked"]
    plan = decided(of, **hindrance, now=NOW + timedelta(hours=1))
    assert isinstance(plan.steps[0], Announce)
    assert "LEAK: job job1" in plan.steps[0].message
    assert actions(plan) == ["finalizers"]
    gone = run(submitted(id="job1"), meta={**DELETED, "finalizers": ["other/one"]})
    assert "LEAK" not in str(decided(gone, **hindrance, now=NOW + timedelta(hours=1)))


GONE: dict[str, Any] = {"secret_problem": "Secret tokens is gone", "can_clean_up": True}


@pytest.mark.parametrize(
    "of",
    [
        run(submitted(id="job1"), meta=DELETED),
        run(submitted(id="job1"), cancel=True),
        run(submitted(id="job1", ending="DeadlineExceeded")),
    ],
    ids=["deleted", "cancelled", "late"],
)
def test_what_is_to_end_ends_with_the_installations_token_where_the_secret_is_gone(of: TrainingRun) -> None:
    assert "cancel job1" in actions(decided(of, job=job(), **GONE))
    assert actions(decided(of, job=job("CANCELED"), attempt_claim=None, **GONE)) == ["close"]


def test_nothing_else_goes_on_with_the_installations_token() -> None:
    for of in (run(submitted(id="job1")), run(submitted()), run(prepared_status())):
        plan = decided(of, **observation.KNOWN, settle_period_passed=True, labelled=(), **GONE)
        assert (actions(plan), said(plan).reason) == (["status"], "SecretNotUsable")


def test_a_deadline_passes_also_while_the_secret_is_gone() -> None:
    late = run(submitted(id="job1"), activeDeadlineSeconds=60)
    assert said(decided(late, **GONE)).ending == "DeadlineExceeded"


def test_the_version_is_allocated_late_where_the_record_was_rebuilt() -> None:
    plan = decided(KNOWN, record=empty_record(), **DONE, result=MODEL, lineage=LINEAGE)
    assert booked(plan).completed[state(KNOWN).identity].version == "v1.1.0-rc.1"
    assert "v1.1.0-rc.1" in booked(plan).allocated


def test_the_registry_names_the_recipe_that_the_job_used() -> None:
    edited = agent_model(trainingDefaults={"numEpochs": 9})
    plan = decided(KNOWN, agent_model=edited, **DONE, result=MODEL, lineage=LINEAGE)
    entry = booked(plan).history[-1]
    assert entry.lineage["recipe"]["num_epochs"] == "3"


def test_facts_are_asked_for_one_at_a_time() -> None:
    assert state(KNOWN).job is UNSEEN
    assert decided(KNOWN).needs == "job"
