"""A refusal between two attempts: earlier ones were paid for, so that the run waits until its deadline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.states import (
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_status,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import Outage
from modelops.domain.plan import Plan
from modelops.domain.training.state import Submission
from modelops.ports import Flavor

TOKEN_REFUSED = Outage(
    service="hf", message="answered 401: put a new token", refused=True, token_refused=True
)
REFUSED = Outage(service="hf", message="answered 402: no credit", refused=True)
PAST = {
    "attempt": 1,
    "reason": "TooSlow",
    "costUSD": "5",
    "label": "l1",
    "job": "job0",
    "flavor": "a10g-large",
}
SINCE = "2025-12-09T20:00:00Z"
UNTIL = "attempt 2 waits for that until 2025-12-10 00:00 UTC (spec.activeDeadlineSeconds)"


def run_between(**status: Any) -> TrainingRun:
    """A run of which the first attempt has ended and the second has no price yet."""
    kept = {**submitted_status(), "attempts": [PAST], "recipe": {"batchSize": 1}, "activeSince": SINCE}
    del kept["job"], kept["estimate"]
    return run({**kept, "phase": "Pending", "reason": "Retrying", **status})


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        ({"flavors": TOKEN_REFUSED}, "TokenRefused", "put a new token"),
        ({"flavors": REFUSED}, "PriceUnknown", "no credit"),
        ({"flavors": (Flavor(name="t4-small", usd_micro_per_hour=1),)}, "FlavorUnknown", "is not offered"),
        ({"base": TOKEN_REFUSED}, "TokenRefused", "put a new token"),
        ({"base": REFUSED}, "BaseModelNotFound", "accept the model's terms"),
        ({"base": None}, "BaseModelNotFound", "the token may not read it: check"),
    ],
)
def test_a_refusal_before_a_further_attempt_is_waited_for(
    facts: dict[str, Any], reason: str, words: str
) -> None:
    plan = plan_for(run_between(), **{**KNOWN_FACTS, **facts})
    assert step_names(plan) == ["status"]
    assert (written_status(plan).phase, written_status(plan).reason) == ("Pending", reason)
    assert words in ready_message(plan)
    assert UNTIL in ready_message(plan)
    assert "new run" not in ready_message(plan)
    waiting = run(written_status(plan).wire())
    assert step_names(plan_for(waiting, **{**KNOWN_FACTS, **facts})) == []
    assert step_names(plan_for(waiting, **KNOWN_FACTS)) == ["record", "status", "submit"]


POOR = agent_model(budget={"monthlyUSD": "0.1", "approvalAboveUSD": "10"})


def test_a_month_without_budget_is_waited_for_between_two_attempts() -> None:
    """Earlier attempts were paid for: a person may raise the budget, and the next month has one of its own."""
    plan = plan_for(run_between(), **{**KNOWN_FACTS, "agent_model": POOR})
    assert step_names(plan) == ["status"]
    assert (written_status(plan).phase, written_status(plan).reason) == ("Pending", "OverBudget")
    assert "raise the budget, or wait for the next month" in ready_message(plan)
    assert UNTIL in ready_message(plan)
    assert "new run" not in ready_message(plan)
    waiting = run(written_status(plan).wire())
    assert step_names(plan_for(waiting, **{**KNOWN_FACTS, "agent_model": POOR})) == []
    assert step_names(plan_for(waiting, **KNOWN_FACTS)) == ["record", "status", "submit"]


@pytest.mark.parametrize("offered", [(), (Flavor(name="cpu-basic", usd_micro_per_hour=10_000),)])
def test_hardware_that_is_not_offered_at_the_moment_is_waited_for_although_the_flavor_is_auto(
    offered: tuple[Flavor, ...],
) -> None:
    auto = {"backend": {"huggingFace": {"flavor": "auto"}}}
    of = run(run_between().status.wire(), **auto)
    plan = plan_for(of, **{**KNOWN_FACTS, "flavors": offered})
    assert step_names(plan) == ["status"]
    assert written_status(plan).phase == "Pending"
    assert "new run" not in ready_message(plan)
    waiting = run(written_status(plan).wire(), **auto)
    assert step_names(plan_for(waiting, **KNOWN_FACTS)) == ["record", "status", "submit"]


def refused_submission(reason: str, words: str) -> Plan:
    """The decision about a second attempt whose job the service refuses, after a first one with this reason."""
    of = submitted_status(attempts=[{**PAST, "reason": reason}], activeSince=SINCE)
    return plan_for(run({**of, "job": {**of["job"], "attempt": 2}}), submission=Submission(refused=words))


@pytest.mark.parametrize(
    "reason", ["TooSlow", "TimedOut", "JobLost", "OutOfMemory", "Suspended", "HubRefused"]
)
def test_a_further_attempt_whose_job_is_refused_waits_until_the_service_takes_it(reason: str) -> None:
    plan = refused_submission(reason, "the Hub answered 402: the account has no credit")
    assert step_names(plan) == ["status", "forget_submission"]
    status = written_status(plan)
    assert (status.phase, status.reason, status.ending) == ("Submitting", "SubmissionRefused", "")
    assert ready_message(plan) == (
        f"the service refuses the job: the Hub answered 402: the account has no credit; {UNTIL}"
    )


def test_the_deadline_ends_the_wait_for_a_permission() -> None:
    waiting = written_status(plan_for(run_between(), **{**KNOWN_FACTS, "base": TOKEN_REFUSED}))
    late = NOW + timedelta(hours=2)
    latched = written_status(plan_for(run(waiting.wire()), now=late))
    assert latched.ending == "DeadlineExceeded"
    (done,) = written_record(plan_for(run(latched.wire()), now=late)).completed.values()
    assert done.outcome == "DeadlineExceeded"


def test_after_a_suspension_the_wait_for_a_permission_begins_the_deadline() -> None:
    of = run_between(activeSince=None, phase="Suspended", reason="Suspended")
    plan = plan_for(of, **{**KNOWN_FACTS, "base": TOKEN_REFUSED})
    assert (written_status(plan).active_since, written_status(plan).phase) == (NOW, "Pending")
    assert "until 2025-12-10 02:00 UTC" in ready_message(plan)
