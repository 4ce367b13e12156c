"""Several attempts where something else happens at the same time: each was a defect once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.observation import (
    CLOSED,
    FLAVOR,
    KEY,
    KNOWN,
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


def past(number: int, flavor: str, reason: str, **more: Any) -> Json:
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


def between(*attempts: Json, status: Json | None = None, **spec: Any) -> TrainingRun:
    """A run whose attempts are over, before the next one is priced."""
    known = {k: v for k, v in prepared_status().items() if k != "estimate"}
    return run({**known, "attempts": list(attempts), **(status or {})}, **spec)


def priced(of: TrainingRun, *offered: Flavor, **more: Any) -> Plan:
    return decided(of, **{**KNOWN, "flavors": offered or (FLAVOR,), "record": empty_record(), **more})


def ended(ending: str = "", *, stage: str = "ERROR", failure: str = "", words: str = "", **spec: Any) -> Plan:
    """The decision about a job that has published, and then ended like this."""
    report = JobReport(kind="error", t=1.0, began_at=0.0, failure=failure, error=words) if failure else None  # type: ignore[arg-type]
    of = run(submitted(id="job1", ending=ending), **spec)
    facts: Json = {
        "job": job(stage, running_seconds=60),
        "attempt_claim": won(),
        "labelled": (),
        "report": report,
    }
    return decided(of, **facts, **PUBLISHED)


@pytest.mark.parametrize(
    "plan",
    [
        ended(failure="failed", words="HubSilent: no usable answer"),
        ended("DeadlineExceeded", stage="CANCELED", activeDeadlineSeconds=60),
        ended("StuckInScheduling", stage="CANCELED", backend=AUTO),
        ended("SubmissionRefused"),
        ended("Suspending", stage="CANCELED"),
        ended(stage="CANCELED"),
    ],
    ids=["no answer to the commit", "deadline", "stuck", "second post refused", "suspended", "by somebody"],
)
def test_a_model_that_is_on_the_hub_is_kept_however_its_job_ended(plan: Plan) -> None:
    assert [entry.deployment_status for entry in booked(plan).history] == ["trained"]


def test_the_job_of_a_first_submission_is_judged_by_its_own_end() -> None:
    of = run(submitted(id="job1", ending="SubmissionRefused"))
    plan = decided(of, job=job("ERROR"), attempt_claim=CLOSED, labelled=(), report=None)
    assert said(plan).attempts[0].reason == "JobLost"


def test_it_is_suspended_as_any_other_job() -> None:
    of = run(submitted(id="job1", ending="SubmissionRefused"), suspend=True)
    assert said(decided(of, job=job())).ending == "Suspending"
    refused = run(submitted(ending="SubmissionRefused"), suspend=True)
    assert not [s for s in decided(refused).steps if "Suspending" in str(s)]


def test_what_is_left_is_held_against_the_deadline_and_not_the_whole() -> None:
    long = {**prepared_status()["dataset"], "tokens": 1_000_000}
    status = {"dataset": long, "activeSince": (NOW - timedelta(hours=2)).isoformat()}
    of = between(past(1, "a10g-large", "TooSlow", remainingSeconds=1200), status=status, backend=AUTO)
    assert said(priced(of)).estimate.low_minutes == 20


def test_what_did_not_fit_a_batch_of_one_is_never_tried_again() -> None:
    full = past(1, "a10g-large", "OutOfMemory")
    stuck = past(2, "l40sx1", "StuckInScheduling")
    after = priced(between(full, stuck, backend=AUTO), FLAVOR, L40S, A100)
    assert said(after).estimate.flavor == "a100-large"
    only = priced(between(full, stuck, backend=AUTO), FLAVOR, L40S)
    assert said(only).estimate.flavor == "l40sx1"
    withdrawn = priced(between(full, backend=AUTO), L4, L40S)
    assert said(withdrawn).estimate.flavor == "l40sx1"


def test_who_approves_is_told_of_spec_max_usd_whatever_the_limit_of_retries() -> None:
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    plan = decided(run(prepared_status(), backoffLimit=0), **KNOWN, agent_model=careful)
    assert "with further attempts up to spec.maxUSD $10" in message(plan)


def test_time_in_which_people_are_waited_for_does_not_count() -> None:
    since = {"activeSince": (NOW - timedelta(hours=3)).isoformat()}
    held = priced(between(past(1, "a10g-large", "JobLost"), status=since, suspend=True))
    assert said(held).active_since is None
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    asked = priced(between(past(1, "a10g-large", "JobLost"), status=since), agent_model=careful)
    assert (said(asked).phase, said(asked).active_since) == ("AwaitingApproval", None)


def test_a_reservation_of_last_month_covers_nothing_of_this_one() -> None:
    old = Reservation(usd_micro=300_000, month="2025-11", name="docs-1", version="v1.1.0-rc.1")
    poor = agent_model(budget={"monthlyUSD": "0.25", "approvalAboveUSD": "10"})
    record = empty_record().with_(reservations={KEY: old})
    plan = decided(run(), **KNOWN, record=record, agent_model=poor)
    (done,) = booked(plan).completed.values()
    assert (done.outcome, booked(plan).reservations) == ("OverBudget", {})


def test_a_forgotten_job_counts_as_booked() -> None:
    plan = decided(
        run(submitted(id="job1")),
        job=None,
        attempt_claim=won(),
        labelled=(),
        report=None,
        result=None,
        lineage=None,
    )
    assert booked(plan).settlements[KEY].jobs == ("job1",)


def test_a_job_that_got_hardware_after_all_is_not_stopped_for_having_none() -> None:
    latched = run(submitted(id="job1", ending="StuckInScheduling"), backend=AUTO)
    running = decided(latched, job=job("RUNNING", running_seconds=7200))
    assert (actions(running), said(running).ending) == (["status"], "")
    assert "cancel job1" in actions(decided(latched, job=job("RUNNING", running_seconds=5)))


def test_an_approval_that_is_needed_no_more_is_not_waited_for_later() -> None:
    condition = {
        "type": "Approved",
        "status": "False",
        "reason": "NeedsApproval",
        "message": "",
        "lastTransitionTime": "2025-12-09T20:00:00Z",
        "observedGeneration": 1,
    }
    status = {"conditions": [condition]}
    plan = priced(between(past(1, "a10g-large", "Suspended"), status=status))
    assert condition_of(said(plan).conditions, "Approved") is None


def test_the_finalizer_goes_only_after_the_status_was_seen() -> None:
    """What was kept in sight to be booked is let go in between."""
    of = run(submitted(id="job1"), meta={"deletionTimestamp": "2025-12-09T21:55:00Z"})
    over = decided(of, job=job("CANCELED"), attempt_claim=CLOSED, labelled=(), report=None)
    assert actions(decided(of, record=booked(over))) == ["status"]


def test_cover_is_renewed_where_the_month_has_changed() -> None:
    old = replace_month(reserved().reservations[KEY])
    plan = decided(run(), **KNOWN, record=empty_record().with_(reservations={KEY: old}))
    assert booked(plan).reservations[KEY].month == "2025-12"
    assert state().reservation_key == KEY


def replace_month(cover: Reservation) -> Reservation:
    return cover.model_copy(update={"month": "2025-11"})
