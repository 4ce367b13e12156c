"""A job that gets no hardware: another flavor is tried if the run left the choice to the operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW
from tests.unit.training.retried_runs import (
    AUTO,
    OFFERED_FLAVORS,
    next_intent,
    plan_after_end,
    posted_run,
    run_with_job,
)
from tests.unit.training.states import (
    FLAVOR,
    KEY,
    KNOWN_FACTS,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.plan import Plan
from modelops.ports import AttemptClaim, Json

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
