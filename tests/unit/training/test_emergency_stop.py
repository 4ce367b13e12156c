"""While an emergency stop is set nothing is submitted; a job that runs goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.retried_runs import plan_after_end, run_between_attempts, run_with_job
from tests.unit.training.states import (
    KNOWN_FACTS,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    written_status,
)
from tests.unit.training.submitted_runs import WITH_INTENT

from modelops.domain.stop import Stop, StopScope

STOP = Stop(scope=StopScope.ALL, where="Delete ConfigMap modelops-stop-all", reason="costs", by="mia")


def test_a_new_run_waits_prepares_nothing_and_says_who_stopped_it() -> None:
    plan = plan_for(run(), stop=STOP)
    assert (step_names(plan), plan.needs) == (["status"], None)
    assert written_status(plan).reason == "EmergencyStop"
    assert ready_message(plan).startswith("all agents of this installation are stopped by mia: costs.")
    waiting = run(written_status(plan).wire())
    assert plan_for(waiting, stop=STOP).empty
    assert plan_for(waiting).needs is not None


def test_no_further_attempt_is_submitted_until_the_stop_is_lifted() -> None:
    latched = run_with_job(status={"ending": "Suspending"})
    later, record = run_between_attempts(
        plan_after_end(latched, ended=job("CANCELED", running_seconds=60)), latched
    )
    facts = {**KNOWN_FACTS, "record": record, "now": NOW + timedelta(days=1)}
    assert written_status(plan_for(later, stop=STOP, **facts)).reason == "EmergencyStop"
    assert written_status(plan_for(later, **facts)).job.attempt == 2


def test_a_submission_whose_answer_was_lost_is_found_but_not_repeated() -> None:
    found = plan_for(WITH_INTENT, stop=STOP, settle_period_passed=True, labelled=(job("RUNNING", id="job7"),))
    assert written_status(found).job.id == "job7"
    again = plan_for(WITH_INTENT, stop=STOP, settle_period_passed=True, labelled=())
    assert (step_names(again), written_status(again).reason) == (["status"], "EmergencyStop")


@pytest.mark.parametrize("stage", ["RUNNING", "SCHEDULING"])
def test_a_job_that_was_submitted_goes_on(stage: str) -> None:
    of = run_with_job()
    assert plan_for(of, stop=STOP, job=job(stage)) == plan_for(of, job=job(stage))
