"""Several attempts together with another event: each test stands for a former defect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.states import (
    CLOSED_CLAIM,
    FLAVOR,
    KEY,
    KNOWN_FACTS,
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
from tests.unit.training.submitted_runs import PUBLISHED_MODEL

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.conditions import condition_of
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Plan
from modelops.domain.record import Reservation
from modelops.ports import Flavor, Json, ModelInfo

AUTO: Json = {"huggingFace": {"flavor": "auto"}}
L4 = Flavor(name="l4x1", usd_micro_per_hour=800_000, accelerator="1x L4 24 GB", devices=1)
L40S = Flavor(name="l40sx1", usd_micro_per_hour=1_800_000, accelerator="1x L40S 48 GB", devices=1)
A100 = Flavor(name="a100-large", usd_micro_per_hour=2_500_000, accelerator="1x A100 80 GB", devices=1)
PUBLISHED: Json = {"result": ModelInfo(repo="x", revision="r" * 40), "lineage": {"run": RUN_UID}}


def past_attempt(number: int, flavor: str, reason: str, **more: Any) -> Json:
    return {
        "attempt": number,
        "label": f"l{number}",
        "flavor": flavor,
        "usdPerHour": "1.50",
        "reason": reason,
        "batchSize": 1,
        "gradientAccumulationSteps": 1,
        "finishedAt": "2025-12-09T21:50:00Z",
        **more,
    }


def run_between_attempts(*attempts: Json, status: Json | None = None, **spec: Any) -> TrainingRun:
    """A run with finished attempts, before the next one has a price."""
    known = {k: v for k, v in prepared_status().items() if k != "estimate"}
    return run({**known, "attempts": list(attempts), **(status or {})}, **spec)


def plan_with_flavors(of: TrainingRun, *offered: Flavor, **more: Any) -> Plan:
    return plan_for(of, **{**KNOWN_FACTS, "flavors": offered or (FLAVOR,), "record": empty_record(), **more})


def plan_after_end(
    ending: str = "", *, stage: str = "ERROR", failure: str = "", words: str = "", **spec: Any
) -> Plan:
    """The decision about a job that published a model and then ended in this way."""
    report = JobReport(kind="error", t=1.0, began_at=0.0, failure=failure, error=words) if failure else None  # type: ignore[arg-type]
    of = run(submitted_status(id="job1", ending=ending), **spec)
    facts: Json = {
        "job": job(stage, running_seconds=60),
        "attempt_claim": claimed_by(),
        "labelled": (),
        "report": report,
    }
    return plan_for(of, **facts, **PUBLISHED)


@pytest.mark.parametrize(
    "plan",
    [
        plan_after_end(failure="failed", words="HubSilent: no usable answer"),
        plan_after_end("DeadlineExceeded", stage="CANCELED", activeDeadlineSeconds=60),
        plan_after_end("StuckInScheduling", stage="CANCELED", backend=AUTO),
        plan_after_end("SubmissionRefused"),
        plan_after_end("Suspending", stage="CANCELED"),
        plan_after_end(stage="CANCELED"),
    ],
    ids=["no answer to the commit", "deadline", "stuck", "second post refused", "suspended", "by somebody"],
)
def test_a_published_model_is_kept_however_its_job_ended(plan: Plan) -> None:
    assert [entry.deployment_status for entry in written_record(plan).history] == ["trained"]


def test_a_refused_second_submission_does_not_decide_about_the_first_job() -> None:
    of = run(submitted_status(id="job1", ending="SubmissionRefused"))
    plan = plan_for(of, job=job("ERROR"), attempt_claim=CLOSED_CLAIM, labelled=(), report=None)
    assert written_status(plan).attempts[0].reason == "JobLost"


def test_the_job_of_the_first_submission_can_be_suspended() -> None:
    of = run(submitted_status(id="job1", ending="SubmissionRefused"), suspend=True)
    assert written_status(plan_for(of, job=job())).ending == "Suspending"
    refused = run(submitted_status(ending="SubmissionRefused"), suspend=True)
    assert not [s for s in plan_for(refused).steps if "Suspending" in str(s)]


def test_only_the_remaining_time_must_fit_the_deadline() -> None:
    long = {**prepared_status()["dataset"], "tokens": 1_000_000}
    status = {"dataset": long, "activeSince": (NOW - timedelta(hours=2)).isoformat()}
    of = run_between_attempts(
        past_attempt(1, "a10g-large", "TooSlow", remainingSeconds=1200), status=status, backend=AUTO
    )
    assert written_status(plan_with_flavors(of)).estimate.low_minutes == 20


def test_hardware_too_small_for_a_batch_of_one_is_not_tried_again() -> None:
    full = past_attempt(1, "a10g-large", "OutOfMemory")
    stuck = past_attempt(2, "l40sx1", "StuckInScheduling")
    after = plan_with_flavors(run_between_attempts(full, stuck, backend=AUTO), FLAVOR, L40S, A100)
    assert written_status(after).estimate.flavor == "a100-large"
    only = plan_with_flavors(run_between_attempts(full, stuck, backend=AUTO), FLAVOR, L40S)
    assert written_status(only).estimate.flavor == "l40sx1"
    withdrawn = plan_with_flavors(run_between_attempts(full, backend=AUTO), L4, L40S)
    assert written_status(withdrawn).estimate.flavor == "l40sx1"


def test_the_offer_names_max_usd_whatever_the_backoff_limit() -> None:
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    plan = plan_for(run(prepared_status(), backoffLimit=0), **KNOWN_FACTS, agent_model=careful)
    assert "with further attempts up to spec.maxUSD $10" in ready_message(plan)


def test_waiting_for_a_person_does_not_count_against_the_deadline() -> None:
    since = {"activeSince": (NOW - timedelta(hours=3)).isoformat()}
    suspended = plan_with_flavors(
        run_between_attempts(past_attempt(1, "a10g-large", "JobLost"), status=since, suspend=True)
    )
    assert written_status(suspended).active_since is None
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    offer = plan_with_flavors(
        run_between_attempts(past_attempt(1, "a10g-large", "JobLost"), status=since), agent_model=careful
    )
    assert (written_status(offer).phase, written_status(offer).active_since) == ("AwaitingApproval", None)


def test_a_reservation_of_last_month_covers_nothing_of_this_one() -> None:
    old = Reservation(usd_micro=300_000, month="2025-11", name="docs-1", version="v1.1.0-rc.1")
    poor = agent_model(budget={"monthlyUSD": "0.25", "approvalAboveUSD": "10"})
    record = empty_record().with_(reservations={KEY: old})
    plan = plan_for(run(), **KNOWN_FACTS, record=record, agent_model=poor)
    (done,) = written_record(plan).completed.values()
    assert (done.outcome, written_record(plan).reservations) == ("OverBudget", {})


def test_the_settlement_names_a_forgotten_job_too() -> None:
    plan = plan_for(
        run(submitted_status(id="job1")),
        job=None,
        attempt_claim=claimed_by(),
        labelled=(),
        report=None,
        result=PUBLISHED_MODEL,
        lineage=None,
    )
    assert written_record(plan).settlements[KEY].jobs == ("job1",)


def test_a_job_that_got_hardware_at_last_is_not_stopped() -> None:
    latched = run(submitted_status(id="job1", ending="StuckInScheduling"), backend=AUTO)
    running = plan_for(latched, job=job("RUNNING", running_seconds=7200))
    assert (step_names(running), written_status(running).ending) == (["status"], "")
    assert "cancel job1" in step_names(plan_for(latched, job=job("RUNNING", running_seconds=5)))


def test_an_approval_that_is_no_longer_needed_is_not_waited_for() -> None:
    condition = {
        "type": "Approved",
        "status": "False",
        "reason": "NeedsApproval",
        "message": "",
        "lastTransitionTime": "2025-12-09T20:00:00Z",
        "observedGeneration": 1,
    }
    status = {"conditions": [condition]}
    plan = plan_with_flavors(run_between_attempts(past_attempt(1, "a10g-large", "Suspended"), status=status))
    assert condition_of(written_status(plan).conditions, "Approved") is None


def test_the_finalizer_goes_only_after_the_status_was_seen() -> None:
    """The engine releases the settled jobs in between."""
    of = run(submitted_status(id="job1"), meta={"deletionTimestamp": "2025-12-09T21:55:00Z"})
    over = plan_for(of, job=job("CANCELED"), attempt_claim=CLOSED_CLAIM, labelled=(), report=None)
    assert step_names(plan_for(of, record=written_record(over))) == ["status"]


def test_cover_is_renewed_where_the_month_has_changed() -> None:
    old = replace_month(record_with_reservation().reservations[KEY])
    plan = plan_for(run(), **KNOWN_FACTS, record=empty_record().with_(reservations={KEY: old}))
    assert written_record(plan).reservations[KEY].month == "2025-12"
    assert state().reservation_key == KEY


def replace_month(cover: Reservation) -> Reservation:
    return cover.model_copy(update={"month": "2025-11"})
