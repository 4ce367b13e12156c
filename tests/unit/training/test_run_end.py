"""Cancel, deletion, deadline and re-created runs: no job keeps running and no cost stays unsettled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training import states
from tests.unit.training.objects import NOW, empty_record, prepared_status
from tests.unit.training.states import (
    CLOSED_CLAIM,
    KEY,
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
from tests.unit.training.submitted_runs import (
    COMPLETED_FACTS,
    LINEAGE,
    PUBLISHED_MODEL,
    WITH_INTENT,
    WITH_JOB,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Announce
from modelops.domain.record import Completed

DELETED = {"deletionTimestamp": "2025-12-09T21:55:00Z"}

ENDINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cancel": ({"cancel": True}, {}),
    "deletion": ({"meta": DELETED}, {}),
    "deadline": ({"activeDeadlineSeconds": 60}, {"ending": "DeadlineExceeded"}),
}

ended = pytest.mark.parametrize(("how", "latch"), ENDINGS.values(), ids=ENDINGS.keys())


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": DELETED}], ids=["cancel", "deletion"])
def test_a_run_without_a_price_ends_in_the_record_too(how: dict[str, Any]) -> None:
    """A reservation may be under way, or have been written before the write of its status was refused."""
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
        plan = plan_for(of, **states.KNOWN_FACTS, settle_period_passed=True, labelled=(), **SECRET_IS_MISSING)
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


def test_the_registry_has_the_modules_as_a_list() -> None:
    trained = {**LINEAGE, "config": {"num_epochs": 3, "target_modules": ["q_proj", "v_proj"]}}
    plan = plan_for(WITH_JOB, **COMPLETED_FACTS, result=PUBLISHED_MODEL, lineage=trained)
    assert written_record(plan).history[-1].lineage["recipe"]["target_modules"] == ["q_proj", "v_proj"]


def test_facts_are_asked_for_one_at_a_time() -> None:
    assert state(WITH_JOB).job is UNSEEN
    assert plan_for(WITH_JOB).needs == "job"
