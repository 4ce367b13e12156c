"""Once an intent is on record, the installation's settings no longer decide where its job, claims and model are."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.training.objects import DEFAULTS, NAMESPACE, NOW, ORG, RUN, empty_record, prepared_status
from tests.unit.training.retried_runs import next_intent, plan_after_end, posted_run, run_with_job
from tests.unit.training.simulation import Faults, PaidJobSimulation
from tests.unit.training.states import (
    KEY,
    KNOWN_FACTS,
    plan_for,
    run,
    state,
    step_names,
    submitted_job,
    submitted_status,
    written_record,
)

from modelops.domain.plan import Plan
from modelops.domain.training.effective_spec import billed_namespace, output_repository
from modelops.domain.training.naming import installation_of
from modelops.domain.training.state import TrainingSettings

MOVED = TrainingSettings(installation="99999999", hub_org="another-org", defaults=DEFAULTS)


def submitted() -> Plan:
    return plan_for(run(prepared_status()))


def place(of: Any, **changes: Any) -> tuple[str, str]:
    found = state(of, **changes)
    return output_repository(found), billed_namespace(found)


def test_a_submitted_run_stays_in_its_repository_and_account() -> None:
    record = written_record(submitted())
    with_job = run(submitted_status(id="job1"))
    before = place(with_job, record=record)
    assert before[1] == ORG
    assert place(with_job, record=record, settings=MOVED) == before


def test_a_reservation_without_an_intent_is_submitted_where_it_was_made() -> None:
    record = written_record(submitted())
    plan = plan_for(run(prepared_status()), record=record, settings=MOVED)
    assert step_names(plan) == ["status", "submit"]
    assert submitted_job(plan).namespace == ORG
    assert submitted_job(plan).run["output"]["repo"] == record.reservations[KEY].repo


def test_a_further_attempt_follows_the_first_one() -> None:
    """It is settled by then, so that no reservation names the place any more."""
    of = run_with_job()
    plan = plan_after_end(of, record=written_record(submitted()), settings=MOVED)
    assert written_record(plan).settlements[KEY].account == ORG
    again = next_intent(plan, of, now=NOW.replace(hour=23), settings=MOVED, **KNOWN_FACTS)
    assert posted_run(again)["namespace"] == ORG
    assert posted_run(again)["run"]["output"]["repo"].startswith(f"{ORG}/")


def test_a_submitted_run_whose_record_was_lost_stays_with_its_dataset() -> None:
    assert place(run(submitted_status(id="job1")), record=empty_record(), settings=MOVED)[1] == ORG


def test_a_run_that_reserved_nothing_follows_the_settings() -> None:
    assert place(run(prepared_status()), settings=MOVED)[1] == "another-org"


@pytest.mark.parametrize("label", ["0a1b2c3d-7f3c-1", "99999999-7f3c-1"])
def test_the_label_names_the_installation_that_submitted_the_job(label: str) -> None:
    assert installation_of(label) == label[:8]


async def test_an_operator_with_other_settings_follows_the_job_of_its_predecessor() -> None:
    """MODELOPS_HUB_ORG was changed, and the operator was installed anew, while the job trained."""
    simulation = PaidJobSimulation(Faults(takeovers=0, lost_answers=0), stepped=False)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    (job,) = simulation.jobs.jobs
    job.listed = True
    simulation.hub_org, simulation.installation = "another-org", "99999999"
    simulation.lead(stale=False)
    simulation.hub.starts(job)
    await simulation.reconciler.reconcile(NAMESPACE, RUN)
    simulation.finish(job)
    for _ in range(3):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    simulation.check_at_rest()
    assert simulation.status()["phase"] == "Succeeded"
    assert len(simulation.jobs.jobs) == 1
    assert set(simulation.jobs.nonces) == {simulation.jobs.requests[0].environment["MODELOPS_NONCE"]}
