"""The record: what is written is read back, in the mission's form, and never guessed."""

from __future__ import annotations

import json

import pytest
from tests.unit.training.objects import RUN_UID, empty_record
from tests.unit.training.observation import KEY, reserved

from modelops.domain.record import (
    LEDGER_KEY,
    REGISTRY_KEY,
    MalformedRecord,
    Record,
    RegistryEntry,
    Settlement,
)
from modelops.domain.versions import Inputs

ENTRY = RegistryEntry(
    version="v1.1.0-rc.1",
    model="appsmithery/x",
    base_model="Qwen/Qwen2.5-Coder-7B",
    training_method="sft",
    training_dataset="ls://docs-examples",
    trained_at="2025-12-09T22:00:00Z",
    hub_repo="appsmithery/x",
    deployment_status="trained",
)


def test_what_is_written_is_read_back() -> None:
    record = reserved().with_(
        history=(ENTRY,), settlements={"a/1": Settlement(usd_micro=1, month="2025-12", jobs=("j",))}
    )
    assert Record.from_data(record.to_data()) == record


def test_equal_records_are_equal_text() -> None:
    record = reserved()
    turned = record.with_(allocated=dict(reversed(record.allocated.items())))
    assert turned.to_data() == record.to_data()


def test_the_registry_has_the_missions_keys() -> None:
    registry = json.loads(reserved().with_(history=(ENTRY,)).to_data()[REGISTRY_KEY])
    assert set(registry) == {"docs"}
    assert list(registry["docs"]["current"]) == ["version", "model", "endpoint", "deployed_at"]
    assert list(registry["docs"]["history"][0]) == [
        "version",
        "model",
        "base_model",
        "training_method",
        "training_dataset",
        "eval_dataset",
        "eval_scores",
        "trained_at",
        "hub_repo",
        "deployment_status",
        "lineage",
    ]


@pytest.mark.parametrize(
    "data", [{}, {LEDGER_KEY: "{"}, {LEDGER_KEY: "{}", REGISTRY_KEY: "{}"}, {LEDGER_KEY: "[]"}]
)
def test_a_record_that_cannot_be_read_is_an_error_and_not_an_empty_record(data: dict[str, str]) -> None:
    with pytest.raises(MalformedRecord, match="the record cannot be read"):
        Record.from_data(data)


def test_a_months_commitments_are_what_is_reserved_settled_and_spent_on_endpoints() -> None:
    record = reserved().with_(
        settlements={
            "a/1": Settlement(usd_micro=10, month="2025-12"),
            "b/1": Settlement(usd_micro=5, month="2025-11"),
        },
        endpoint_spend={"2025-12": 100, "2025-11": 1000},
    )
    assert record.committed("2025-12") == 375_000 + 10 + 100
    assert record.committed("2025-11") == 1005


def test_inputs_are_known_only_for_versions_that_were_trained_here() -> None:
    assert empty_record().latest_inputs() is None
    found = reserved().latest_inputs()
    assert found == Inputs(base_model="m", prompt_digest="p", dataset_digest="d", recipe_digest="r")


def test_a_reservation_is_found_by_run_and_attempt() -> None:
    assert f"{RUN_UID}/1" == KEY
    assert KEY in reserved().reservations
