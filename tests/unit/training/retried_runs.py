"""Runs whose attempt has ended, and what is decided about them, for several test files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.unit.training.objects import NOW
from tests.unit.training.states import (
    FLAVOR,
    KNOWN_FACTS,
    claimed_by,
    job,
    plan_for,
    run,
    submitted_job,
    submitted_status,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Plan
from modelops.domain.record import Record
from modelops.ports import Flavor, Job, Json

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
    """The run and the record after the plan was carried out."""
    return run(written_status(plan).wire(), **{**of.spec.wire(), **more}), written_record(plan)


def next_intent(plan: Plan, of: TrainingRun, *, now: datetime = NOW, **facts: Any) -> Plan:
    """The decision after the plan was carried out."""
    later, record = run_between_attempts(plan, of)
    return plan_for(later, **{**KNOWN_FACTS, "record": record, "now": now, **facts})


def posted_run(plan: Plan) -> Json:
    """What the plan submits."""
    return vars(submitted_job(plan))
