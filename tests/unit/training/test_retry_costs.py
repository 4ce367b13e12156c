"""Time and money of a run with several attempts: timeouts, budgets, approvals, cost and lineage."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.training.objects import NOW, RUN_UID, prepared_status
from tests.unit.training.retried_runs import failure_report, next_intent, plan_after_end, run_with_job
from tests.unit.training.states import (
    KEY,
    KNOWN_FACTS,
    agent_model,
    claimed_by,
    job,
    plan_for,
    ready_message,
    record_with_reservation,
    run,
    step_names,
    submitted_status,
    written_record,
    written_status,
)

from modelops.domain.facts import Outage
from modelops.domain.money import micro
from modelops.domain.record import Settlement
from modelops.ports import ModelInfo


def test_a_timeout_is_retried_only_from_a_checkpoint() -> None:
    late = job("ERROR", running_seconds=900)
    short = plan_after_end(run_with_job(), ended=late)
    assert "without a checkpoint" in next(iter(written_record(short).completed.values())).message
    estimate = {**prepared_status()["estimate"], "highMinutes": 60}
    kept = {"estimate": estimate, "progress": {"percent": 90, "step": 90, "maxSteps": 100}}
    assert written_status(plan_after_end(run_with_job(status=kept), ended=late)).reason == "Retrying"
    early = {"estimate": estimate, "progress": {"percent": 1, "step": 1, "maxSteps": 10000}}
    assert step_names(plan_after_end(run_with_job(status=early), ended=late)) == ["record"]


def test_after_a_too_slow_job_the_next_one_gets_the_measured_time() -> None:
    of = run_with_job()
    slow = failure_report("too_slow", metrics={"seconds_left": 6000.0})
    again = next_intent(plan_after_end(of, report=slow), of)
    estimate = written_status(again).estimate
    assert (estimate.low_minutes, estimate.high_minutes) == (100, 125)
    assert "measured by attempt 1" in estimate.source
    assert written_status(again).job.timeout_seconds == 125 * 60
    dear = run_with_job(maxUSD="2")
    refused = next_intent(plan_after_end(dear, report=slow), dear)
    (done,) = written_record(refused).completed.values()
    assert done.outcome == "OverMaxUSD"
    assert "another attempt may cost up to $3.13, earlier attempts cost $0.03" in done.message


def test_a_further_attempt_is_limited_to_what_is_left_of_max_usd() -> None:
    of = run_with_job(maxUSD="0.40")
    again = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1))
    estimate = written_status(again).estimate
    assert micro(estimate.high_usd) + 25_000 <= 400_000
    assert "spec.maxUSD" in estimate.source
    assert estimate.high_minutes >= estimate.low_minutes


def test_attempts_together_above_the_threshold_need_an_approval() -> None:
    of, careful = run_with_job(), agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.51"})
    offer = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    assert step_names(offer) == ["status"]
    assert (written_status(offer).phase, written_status(offer).reason) == (
        "AwaitingApproval",
        "NeedsApproval",
    )
    assert "attempt 2 may cost up to" in ready_message(offer)
    approved = {**written_status(offer).wire()}
    approval = {"approvedBy": "alice", "digest": written_status(offer).approval_digest}
    record = written_record(plan_after_end(of))
    going = plan_for(
        run(approved, approval=approval),
        **KNOWN_FACTS,
        record=record,
        agent_model=careful,
        now=NOW + timedelta(minutes=2),
    )
    assert step_names(going) == ["record", "status", "submit"]


def test_the_first_approval_covers_attempts_up_to_max_usd() -> None:
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "Approved",
        "message": "",
        "lastTransitionTime": "2025-12-09T21:00:00Z",
        "observedGeneration": 1,
    }
    of = run_with_job(status={"conditions": [condition], "approvalDigest": "sha256:" + "a" * 64})
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    again = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    assert step_names(again) == ["record", "status", "submit"]
    assert written_status(again).approval_digest == "sha256:" + "a" * 64


def test_the_monthly_budget_must_cover_every_attempt() -> None:
    of, poor = run_with_job(), agent_model(budget={"monthlyUSD": "0.30"})
    plan = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1), agent_model=poor)
    assert step_names(plan) == ["status"]
    assert written_status(plan).reason == "OverBudget"


def test_an_approved_attempt_waits_for_the_months_budget_and_says_it_once() -> None:
    of, careful = run_with_job(), agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.51"})
    later = {"record": written_record(plan_after_end(of)), "now": NOW + timedelta(minutes=2)}
    offer = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    approval = {"approvedBy": "alice", "digest": written_status(offer).approval_digest}
    poor = agent_model(budget={"monthlyUSD": "0.30", "approvalAboveUSD": "0.51"})
    approved = run(written_status(offer).wire(), approval=approval)
    waits = plan_for(approved, **{**KNOWN_FACTS, **later, "agent_model": poor})
    assert (step_names(waits), written_status(waits).reason) == (["status"], "OverBudget")
    waiting = run(written_status(waits).wire(), approval=approval)
    assert step_names(plan_for(waiting, **{**KNOWN_FACTS, **later, "agent_model": poor})) == []
    going = plan_for(waiting, **{**KNOWN_FACTS, **later, "agent_model": careful})
    assert step_names(going) == ["record", "status", "submit"]


def test_cost_and_lineage_include_all_attempts() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.1"}
    second = {**submitted_status(id="job2")["job"], "attempt": 2}
    settled = Settlement(usd_micro=100_000, month="2025-12", version="v1.1.0-rc.1")
    cover = record_with_reservation().reservations[KEY]
    record = record_with_reservation().with_(settlements={KEY: settled}, reservations={f"{RUN_UID}/2": cover})
    of = run_with_job(status={"attempts": [past], "job": second})
    plan = plan_for(
        of,
        record=record,
        job=job("COMPLETED", id="job2", running_seconds=60),
        attempt_claim=claimed_by("job2"),
        labelled=(),
        result=ModelInfo(repo="x", revision="r" * 40),
        lineage={"run": RUN_UID},
        report=None,
    )
    assert written_record(plan).history[-1].lineage["cost_usd"] == "0.125"
    assert written_status(plan_for(of, record=written_record(plan))).cost_usd == "0.125"


def test_a_model_that_was_published_before_the_job_was_lost_is_kept() -> None:
    facts = {"result": ModelInfo(repo="x", revision="r" * 40), "lineage": {"run": RUN_UID}}
    assert written_record(plan_after_end(run_with_job(), **facts)).history[-1].deployment_status == "trained"
    other = {**facts, "lineage": {"run": "another"}}
    assert written_status(plan_after_end(run_with_job(), **other)).reason == "Retrying"
    away = Outage(service="hf", message="answered 503", retry_after=9.0)
    for unread in ({**facts, "result": away}, {**facts, "lineage": away}):
        waits = plan_after_end(run_with_job(), **unread)
        assert (step_names(waits), written_status(waits).reason, waits.requeue_after) == (
            ["status"],
            "HubUnavailable",
            9.0,
        )
