"""The record: it is read back as it was written, and a record that cannot be read is an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.training.objects import NOW, RUN_UID, STABLE, empty_record
from tests.unit.training.states import KEY, record_with_reservation

from modelops.domain.record import (
    LEDGER_KEY,
    REGISTRY_KEY,
    ActiveRollout,
    EndpointEntry,
    MalformedRecord,
    Record,
    RegistryEntry,
    Reservation,
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


def an_endpoint(*, since: str) -> EndpointEntry:
    """An endpoint for one dollar per hour."""
    return EndpointEntry(
        name="mo-1",
        role="stable",
        repo="org/m",
        revision="",
        version="v1.1.0",
        usd_micro_per_hour=1_000_000,
        instance={},
        since=since,
    )


def test_a_written_record_is_read_back() -> None:
    record = record_with_reservation().with_(
        history=(ENTRY,), settlements={"a/1": Settlement(usd_micro=1, month="2025-12", jobs=("j",))}
    )
    assert Record.from_data(record.to_data()) == record


def test_equal_records_give_equal_text() -> None:
    record = record_with_reservation()
    turned = record.with_(allocated=dict(reversed(record.allocated.items())))
    assert turned.to_data() == record.to_data()


def test_the_registry_has_the_keys_of_its_schema() -> None:
    registry = json.loads(record_with_reservation().with_(history=(ENTRY,)).to_data()[REGISTRY_KEY])
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


def test_a_months_commitments_are_reservations_settlements_and_endpoint_costs() -> None:
    record = record_with_reservation().with_(
        settlements={
            "a/1": Settlement(usd_micro=10, month="2025-12"),
            "b/1": Settlement(usd_micro=5, month="2025-11"),
        },
        endpoint_spend={"2025-12": 100, "2025-11": 1000},
    )
    assert record.committed("2025-12", NOW) == 375_000 + 10 + 100
    assert record.committed("2025-11", NOW) == 1005


def test_a_running_endpoint_counts_in_each_month_by_its_hours() -> None:
    record = record_with_reservation().with_(endpoints=(an_endpoint(since="2025-11-30T14:00:00+00:00"),))
    now = datetime(2025, 12, 2, 6, tzinfo=UTC)
    assert record.committed("2025-11", now) == 10_000_000
    assert record.committed("2025-12", now) == 30_000_000 + 375_000
    assert record.committed("2026-01", now) == 0


def test_an_active_rollouts_endpoint_is_covered_by_its_reservation_until_it_costs_more() -> None:
    own = an_endpoint(since="2025-11-30T20:00:00+00:00")
    record = empty_record().with_(
        endpoints=(own,),
        active=ActiveRollout(
            uid="r", name="r1", digest="d", candidate=STABLE.model_copy(update={"endpoint_name": own.name})
        ),
        reservations={"r/1": Reservation(usd_micro=5_000_000, month="2025-11", name="r1")},
    )
    for hour, committed in ((21, 5_000_000), (25, 5_000_000), (30, 10_000_000)):
        now = datetime(2025, 11, 30, tzinfo=UTC) + timedelta(hours=hour)
        assert record.committed("2025-11", now) == committed
        assert record.committed("2025-12", now) == 0


def test_inputs_are_known_only_for_versions_that_were_trained_here() -> None:
    assert empty_record().latest_inputs() is None
    found = record_with_reservation().latest_inputs()
    assert found == Inputs(base_model="m", prompt_digest="p", dataset_digest="d", recipe_digest="r")


def test_a_reservation_is_found_by_run_and_attempt() -> None:
    assert f"{RUN_UID}/1" == KEY
    assert KEY in record_with_reservation().reservations


def test_a_count_of_candidates_under_its_old_name_is_kept() -> None:
    record = empty_record().with_(candidates_compared={"ls://docs-eval@2025-12-10T00:00:00Z": 2})
    data = record.to_data()
    old = {**data, LEDGER_KEY: data[LEDGER_KEY].replace('"candidates_compared"', '"looks"')}
    assert '"looks"' in old[LEDGER_KEY]
    assert Record.from_data(old) == record
