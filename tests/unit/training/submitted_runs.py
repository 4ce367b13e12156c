"""Runs with a submission in their status, and the facts about their jobs, for several test files."""

from __future__ import annotations

from typing import Any

from tests.unit.training.objects import RUN_UID
from tests.unit.training.states import (
    claimed_by,
    job,
    run,
    submitted_status,
)

from modelops.domain.facts import Outage
from modelops.domain.job_report import JobReport
from modelops.ports import ModelInfo

WITH_INTENT, WITH_JOB = run(submitted_status()), run(submitted_status(id="job1"))

OUTAGE = Outage(service="hf", message="answered 503", retry_after=9.0)

PUBLISHED_MODEL = ModelInfo(repo="appsmithery/x", revision="r" * 40)

LINEAGE = {"run": RUN_UID, "config": {"num_epochs": 3}}

COMPLETED_FACTS: dict[str, Any] = {
    "job": job("COMPLETED", running_seconds=61),
    "attempt_claim": claimed_by(),
    "labelled": (job("COMPLETED"),),
    "report": None,
}


def report(**changes: Any) -> JobReport:
    return JobReport(**{"kind": "log", "t": 1.0, "began_at": 0.0, **changes})
