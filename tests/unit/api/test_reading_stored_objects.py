"""An object of an older or newer schema is read as far as possible, and its problems are named."""

from typing import Any

import pytest
from pydantic import ValidationError

from modelops.api.v1alpha1 import Rollout, TrainingRun
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.trainingrun import PreparedDataset, TrainingRunStatus

SPEC: dict[str, Any] = {"agentModelRef": {"name": "docs"}, "baseModel": "a/b", "maxUSD": "5"}


def stored(**parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": "run", "uid": "u"}, "spec": SPEC, **parts}


def test_new_object_has_an_empty_status() -> None:
    reading = read(TrainingRun, stored())
    assert reading.value is not None
    assert (reading.problems, reading.value.status) == ((), TrainingRunStatus())


def test_fields_of_a_newer_schema_are_ignored() -> None:
    reading = read(TrainingRun, stored(spec={**SPEC, "backoffLimit": 3}, status={"job": {"queue": "q"}}))
    assert reading.value is not None
    assert reading.problems == ()


@pytest.mark.parametrize(
    ("status", "named"),
    [
        ({"phase": "Dreaming"}, "status.phase"),
        ({"estimate": {"lowUSD": "1"}}, "status.estimate.highUSD"),
        ({"progress": 3}, "status.progress"),
        ({"conditions": [{"type": "Ready"}]}, "status.conditions.0.status"),
        ("gone wrong", "status"),
    ],
)
def test_unreadable_part_of_a_status_is_dropped_and_named(status: Any, named: str) -> None:
    rest = {"job": {"id": "7"}} if isinstance(status, dict) else {}
    reading = read(TrainingRun, stored(status={**status, **rest} if rest else status))
    assert reading.value is not None
    assert any(problem.startswith(f"{named}: ") for problem in reading.problems)
    if rest:
        assert reading.value.status.job is not None
        assert reading.value.status.job.id == "7"


def test_unreadable_spec_leaves_the_metadata_and_the_reason() -> None:
    reading = read(Rollout, {"metadata": {"name": "old", "finalizers": ["f"]}, "spec": {"maxUSD": 5}})
    assert reading.value is None
    assert reading.metadata.finalizers == ("f",)
    assert reading.problems[0].startswith("spec.")


def test_object_without_a_name_is_an_error() -> None:
    with pytest.raises(ValidationError):
        read(TrainingRun, {"metadata": {}})


def test_stored_object_is_not_changed_by_reading() -> None:
    status = {"phase": "Suspended"}
    read(TrainingRun, stored(status=status))
    assert status == {"phase": "Suspended"}


def test_too_long_parts_of_a_status_are_cut_to_their_fields() -> None:
    dataset = PreparedDataset().model_copy(update={"findings": ("f" * 600,) * 40, "digest": "d" * 100})
    status = TrainingRunStatus().model_copy(update={"reason": "R" * 65, "dataset": dataset})

    wire = status.wire()

    assert wire["reason"] == "R" * 63 + "…"
    assert len(wire["dataset"]["findings"]) == 32
    assert {len(finding) for finding in wire["dataset"]["findings"]} == {512}
    assert TrainingRunStatus.model_validate(wire).dataset is not None
