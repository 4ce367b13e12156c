"""Deletion of a finished run after its TTL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, RUN_UID, empty_record
from tests.unit.training.states import (
    plan_for,
    run,
    state,
    step_names,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.plan import Plan
from modelops.domain.record import Completed, Record


def finished_run(**more: Any) -> TrainingRun:
    status = {"phase": "Succeeded", "reason": "Trained", "finishedAt": NOW.isoformat(), **more}
    return run(status, meta={"finalizers": []}, ttlSecondsAfterFinished=3600)


def record_completed_by(uid: str) -> Record:
    """The record once the run was done by the object with this uid."""
    done = Completed(kind="TrainingRun", name="docs-1", uid=uid, outcome="Trained")
    return empty_record().with_(completed={state(finished_run()).identity: done})


def test_a_run_is_deleted_after_its_ttl() -> None:
    early = plan_for(finished_run(), record=record_completed_by(RUN_UID), now=NOW + timedelta(seconds=600))
    assert (early.empty, early.requeue_after) == (True, 3000.0)
    late = plan_for(finished_run(), record=record_completed_by(RUN_UID), now=NOW + timedelta(hours=1))
    assert step_names(late) == ["delete_run"]


@pytest.mark.parametrize(
    "record", [record_completed_by("another"), empty_record(), None], ids=["other", "unpaid", "lost"]
)
def test_a_run_that_its_record_does_not_name_is_not_deleted(record: Record | None) -> None:
    """One of the same name and spec is done already; or this one failed unpaid, and would do that again."""
    assert plan_for(finished_run(), record=record, now=NOW + timedelta(hours=1)) == Plan()
