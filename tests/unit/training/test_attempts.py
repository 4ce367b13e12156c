"""What follows an attempt that failed: another one, made otherwise, or the run's end; and runs that are suspended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.observation import (
    BASE,
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
    submitted_job,
    submitted_status,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import Outage
from modelops.domain.job_report import JobReport
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.record import Completed, Record, Settlement
from modelops.domain.training.next_attempt import attempt_values
from modelops.ports import AttemptClaim, Flavor, Job, Json, ModelInfo

BATCH_OF_FOUR = {"batchSize": 4, "gradientAccumulationSteps": 4}
AUTO: Json = {"huggingFace": {"flavor": "auto"}}
LARGER = Flavor(name="l40sx1", usd_micro_per_hour=1_800_000, accelerator="1x L40S 48 GB", devices=1)
LARGEST = Flavor(name="a100-large", usd_micro_per_hour=2_500_000, accelerator="1x A100 80 GB", devices=1)
OFFERED_FLAVORS = (FLAVOR, LARGER, LARGEST)


def failure_report(failure: str, **more: Any) -> JobReport:
    return JobReport(kind="error", t=1.0, began_at=0.0, failure=failure, error="its words", **more)  # type: ignore[arg-type]


def plan_after_end(
    of: TrainingRun, *, ended: Job | None = None, report: JobReport | None = None, **more: Any
) -> Plan:
    """The decision about a recorded job that has ended and claimed its attempt."""
    facts: dict[str, Any] = {
        "job": ended or job("ERROR", running_seconds=60),
        "attempt_claim": claimed_by(),
        "labelled": (),
    }
    return plan_for(of, **{**facts, "report": report, "result": None, "lineage": None, **more})


def run_with_job(**spec: Any) -> TrainingRun:
    return run(submitted_status(id="job1", **spec.pop("status", {})), **spec)


def run_between_attempts(plan: Plan, of: TrainingRun, **more: Any) -> tuple[TrainingRun, Record]:
    """The run and the record as the plan leaves them."""
    return run(written_status(plan).wire(), **{**of.spec.wire(), **more}), written_record(plan)


def next_intent(plan: Plan, of: TrainingRun, *, now: datetime = NOW, **facts: Any) -> Plan:
    """What is decided after the plan was carried out."""
    later, record = run_between_attempts(plan, of)
    return plan_for(later, **{**KNOWN_FACTS, "record": record, "now": now, **facts})


def posted_run(plan: Plan) -> Json:
    """What the plan submits."""
    return vars(submitted_job(plan))


# One failure after the other.


def test_after_a_lost_job_the_next_attempt_has_the_same_version_and_recipe() -> None:
    of = run_with_job()
    plan = plan_after_end(of)
    assert step_names(plan) == ["record", "status"]
    assert written_record(plan).settlements[KEY].usd_micro == 25_000
    assert KEY not in written_record(plan).reservations
    assert not written_record(plan).completed
    status = written_status(plan)
    assert (status.phase, status.reason, status.job, status.estimate) == ("Pending", "Retrying", None, None)
    assert [(a.attempt, a.job, a.reason, a.cost_usd) for a in status.attempts] == [
        (1, "job1", "JobLost", "0.025")
    ]
    assert status.cost_usd == "0.025"
    edited = agent_model(trainingDefaults={"numEpochs": 9})
    again = next_intent(plan, of, now=NOW + timedelta(seconds=31), agent_model=edited)
    assert step_names(again) == ["record", "status", "submit"]
    assert written_status(again).job.attempt == 2
    assert posted_run(again)["label"].endswith(f"{RUN_UID}-2")
    assert posted_run(again)["run"]["attempt"] == 2
    assert posted_run(again)["run"]["version"] == "v1.1.0-rc.1"
    assert (
        posted_run(again)["run"]["config"]["num_epochs"] == 9
    )  # this run was submitted before recipes were kept
    assert written_record(again).reservations[f"{RUN_UID}/2"].usd_micro == micro(
        written_status(again).estimate.high_usd
    )
    third = plan_after_end(
        run(written_status(again).wire() | {"job": written_status(again).job.wire() | {"id": "job2"}}),
        record=written_record(again),
        ended=job("ERROR", id="job2"),
        attempt_claim=claimed_by("job2"),
    )
    assert posted_config(third, edited=agent_model(trainingDefaults={"numEpochs": 2})) == 9


def posted_config(plan: Plan, *, edited: Any) -> int:
    """Epochs of the attempt that follows, after the AgentModel was edited."""
    again = next_intent(plan, run_with_job(), now=NOW + timedelta(minutes=5), agent_model=edited)
    epochs: int = posted_run(again)["run"]["config"]["num_epochs"]
    return epochs


def test_a_crash_between_the_settlement_and_the_status_settles_nothing_twice() -> None:
    of = run_with_job()
    plan = plan_after_end(of)
    again = plan_after_end(of, record=written_record(plan))
    assert step_names(again) == ["status"]
    assert written_status(again).cost_usd == "0.025"
    ended = plan_after_end(run_with_job(cancel=True), record=written_record(plan))
    assert written_record(ended).settlements == written_record(plan).settlements


def test_the_backoff_grows_with_each_lost_job() -> None:
    of = run_with_job()
    once = plan_after_end(of)
    assert next_intent(once, of).requeue_after == 30.0
    past = {**written_status(once).attempts[0].wire(), "attempt": 2}
    twice = plan_after_end(
        run_with_job(status={"attempts": [written_status(once).attempts[0].wire(), past]}),
        record=record_with_reservation(),
    )
    assert step_names(twice) == ["record"]  # the default is two further attempts
    longer = plan_after_end(run_with_job(status={"attempts": [past]}))
    assert next_intent(longer, of).requeue_after == 60.0


@pytest.mark.parametrize("stage", ["ERROR", "CANCELED"])
@pytest.mark.parametrize("failure", ["bad_data", "never_stops", "failed"])
def test_a_failure_that_a_retry_would_repeat_ends_the_run(failure: str, stage: str) -> None:
    plan = plan_after_end(
        run_with_job(), ended=job(stage, running_seconds=60), report=failure_report(failure)
    )
    assert step_names(plan) == ["record"]
    assert len(written_record(plan).completed) == 1


def test_a_job_that_was_stopped_at_the_service_is_not_retried() -> None:
    plan = plan_after_end(run_with_job(), ended=job("CANCELED", running_seconds=60))
    (done,) = written_record(plan).completed.values()
    assert done.outcome == "JobStopped"


def test_retries_are_limited_and_the_message_names_the_limit() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.1"}
    plan = plan_after_end(run_with_job(status={"attempts": [past]}, backoffLimit=1))
    (done,) = written_record(plan).completed.values()
    assert "no further attempt: spec.backoffLimit is 1" in done.message
    assert (
        not written_record(plan_after_end(run_with_job(backoffLimit=0)))
        .completed[state(run_with_job(backoffLimit=0)).identity]
        .message.count("no further")
    )


# Memory.


def test_out_of_memory_halves_the_batch_and_keeps_the_update() -> None:
    of = run_with_job(config=BATCH_OF_FOUR)
    plan = plan_after_end(of, report=failure_report("out_of_memory"))
    again = next_intent(plan, of)
    config = posted_run(again)["run"]["config"]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (2, 8)
    assert (written_status(again).job.batch_size, written_status(again).job.gradient_accumulation_steps) == (
        2,
        8,
    )
    second = plan_after_end(
        run(
            written_status(again).wire() | {"job": written_status(again).job.wire() | {"id": "job2"}},
            config=BATCH_OF_FOUR,
        ),
        record=written_record(again),
        ended=job("ERROR", id="job2"),
        attempt_claim=claimed_by("job2"),
        report=failure_report("out_of_memory"),
    )
    config = posted_run(next_intent(second, of))["run"]["config"]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (1, 16)


def test_an_odd_batch_keeps_the_update_too() -> None:
    of = run_with_job(config={"batchSize": 3, "gradientAccumulationSteps": 5})
    config = posted_run(next_intent(plan_after_end(of, report=failure_report("out_of_memory")), of))["run"][
        "config"
    ]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (1, 15)


def test_with_a_batch_of_one_flavor_auto_chooses_larger_hardware() -> None:
    of = run_with_job(backend=AUTO)
    plan = plan_after_end(of, report=failure_report("out_of_memory"))
    again = next_intent(plan, of, flavors=OFFERED_FLAVORS)
    assert posted_run(again)["flavor"] == "l40sx1"
    nothing = next_intent(plan, of, flavors=(FLAVOR,))
    (done,) = written_record(nothing).completed.values()
    assert done.outcome == "NoFlavorFits"
    assert written_record(nothing).spent_by(RUN_UID) == 25_000


def test_named_hardware_is_not_replaced() -> None:
    plan = plan_after_end(run_with_job(), report=failure_report("out_of_memory"))
    (done,) = written_record(plan).completed.values()
    assert done.outcome == "OutOfMemory"
    assert "the run names its hardware" in done.message


# Time and money.


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
    asked = next_intent(plan_after_end(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    assert step_names(asked) == ["status"]
    assert (written_status(asked).phase, written_status(asked).reason) == (
        "AwaitingApproval",
        "NeedsApproval",
    )
    assert "attempt 2 may cost up to" in ready_message(asked)
    approved = {**written_status(asked).wire()}
    approval = {"approvedBy": "alice", "digest": written_status(asked).approval_digest}
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
    (done,) = written_record(plan).completed.values()
    assert (done.outcome, written_record(plan).spent_by(RUN_UID)) == ("OverBudget", 25_000)
    assert list(written_record(plan).settlements) == [KEY]


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


# Hardware that does not come.

STUCK = timedelta(minutes=25)


def plan_while_waiting(of: TrainingRun, **more: Any) -> Plan:
    facts = {**KNOWN_FACTS, "flavors": OFFERED_FLAVORS, "now": NOW + STUCK, "job": job("SCHEDULING"), **more}
    return plan_for(of, **facts)


def test_a_job_without_hardware_is_replaced_by_one_with_another_flavor() -> None:
    of = run_with_job(backend=AUTO)
    assert not written_status(plan_while_waiting(of, now=NOW + timedelta(minutes=19))).ending
    plan = plan_while_waiting(of)
    assert (step_names(plan), written_status(plan).ending) == (["status"], "StuckInScheduling")
    assert "l40sx1 is tried instead" in ready_message(plan)
    latched = run(written_status(plan).wire(), backend=AUTO)
    assert "cancel job1" in step_names(plan_while_waiting(latched))
    ended = plan_after_end(latched, ended=job("CANCELED"), attempt_claim=AttemptClaim(closed=True))
    again = next_intent(ended, of, flavors=OFFERED_FLAVORS, now=NOW + STUCK)
    assert posted_run(again)["flavor"] == "l40sx1"
    assert written_record(again).settlements[KEY].usd_micro == 0


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({}, {}),
        ({"backend": AUTO, "backoffLimit": 0}, {}),
        ({"backend": AUTO}, {"flavors": (FLAVOR,)}),
    ],
    ids=["named", "no further attempt", "no other hardware"],
)
def test_a_job_without_an_alternative_waits_until_the_deadline(spec: Json, facts: Json) -> None:
    assert not written_status(plan_while_waiting(run_with_job(**spec), **facts)).ending


# Suspension.


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


# The object's own end.


def finished_run(**more: Any) -> TrainingRun:
    status = {"phase": "Succeeded", "reason": "Trained", "finishedAt": NOW.isoformat(), **more}
    return run(status, meta={"finalizers": []}, ttlSecondsAfterFinished=3600)


def record_completed_by(uid: str) -> Record:
    """The record once the run was done by the object with this uid."""
    done = Completed(kind="TrainingRun", name="docs-1", uid=uid, outcome="Trained")
    return empty_record().with_(completed={state(finished_run()).identity: done})


def test_a_run_is_deleted_after_its_ttl() -> None:
    early = plan_for(finished_run(), record=record_completed_by(RUN_UID), now=NOW + timedelta(seconds=600))
    assert (early.empty, early.requeue_after) == (True, 3000.0)
    late = plan_for(finished_run(), record=record_completed_by(RUN_UID), now=NOW + timedelta(hours=1))
    assert step_names(late) == ["delete_run"]


@pytest.mark.parametrize(
    "record", [record_completed_by("another"), empty_record(), None], ids=["other", "unpaid", "lost"]
)
def test_a_run_that_its_record_does_not_name_is_not_deleted(record: Record | None) -> None:
    """One of the same name and spec is done already; or this one failed unpaid, and would do that again."""
    assert plan_for(finished_run(), record=record, now=NOW + timedelta(hours=1)) == Plan()


def test_the_values_of_an_attempt_follow_from_the_status_alone() -> None:
    of = run_with_job(
        config=BATCH_OF_FOUR,
        status={"job": {**submitted_status(id="j")["job"], "batchSize": 1, "gradientAccumulationSteps": 16}},
    )
    values = attempt_values(state(of))
    assert (values["batch_size"], values["gradient_accumulation_steps"]) == (1, 16)
    assert BASE.parameters
