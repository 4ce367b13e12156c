"""The intent of a submission: reserved, written, posted, and covered by the budget."""

from __future__ import annotations

from typing import Any

from tests.unit.training.objects import INSTALLATION, NOW, ORG, RUN_UID, empty_record, prepared_status
from tests.unit.training.states import (
    KEY,
    KNOWN_FACTS,
    plan_for,
    run,
    state,
    step_names,
    submitted_job,
    written_record,
    written_status,
)

from modelops.domain.plan import Plan
from modelops.domain.record import Reservation


def submitted_run(plan: Plan) -> dict[str, Any]:
    return dict(submitted_job(plan).run)


def test_a_submission_is_reserved_then_written_as_intent_then_posted() -> None:
    plan = plan_for(run(prepared_status()))
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_record(plan).reservations[KEY] == Reservation(
        usd_micro=375_000,
        month="2025-12",
        name="docs-1",
        version="v1.1.0-rc.1",
        reserved_at=NOW.isoformat(timespec="seconds"),
        repo=submitted_run(plan)["output"]["repo"],
        account=ORG,
        label=f"{INSTALLATION}-{RUN_UID}-1",
    )
    job = written_status(plan).job
    assert (job.submissions, job.id, job.timeout_seconds) == (1, "", 900)
    sent = submitted_job(plan)
    assert (sent.label, sent.run["version"]) == (job.label, "v1.1.0-rc.1")


def test_a_job_knows_its_agent_model() -> None:
    sent = submitted_run(plan_for(run(prepared_status())))
    identity = (sent["name"], sent["identity"], sent["agent_model"], sent["installation"])
    assert identity == ("docs-1", state(run(prepared_status())).identity, "team/docs", INSTALLATION)


def test_an_existing_reservation_is_used_after_a_crash() -> None:
    before = written_record(plan_for(run(prepared_status())))
    assert step_names(plan_for(run(prepared_status()), record=before)) == ["status", "submit"]


def test_a_reservation_is_raised_if_the_price_rose_before_the_intent() -> None:
    before = written_record(plan_for(run(prepared_status())))
    dearer = prepared_status()
    dearer["estimate"]["highUSD"] = "0.5"
    plan = plan_for(run(dearer), record=before)
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_record(plan).reservations[KEY].usd_micro == 500_000
    rest = {"other/1": Reservation(usd_micro=100_000_000 - 400_000, month="2025-12", name="o")}
    tight = before.with_(reservations={**before.reservations, **rest})
    assert (
        written_record(plan_for(run(dearer), record=tight)).completed[state(run(dearer)).identity].outcome
        == "OverBudget"
    )


def test_data_read_again_after_the_reservation_get_a_new_version() -> None:
    before = written_record(plan_for(run(prepared_status())))
    other = prepared_status()
    other["dataset"]["digest"] = "sha256:" + "e" * 64
    after = written_record(plan_for(run(other), record=before))
    assert after.reservations[KEY].version == "v1.2.0-rc.1"
    assert after.allocated["v1.2.0-rc.1"]["dataset_digest"] == other["dataset"]["digest"]


def test_the_dataset_is_fixed_by_the_write_of_the_intent() -> None:
    plan = plan_for(**KNOWN_FACTS)
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_status(plan).dataset is not None
    assert written_status(plan).job is not None


def test_a_budget_that_was_spent_meanwhile_ends_the_run() -> None:
    others = {f"other-{n}/1": Reservation(usd_micro=10**7, month="2025-12", name="o") for n in range(10)}
    plan = plan_for(run(prepared_status()), record=empty_record().with_(reservations=others))
    ended = written_record(plan)
    assert step_names(plan) == ["record"]
    assert ended.completed[state(run(prepared_status())).identity].outcome == "OverBudget"
    assert KEY not in ended.reservations


def test_last_month_does_not_count() -> None:
    old = {"other/1": Reservation(usd_micro=10**8, month="2025-11", name="o")}
    assert (
        step_names(plan_for(run(prepared_status()), record=empty_record().with_(reservations=old)))[-1]
        == "submit"
    )
