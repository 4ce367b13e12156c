"""Measured speeds are kept in the record and correct the next estimate of the same kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.training.objects import NAMESPACE, RUN, empty_record, record_json
from tests.unit.training.simulation import RECORD_NAME, RUN_NAME, Faults, PaidJobSimulation
from tests.unit.training.states import (
    claimed_by,
    job,
    plan_for,
    record_with_reservation,
    run,
    state,
    submitted_status,
)
from tests.unit.training.submitted_runs import (
    COMPLETED_FACTS,
    LINEAGE,
    OUTAGE,
    PUBLISHED_MODEL,
    WITH_JOB,
    report,
)

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import WriteRecord
from modelops.domain.record import Record, Settlement, TrainingSpeeds
from modelops.domain.record_bound import bounded_data
from modelops.domain.training.pricing.measured_speed import (
    MAX_KINDS,
    MAX_RUNS,
    measured_speed,
    measured_speeds,
    with_measured_speed,
)

NO_FAULTS = Faults(takeovers=0, lost_answers=0)
MEASURED_REPORT = report(kind="done", step=60, max_steps=60, epoch=3.0, metrics={"seconds_per_step": 2.0})
"""30,000 tokens three times in two minutes."""
TOO_SLOW_REPORT = report(
    kind="error", failure="too_slow", step=6, max_steps=60, epoch=0.3, metrics={"seconds_per_step": 20.0}
)
KIND = {"flavor": "a10g-large", "method": "sft", "base_model": "Qwen/Qwen2.5-Coder-7B"}


def record_after(**facts: Any) -> Record:
    plan = plan_for(WITH_JOB, **facts)
    return next(step.record for step in plan.steps if isinstance(step, WriteRecord))


def test_the_speed_of_a_verified_model_is_recorded_with_it() -> None:
    ended = {**COMPLETED_FACTS, "result": PUBLISHED_MODEL, "lineage": LINEAGE}
    assert plan_for(WITH_JOB, **{**ended, "report": UNSEEN}).needs == "report"
    record = record_after(**{**ended, "report": MEASURED_REPORT})
    assert record.speeds == (TrainingSpeeds(**KIND, tokens_per_second=(750.0,)),)
    assert record.entry("v1.1.0-rc.1") is not None


@pytest.mark.parametrize("unknown", [None, OUTAGE], ids=["no log", "outage"])
def test_an_end_does_not_depend_on_the_jobs_log(unknown: Outage | None) -> None:
    record = record_after(
        **{**COMPLETED_FACTS, "result": PUBLISHED_MODEL, "lineage": LINEAGE, "report": unknown}
    )
    assert record.speeds == ()
    assert record.entry("v1.1.0-rc.1") is not None


def test_the_speed_of_a_too_slow_job_is_recorded_too() -> None:
    ended = {"job": job("ERROR"), "attempt_claim": claimed_by(), "labelled": (job("ERROR"),)}
    assert record_after(**ended, report=TOO_SLOW_REPORT).speeds == (
        TrainingSpeeds(**KIND, tokens_per_second=(75.0,)),
    )


@pytest.mark.parametrize(
    "of",
    {
        "still training": replace(MEASURED_REPORT, kind="log"),
        "ended otherwise": replace(TOO_SLOW_REPORT, failure="out_of_memory"),
        "no pace": replace(MEASURED_REPORT, metrics={}),
        "no step": replace(MEASURED_REPORT, step=0),
        "no epoch": replace(MEASURED_REPORT, epoch=0.0),
        "a pace of nothing": replace(MEASURED_REPORT, metrics={"seconds_per_step": 0.0}),
        "a pace before its time": replace(MEASURED_REPORT, metrics={"seconds_per_step": -1.0}),
        "beyond belief": replace(MEASURED_REPORT, metrics={"seconds_per_step": 1e-9}),
        "stood still": replace(MEASURED_REPORT, metrics={"seconds_per_step": 1e9}),
        "nothing": None,
    }.values(),
)
def test_a_report_without_a_speed_is_not_recorded(of: JobReport | None) -> None:
    moment = state(WITH_JOB, report=of)
    assert measured_speed(moment) is None
    assert with_measured_speed(moment, empty_record()) == empty_record()


def test_a_settled_attempt_is_not_measured_twice() -> None:
    moment = state(WITH_JOB, report=MEASURED_REPORT)
    once = with_measured_speed(moment, empty_record())
    settled = {moment.reservation_key: Settlement(usd_micro=1, month="2025-12")}
    assert with_measured_speed(moment, once.with_(settlements=settled)).speeds == once.speeds


def test_the_newest_runs_of_a_kind_count_and_the_kinds_trained_last() -> None:
    record = empty_record()
    for number in range(MAX_RUNS + 3):
        pace = replace(MEASURED_REPORT, metrics={"seconds_per_step": 1.0 + number})
        record = with_measured_speed(state(WITH_JOB, report=pace), record)
    (known,) = record.speeds
    assert len(known.tokens_per_second) == MAX_RUNS
    assert known.tokens_per_second[-1] == pytest.approx(1500 / (MAX_RUNS + 3), rel=1e-3)
    for number in range(MAX_KINDS):
        other = run(submitted_status(id="job1"), baseModel=f"org/base-{number}")
        record = with_measured_speed(state(other, report=MEASURED_REPORT), record)
    assert len(record.speeds) == MAX_KINDS
    assert not any(kind.matches(**KIND) for kind in record.speeds)
    assert measured_speeds(record, method="sft", base_model="org/base-3") == {"a10g-large": (750.0,)}
    assert measured_speeds(record, method="dpo", base_model="org/base-3") == {}


def test_measurements_are_stored_and_an_older_record_has_none() -> None:
    record = with_measured_speed(state(WITH_JOB, report=MEASURED_REPORT), record_with_reservation())
    assert Record.from_data(record.to_data()) == record
    data = record_with_reservation().to_data()
    data["ledger.json"] = data["ledger.json"].replace(',"speeds":[]', "")
    assert "speeds" not in data["ledger.json"]
    assert Record.from_data(data).speeds == ()


def test_a_record_that_is_too_large_keeps_the_kinds_trained_last() -> None:
    speeds = tuple(
        TrainingSpeeds(flavor=f"f{number}", method="sft", base_model="m") for number in range(MAX_KINDS)
    )
    compared = {f"{number:0100d}": 1 for number in range(8000)}
    kept = Record.from_data(bounded_data(empty_record().with_(speeds=speeds, candidates_compared=compared)))
    assert [kind.flavor for kind in kept.speeds] == [f"f{number}" for number in range(24, 32)]


async def estimated_run(record: Record, said: JobReport, **spec: Any) -> tuple[Any, Record]:
    """The status of a run with this record whose job reports this, and the record afterwards."""
    simulation = PaidJobSimulation(NO_FAULTS, prepared=False, stepped=False)
    simulation.server.seed(record_json(record, uid=f"record-of-{simulation.uid}"))
    simulation.server.user_edits(RUN_NAME, lambda item: item["spec"].update(spec))
    simulation.lead(stale=False)
    simulation.jobs.report = said
    for _ in range(8):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
        for paid in simulation.jobs.jobs:
            if paid.state == "training":
                simulation.finish(paid)
            if paid.state == "queued":
                simulation.hub.starts(paid)
    assert simulation.status()["reason"] == "Trained"
    stored = simulation.server.live(RECORD_NAME)
    assert stored is not None
    return simulation.status(), Record.from_data(stored["data"])


async def test_the_second_estimate_uses_the_measured_speed() -> None:
    slow = replace(MEASURED_REPORT, metrics={"seconds_per_step": 5.0})  # 300 tokens a second
    first, record = await estimated_run(empty_record(), slow)
    second, record = await estimated_run(record, slow, maxUSD="9")
    other, _ = await estimated_run(record, slow, maxUSD="8", method="orpo")
    assert first["estimate"]["parts"][2] == "training 2.0 to 3.6 min"
    assert second["estimate"]["parts"][2] == "training (measured in 1 run) 4.0 to 6.2 min"
    assert second["estimate"]["source"].endswith("speed: measured in 1 run, 0.54 times the modelled speed")
    assert (first["estimate"]["highMinutes"], second["estimate"]["highMinutes"]) == (22, 26)
    assert other["estimate"]["parts"] == first["estimate"]["parts"]
    assert measured_speeds(record, method="sft", base_model=KIND["base_model"]) == {
        "a10g-large": (300.0, 300.0)
    }
