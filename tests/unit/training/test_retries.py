"""What follows a failed attempt: another one, with other hardware or batch where it helps, or the end of the run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID
from tests.unit.training.retried_runs import (
    AUTO,
    OFFERED_FLAVORS,
    failure_report,
    next_intent,
    plan_after_end,
    posted_run,
    run_with_job,
)
from tests.unit.training.states import (
    BASE,
    FLAVOR,
    KEY,
    agent_model,
    claimed_by,
    job,
    plan_for,
    record_with_reservation,
    run,
    state,
    step_names,
    submitted_status,
    written_record,
    written_status,
)

from modelops.domain.job_report import JobReport
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.training.next_attempt import attempt_values
from modelops.domain.training.state import Submission

BATCH_OF_FOUR = {"batchSize": 4, "gradientAccumulationSteps": 4}


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


def test_a_job_that_was_killed_without_a_word_is_not_repeated_on_the_same_machine() -> None:
    killed = job("ERROR", running_seconds=60, exit_code=137, message="Job failed with exit code: 137")
    of = run_with_job(backend=AUTO)
    plan = plan_after_end(of, ended=killed)
    assert written_status(plan).attempts[0].reason == "JobKilled"
    memory = {"a10g-large": 46.0, "l40sx1": 46.0, "a100-large": 142.0}
    offered = tuple(replace(one, machine_gigabytes=memory[one.name]) for one in OFFERED_FLAVORS)
    assert posted_run(next_intent(plan, of, flavors=offered))["flavor"] == "a100-large"
    assert posted_run(next_intent(plan, of, flavors=OFFERED_FLAVORS))["flavor"] == "l40sx1"  # memory unknown
    (done,) = written_record(plan_after_end(run_with_job(), ended=killed)).completed.values()
    assert done.outcome == "JobKilled"
    assert "whose machine has more memory" in done.message


@pytest.mark.parametrize(("checkpoint", "follows"), [(40, True), (0, False)])
def test_a_timeout_is_judged_by_the_checkpoint_that_the_job_reported(checkpoint: int, follows: bool) -> None:
    """Nobody may have seen the progress; and progress alone does not show that a checkpoint was stored."""
    report = JobReport(kind="log", t=1.0, began_at=0.0, step=50, max_steps=90, checkpoint=checkpoint)
    ended = job("CANCELED", running_seconds=900)
    assert bool(step_names(plan_after_end(run_with_job(), ended=ended, report=report))[1:]) is follows


@pytest.mark.parametrize(("checkpoint", "follows"), [(40, True), (0, False)])
def test_a_refused_model_is_published_by_another_attempt_only_from_a_checkpoint(
    checkpoint: int, follows: bool
) -> None:
    refused = JobReport(
        kind="error", t=1.0, began_at=0.0, failure="failed", error="HubRefused: 403", checkpoint=checkpoint
    )
    plan = plan_after_end(run_with_job(), report=refused)
    assert (step_names(plan) == ["record", "status"]) is follows


def test_an_attempt_after_a_refusal_waits_until_the_token_may_submit_again() -> None:
    """A model was paid for: it is not lost because a Secret is changed late."""
    past = {"attempt": 1, "reason": "HubRefused", "costUSD": "0.1", "label": "l1", "job": "job0"}
    job_status = {**submitted_status()["job"], "attempt": 2}
    of = run({**submitted_status(), "attempts": [past], "job": job_status})
    refused = Submission(refused="the Hub answered 401: the token is wrong or expired")
    plan = plan_for(of, submission=refused)
    assert step_names(plan) == ["status", "forget_submission"]
    assert written_status(plan).reason == "SubmissionRefused"
    assert written_status(plan).ending == ""
    first = run(submitted_status())
    assert written_status(plan_for(first, submission=refused)).ending == "SubmissionRefused"


def test_named_hardware_is_not_replaced() -> None:
    plan = plan_after_end(run_with_job(), report=failure_report("out_of_memory"))
    (done,) = written_record(plan).completed.values()
    assert done.outcome == "OutOfMemory"
    assert "the run names its hardware" in done.message


def test_the_values_of_an_attempt_follow_from_the_status_alone() -> None:
    of = run_with_job(
        config=BATCH_OF_FOUR,
        status={"job": {**submitted_status(id="j")["job"], "batchSize": 1, "gradientAccumulationSteps": 16}},
    )
    values = attempt_values(state(of))
    assert (values["batch_size"], values["gradient_accumulation_steps"]) == (1, 16)
    assert BASE.parameters
