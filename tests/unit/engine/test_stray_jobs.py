"""What a job that outlives its run costs is booked once, in its attempt's settlement."""

from __future__ import annotations

from tests.unit.training.objects import empty_record, prepared_status

from modelops.api.v1alpha1.trainingrun import JobStatus, TrainingRun
from modelops.domain.record import Settlement
from modelops.engine.strays import booked
from modelops.ports import Job

KEY = "8f6e/1"


def ended_run() -> TrainingRun:
    return TrainingRun.model_validate(
        {
            "metadata": {"name": "docs-1", "namespace": "team", "uid": "8f6e", "resourceVersion": "1"},
            "spec": {"agentModelRef": {"name": "docs"}, "baseModel": "org/base", "maxUSD": "4"},
            "status": {
                **prepared_status(),
                "job": JobStatus(attempt=1, label="0a1b2c3d-8f6e-1", id="first").wire(),
            },
        }
    )


def test_a_stray_job_is_added_to_what_its_attempt_cost() -> None:
    before = empty_record().with_(
        settlements={KEY: Settlement(usd_micro=100, month="2025-12", jobs=("first",))}
    )
    stray = Job(id="late", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=61)
    after = booked(before, stray, ended_run(), month="2025-12")
    assert after.settlements[KEY].jobs == ("first", "late")
    assert after.settlements[KEY].usd_micro > 100


def test_a_stray_job_is_booked_once() -> None:
    stray = Job(id="late", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=61)
    once = booked(empty_record(), stray, ended_run(), month="2025-12")
    assert booked(once, stray, ended_run(), month="2026-01") == once
