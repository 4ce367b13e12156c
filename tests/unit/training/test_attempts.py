"""What follows an attempt that failed: another one, made otherwise, or the run's end; and runs that are suspended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID, empty_record, prepared_status
from tests.unit.training.observation import (
    BASE,
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
    submission_of,
    submitted,
    won,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import Outage
from modelops.domain.job_report import JobReport
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.record import Completed, Record, Settlement
from modelops.domain.training.next_attempt import attempt_values
from modelops.ports import AttemptClaim, Flavor, Job, Json, ModelInfo

BIG = {"batchSize": 4, "gradientAccumulationSteps": 4}
AUTO: Json = {"huggingFace": {"flavor": "auto"}}
LARGER = Flavor(name="l40sx1", usd_micro_per_hour=1_800_000, accelerator="1x L40S 48 GB", devices=1)
LARGEST = Flavor(name="a100-large", usd_micro_per_hour=2_500_000, accelerator="1x A100 80 GB", devices=1)
OFFERED = (FLAVOR, LARGER, LARGEST)


def reported(failure: str, **more: Any) -> JobReport:
    return JobReport(kind="error", t=1.0, began_at=0.0, failure=failure, error="its words", **more)  # type: ignore[arg-type]


def over(of: TrainingRun, *, ended: Job | None = None, report: JobReport | None = None, **more: Any) -> Plan:
    """The decision about a recorded job that has ended and claimed its attempt."""
    facts: dict[str, Any] = {
        "job": ended or job("ERROR", running_seconds=60),
        "attempt_claim": won(),
        "labelled": (),
    }
    return decided(of, **{**facts, "report": report, "result": None, "lineage": None, **more})


def recorded(**spec: Any) -> TrainingRun:
    return run(submitted(id="job1", **spec.pop("status", {})), **spec)


def between(plan: Plan, of: TrainingRun, **more: Any) -> tuple[TrainingRun, Record]:
    """The run and the record as the plan leaves them."""
    return run(said(plan).wire(), **{**of.spec.wire(), **more}), booked(plan)


def next_intent(plan: Plan, of: TrainingRun, *, now: datetime = NOW, **facts: Any) -> Plan:
    """What is decided after the plan was carried out."""
    later, record = between(plan, of)
    return decided(later, **{**KNOWN, "record": record, "now": now, **facts})


def posted(plan: Plan) -> Json:
    """What the plan submits."""
    return vars(submission_of(plan))


# One failure after the other.


def test_a_lost_job_is_settled_first_and_followed_by_an_attempt_of_the_same_version_and_recipe() -> None:
    of = recorded()
    plan = over(of)
    assert actions(plan) == ["record", "status"]
    assert booked(plan).settlements[KEY].usd_micro == 25_000
    assert KEY not in booked(plan).reservations
    assert not booked(plan).completed
    status = said(plan)
    assert (status.phase, status.reason, status.job, status.estimate) == ("Pending", "Retrying", None, None)
    assert [(a.attempt, a.job, a.reason, a.cost_usd) for a in status.attempts] == [
        (1, "job1", "JobLost", "0.025")
    ]
    assert status.cost_usd == "0.025"
    edited = agent_model(trainingDefaults={"numEpochs": 9})
    again = next_intent(plan, of, now=NOW + timedelta(seconds=31), agent_model=edited)
    assert actions(again) == ["record", "status", "submit"]
    assert said(again).job.attempt == 2
    assert posted(again)["label"].endswith(f"{RUN_UID}-2")
    assert posted(again)["run"]["attempt"] == 2
    assert posted(again)["run"]["version"] == "v1.1.0-rc.1"
    assert (
        posted(again)["run"]["config"]["num_epochs"] == 9
    )  # this run was submitted before recipes were kept
    assert booked(again).reservations[f"{RUN_UID}/2"].usd_micro == micro(said(again).estimate.high_usd)
    third = over(
        run(said(again).wire() | {"job": said(again).job.wire() | {"id": "job2"}}),
        record=booked(again),
        ended=job("ERROR", id="job2"),
        attempt_claim=won("job2"),
    )
    assert posted_config(third, edited=agent_model(trainingDefaults={"numEpochs": 2})) == 9


def posted_config(plan: Plan, *, edited: Any) -> int:
    """Epochs of the attempt that follows, after the AgentModel was edited."""
    again = next_intent(plan, recorded(), now=NOW + timedelta(minutes=5), agent_model=edited)
    epochs: int = posted(again)["run"]["config"]["num_epochs"]
    return epochs


def test_a_crash_between_the_settlement_and_the_status_settles_nothing_twice() -> None:
    of = recorded()
    plan = over(of)
    again = over(of, record=booked(plan))
    assert actions(again) == ["status"]
    assert said(again).cost_usd == "0.025"
    ended = over(recorded(cancel=True), record=booked(plan))
    assert booked(ended).settlements == booked(plan).settlements


def test_after_a_loss_it_waits_and_longer_after_each_further_one() -> None:
    of = recorded()
    once = over(of)
    assert next_intent(once, of).requeue_after == 30.0
    past = {**said(once).attempts[0].wire(), "attempt": 2}
    twice = over(recorded(status={"attempts": [said(once).attempts[0].wire(), past]}), record=reserved())
    assert actions(twice) == ["record"]  # the default is two further attempts
    longer = over(recorded(status={"attempts": [past]}))
    assert next_intent(longer, of).requeue_after == 60.0


@pytest.mark.parametrize("stage", ["ERROR", "CANCELED"])
@pytest.mark.parametrize("failure", ["bad_data", "never_stops", "failed"])
def test_what_another_attempt_would_meet_again_ends_the_run(failure: str, stage: str) -> None:
    plan = over(recorded(), ended=job(stage, running_seconds=60), report=reported(failure))
    assert actions(plan) == ["record"]
    assert len(booked(plan).completed) == 1


def test_a_job_that_somebody_stopped_at_the_service_is_not_started_again() -> None:
    plan = over(recorded(), ended=job("CANCELED", running_seconds=60))
    (done,) = booked(plan).completed.values()
    assert done.outcome == "JobStopped"


def test_retries_are_bounded_and_a_message_says_so() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.1"}
    plan = over(recorded(status={"attempts": [past]}, backoffLimit=1))
    (done,) = booked(plan).completed.values()
    assert "no further attempt: spec.backoffLimit is 1" in done.message
    assert (
        not booked(over(recorded(backoffLimit=0)))
        .completed[state(recorded(backoffLimit=0)).identity]
        .message.count("no further")
    )


# Memory.


def test_after_it_ran_out_of_memory_half_the_batch_makes_the_same_updates() -> None:
    of = recorded(config=BIG)
    plan = over(of, report=reported("out_of_memory"))
    again = next_intent(plan, of)
    config = posted(again)["run"]["config"]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (2, 8)
    assert (said(again).job.batch_size, said(again).job.gradient_accumulation_steps) == (2, 8)
    second = over(
        run(said(again).wire() | {"job": said(again).job.wire() | {"id": "job2"}}, config=BIG),
        record=booked(again),
        ended=job("ERROR", id="job2"),
        attempt_claim=won("job2"),
        report=reported("out_of_memory"),
    )
    config = posted(next_intent(second, of))["run"]["config"]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (1, 16)


def test_an_odd_batch_keeps_its_updates_too() -> None:
    of = recorded(config={"batchSize": 3, "gradientAccumulationSteps": 5})
    config = posted(next_intent(over(of, report=reported("out_of_memory")), of))["run"]["config"]
    assert (config["batch_size"], config["gradient_accumulation_steps"]) == (1, 15)


def test_with_a_batch_of_one_larger_hardware_is_taken_where_the_choice_was_ours() -> None:
    of = recorded(backend=AUTO)
    plan = over(of, report=reported("out_of_memory"))
    again = next_intent(plan, of, flavors=OFFERED)
    assert posted(again)["flavor"] == "l40sx1"
    nothing = next_intent(plan, of, flavors=(FLAVOR,))
    (done,) = booked(nothing).completed.values()
    assert done.outcome == "NoFlavorFits"
    assert booked(nothing).spent_by(RUN_UID) == 25_000


def test_hardware_that_was_chosen_by_name_is_not_replaced() -> None:
    plan = over(recorded(), report=reported("out_of_memory"))
    (done,) = booked(plan).completed.values()
    assert done.outcome == "OutOfMemory"
    assert "the run names its hardware" in done.message


# Time and money.


def test_a_timeout_is_gone_on_from_only_where_a_checkpoint_was_kept() -> None:
    late = job("ERROR", running_seconds=900)
    short = over(recorded(), ended=late)
    assert "without a checkpoint" in next(iter(booked(short).completed.values())).message
    estimate = {**prepared_status()["estimate"], "highMinutes": 60}
    kept = {"estimate": estimate, "progress": {"percent": 90, "step": 90, "maxSteps": 100}}
    assert said(over(recorded(status=kept), ended=late)).reason == "Retrying"
    early = {"estimate": estimate, "progress": {"percent": 1, "step": 1, "maxSteps": 10000}}
    assert actions(over(recorded(status=early), ended=late)) == ["record"]


def test_a_job_that_saw_it_was_too_slow_is_followed_by_one_with_the_time_that_it_measured() -> None:
    of = recorded()
    slow = reported("too_slow", metrics={"seconds_left": 6000.0})
    again = next_intent(over(of, report=slow), of)
    estimate = said(again).estimate
    assert (estimate.low_minutes, estimate.high_minutes) == (100, 125)
    assert "measured by attempt 1" in estimate.source
    assert said(again).job.timeout_seconds == 125 * 60
    dear = recorded(maxUSD="2")
    refused = next_intent(over(dear, report=slow), dear)
    (done,) = booked(refused).completed.values()
    assert done.outcome == "OverMaxUSD"
    assert "another attempt may cost up to $3.13, earlier attempts cost $0.03" in done.message


def test_a_further_attempt_is_bounded_by_what_is_left_of_the_money() -> None:
    of = recorded(maxUSD="0.40")
    again = next_intent(over(of), of, now=NOW + timedelta(minutes=1))
    estimate = said(again).estimate
    assert micro(estimate.high_usd) + 25_000 <= 400_000
    assert "spec.maxUSD" in estimate.source
    assert estimate.high_minutes >= estimate.low_minutes


def test_attempts_together_above_the_threshold_need_an_approval() -> None:
    of, careful = recorded(), agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.51"})
    asked = next_intent(over(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    assert actions(asked) == ["status"]
    assert (said(asked).phase, said(asked).reason) == ("AwaitingApproval", "NeedsApproval")
    assert "attempt 2 may cost up to" in message(asked)
    approved = {**said(asked).wire()}
    approval = {"approvedBy": "alice", "digest": said(asked).approval_digest}
    record = booked(over(of))
    going = decided(
        run(approved, approval=approval),
        **KNOWN,
        record=record,
        agent_model=careful,
        now=NOW + timedelta(minutes=2),
    )
    assert actions(going) == ["record", "status", "submit"]


def test_who_approved_the_first_attempt_approved_spec_max_usd() -> None:
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "Approved",
        "message": "",
        "lastTransitionTime": "2025-12-09T21:00:00Z",
        "observedGeneration": 1,
    }
    of = recorded(status={"conditions": [condition], "approvalDigest": "sha256:" + "a" * 64})
    careful = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.01"})
    again = next_intent(over(of), of, now=NOW + timedelta(minutes=1), agent_model=careful)
    assert actions(again) == ["record", "status", "submit"]
    assert said(again).approval_digest == "sha256:" + "a" * 64


def test_the_month_must_cover_every_attempt() -> None:
    of, poor = recorded(), agent_model(budget={"monthlyUSD": "0.30"})
    plan = next_intent(over(of), of, now=NOW + timedelta(minutes=1), agent_model=poor)
    (done,) = booked(plan).completed.values()
    assert (done.outcome, booked(plan).spent_by(RUN_UID)) == ("OverBudget", 25_000)
    assert list(booked(plan).settlements) == [KEY]


def test_the_cost_and_the_lineage_are_of_all_attempts() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.1"}
    second = {**submitted(id="job2")["job"], "attempt": 2}
    settled = Settlement(usd_micro=100_000, month="2025-12", version="v1.1.0-rc.1")
    cover = reserved().reservations[KEY]
    record = reserved().with_(settlements={KEY: settled}, reservations={f"{RUN_UID}/2": cover})
    of = recorded(status={"attempts": [past], "job": second})
    plan = decided(
        of,
        record=record,
        job=job("COMPLETED", id="job2", running_seconds=60),
        attempt_claim=won("job2"),
        labelled=(),
        result=ModelInfo(repo="x", revision="r" * 40),
        lineage={"run": RUN_UID},
        report=None,
    )
    assert booked(plan).history[-1].lineage["cost_usd"] == "0.125"
    assert said(decided(of, record=booked(plan))).cost_usd == "0.125"


def test_a_model_that_was_published_before_the_job_was_lost_is_kept() -> None:
    facts = {"result": ModelInfo(repo="x", revision="r" * 40), "lineage": {"run": RUN_UID}}
    assert booked(over(recorded(), **facts)).history[-1].deployment_status == "trained"
    other = {**facts, "lineage": {"run": "another"}}
    assert said(over(recorded(), **other)).reason == "Retrying"
    away = Outage(service="hf", message="answered 503", retry_after=9.0)
    for unread in ({**facts, "result": away}, {**facts, "lineage": away}):
        waits = over(recorded(), **unread)
        assert (actions(waits), said(waits).reason, waits.requeue_after) == (
            ["status"],
            "HubUnavailable",
            9.0,
        )


# Hardware that does not come.

STUCK = timedelta(minutes=25)


def waiting(of: TrainingRun, **more: Any) -> Plan:
    facts = {**KNOWN, "flavors": OFFERED, "now": NOW + STUCK, "job": job("SCHEDULING"), **more}
    return decided(of, **facts)


def test_a_job_that_gets_no_hardware_is_given_up_for_another_flavor() -> None:
    of = recorded(backend=AUTO)
    assert not said(waiting(of, now=NOW + timedelta(minutes=19))).ending
    plan = waiting(of)
    assert (actions(plan), said(plan).ending) == (["status"], "StuckInScheduling")
    assert "l40sx1 is tried instead" in message(plan)
    latched = run(said(plan).wire(), backend=AUTO)
    assert "cancel job1" in actions(waiting(latched))
    ended = over(latched, ended=job("CANCELED"), attempt_claim=AttemptClaim(closed=True))
    again = next_intent(ended, of, flavors=OFFERED, now=NOW + STUCK)
    assert posted(again)["flavor"] == "l40sx1"
    assert booked(again).settlements[KEY].usd_micro == 0


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({}, {}),
        ({"backend": AUTO, "backoffLimit": 0}, {}),
        ({"backend": AUTO}, {"flavors": (FLAVOR,)}),
    ],
    ids=["named", "no further attempt", "no other hardware"],
)
def test_otherwise_it_is_waited_for_until_the_deadline(spec: Json, facts: Json) -> None:
    assert not said(waiting(recorded(**spec), **facts)).ending


# Suspension.


def test_a_suspended_run_stops_its_job_and_goes_on_with_another() -> None:
    of = recorded(suspend=True)
    latch = decided(of, job=job())
    assert (actions(latch), said(latch).ending) == (["status"], "Suspending")
    latched = run(said(latch).wire(), suspend=True)
    assert "cancel job1" in actions(decided(latched, job=job()))
    ended = over(latched, ended=job("CANCELED", running_seconds=60))
    assert actions(ended) == ["record", "status"]
    status = said(ended)
    assert (status.phase, status.reason, status.active_since, status.ending) == (
        "Suspended",
        "Suspended",
        None,
        "",
    )
    later, record = between(ended, latched)
    assert decided(later, **KNOWN, record=record).empty
    resumed, _ = between(ended, latched, suspend=False)
    again = decided(resumed, **KNOWN, record=record, now=NOW + timedelta(days=30))
    assert said(again).job.attempt == 2
    assert said(again).active_since == NOW + timedelta(days=30)


def test_a_suspension_that_was_taken_back_while_the_job_was_stopped_still_is_one() -> None:
    latched = recorded(status={"ending": "Suspending"})
    ended = over(latched, ended=job("CANCELED", running_seconds=60))
    assert said(ended).attempts[0].reason == "Suspended"


def test_a_suspension_counts_as_no_retry() -> None:
    past = [{"attempt": n, "reason": "Suspended"} for n in (1, 2, 3)]
    assert said(over(recorded(status={"attempts": past}))).reason == "Retrying"


def test_a_run_that_is_suspended_from_the_start_prepares_nothing() -> None:
    plan = decided(run(suspend=True))
    assert (actions(plan), said(plan).phase) == (["status"], "Suspended")
    assert "set it to false" in message(plan)


@pytest.mark.parametrize("how", [{"cancel": True}, {"meta": {"deletionTimestamp": "2025-12-09T21:55:00Z"}}])
def test_a_run_between_two_attempts_is_ended_through_the_record(how: Json) -> None:
    of = recorded()
    plan = over(of)
    ended = decided(run(said(plan).wire(), **how), record=booked(plan))
    assert actions(ended) == ["record"]
    (done,) = booked(ended).completed.values()
    assert done.outcome == "Cancelled"
    assert list(booked(ended).settlements) == [KEY]


def test_the_deadline_counts_from_the_first_submission() -> None:
    began = (NOW - timedelta(hours=3)).isoformat()
    of = recorded(status={"activeSince": began}, activeDeadlineSeconds=7200)
    assert said(decided(of)).ending == "DeadlineExceeded"
    ended = over(
        run(said(decided(of)).wire(), activeDeadlineSeconds=7200), ended=job("CANCELED"), attempt_claim=CLOSED
    )
    assert next(iter(booked(ended).completed.values())).outcome == "DeadlineExceeded"


def test_a_suspended_run_has_no_deadline() -> None:
    latched = recorded(status={"ending": "Suspending"}, activeDeadlineSeconds=7200)
    later, record = between(over(latched, ended=job("CANCELED")), latched, suspend=True)
    assert decided(later, **KNOWN, record=record, now=NOW + timedelta(days=9)).empty


# The object's own end.


def finished(**more: Any) -> TrainingRun:
    status = {"phase": "Succeeded", "reason": "Trained", "finishedAt": NOW.isoformat(), **more}
    return run(status, meta={"finalizers": []}, ttlSecondsAfterFinished=3600)


def done_by(uid: str) -> Record:
    """The record once the run was done by the object with this uid."""
    done = Completed(kind="TrainingRun", name="docs-1", uid=uid, outcome="Trained")
    return empty_record().with_(completed={state(finished()).identity: done})


def test_a_run_is_deleted_when_its_time_has_passed() -> None:
    early = decided(finished(), record=done_by(RUN_UID), now=NOW + timedelta(seconds=600))
    assert (early.empty, early.requeue_after) == (True, 3000.0)
    late = decided(finished(), record=done_by(RUN_UID), now=NOW + timedelta(hours=1))
    assert actions(late) == ["delete_run"]


@pytest.mark.parametrize(
    "record", [done_by("another"), empty_record(), None], ids=["other", "unpaid", "lost"]
)
def test_a_run_that_git_would_re_create_does_not_come_and_go_for_ever(record: Record | None) -> None:
    """One of the same name and spec is done already; or this one failed unpaid, and would do that again."""
    assert decided(finished(), record=record, now=NOW + timedelta(hours=1)) == Plan()


def test_what_an_attempt_has_follows_from_the_status_alone() -> None:
    of = recorded(
        config=BIG,
        status={"job": {**submitted(id="j")["job"], "batchSize": 1, "gradientAccumulationSteps": 16}},
    )
    values = attempt_values(state(of))
    assert (values["batch_size"], values["gradient_accumulation_steps"]) == (1, 16)
    assert BASE.parameters
