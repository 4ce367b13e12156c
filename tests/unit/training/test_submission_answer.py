"""The answer to a submission: recorded, awaited, found by its label, or refused."""

from __future__ import annotations

from tests.unit.training.states import (
    CLOSED_CLAIM,
    KEY,
    LABEL,
    claimed_by,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_status,
    written_record,
    written_status,
)
from tests.unit.training.submitted_runs import OUTAGE, WITH_INTENT

from modelops.domain.training.state import Submission


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
