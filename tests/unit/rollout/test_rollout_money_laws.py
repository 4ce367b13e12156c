"""Money of a rollout: reserved once, settled or released once, whatever happens in between."""

from __future__ import annotations

from datetime import datetime, timedelta

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_record,
    an_entry,
    at_weight,
    has_ended,
    is_watching,
    rollout_state,
)

from modelops.domain.record import (
    LEDGER_KEY,
    REGISTRY_KEY,
    Completed,
    EndpointEntry,
    MalformedRecord,
    Record,
    RegistryEntry,
    Reservation,
    Settlement,
)
from modelops.domain.rollout.endpoint_cost import settle_reservation
from modelops.domain.rollout.planned_cost import planned_cost

REGISTRY_SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "patternProperties": {
        "^[a-z][a-z0-9_]*$": {
            "type": "object",
            "required": ["current", "history"],
            "additionalProperties": False,
            "properties": {
                "current": {
                    "type": "object",
                    "required": ["version", "model", "endpoint", "deployed_at"],
                    "additionalProperties": False,
                    "properties": {
                        "version": {"type": "string"},
                        "model": {"type": "string"},
                        "endpoint": {"enum": ["openrouter", "huggingface"]},
                        "deployed_at": {"type": "string", "format": "date-time"},
                    },
                },
                "history": {"type": "array", "items": {"$ref": "#/$defs/entry"}},
            },
        }
    },
    "additionalProperties": False,
    "$defs": {
        "entry": {
            "type": "object",
            "required": [
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
            ],
            "additionalProperties": False,
            "properties": {
                "version": {"type": "string"},
                "model": {"type": "string"},
                "base_model": {"type": "string"},
                "training_method": {"enum": ["sft", "dpo", "orpo"]},
                "training_dataset": {"type": "string", "pattern": "^(ls://.+)?$"},
                "eval_dataset": {"type": "string", "pattern": "^(ls://.+)?$"},
                "eval_scores": {
                    "type": "object",
                    "additionalProperties": False,
                    "dependentRequired": {
                        "accuracy": ["baseline_improvement", "avg_latency_ms", "cost_per_1k"]
                    },
                    "properties": {
                        "accuracy": {"type": "number", "minimum": 0, "maximum": 1},
                        "baseline_improvement": {"type": "string", "pattern": r"^[+-][0-9]+%$"},
                        "avg_latency_ms": {"type": "number", "minimum": 0},
                        "cost_per_1k": {"type": "number", "minimum": 0},
                        # Three more keys than the requested schema has: a success rate means nothing without them.
                        "target": {"enum": ["model", "agent"]},
                        "scorer": {"enum": ["exact", "tokenF1", "json"]},
                        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
                    },
                },
                "trained_at": {"type": "string", "format": "date-time"},
                "hub_repo": {"type": "string"},
                "deployment_status": {
                    "type": "string",
                    "pattern": "^(trained|evaluated|rejected|canary_[0-9]+pct|deployed|rolled_back|superseded)$",
                },
                "lineage": {"type": "object"},
            },
        }
    },
}

short = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
amounts = st.integers(0, 10**12)
months = st.sampled_from(["2025-11", "2025-12", "2026-01"])
entries = st.builds(
    RegistryEntry,
    version=st.sampled_from(["v1.1.0-rc.1", "v1.2.0", "v2.0.0"]),
    model=short,
    base_model=short,
    training_method=st.sampled_from(["sft", "dpo", "orpo"]),
    training_dataset=st.just("ls://d"),
    trained_at=st.just("2025-12-09T22:00:00Z"),
    hub_repo=short,
    deployment_status=st.sampled_from(["trained", "canary_20pct", "deployed"]),
    lineage=st.dictionaries(short, short, max_size=2),
)
records = st.builds(
    lambda reservations, settlements, spend, history, completed: a_record(
        reservations=reservations,
        settlements=settlements,
        endpoint_spend=spend,
        history=tuple(history),
        completed=completed,
    ),
    st.dictionaries(short, st.builds(Reservation, usd_micro=amounts, month=months, name=short), max_size=3),
    st.dictionaries(short, st.builds(Settlement, usd_micro=amounts, month=months), max_size=3),
    st.dictionaries(months, amounts, max_size=2),
    st.lists(entries, max_size=3),
    st.dictionaries(
        short,
        st.builds(Completed, kind=st.just("Rollout"), name=short, uid=short, outcome=st.just("Promoted")),
        max_size=2,
    ),
)


@given(records)
def test_a_record_reads_back_as_it_was_written(record: Record) -> None:
    data = record.to_data()
    assert Record.from_data(data) == record
    assert Record.from_data(data).to_data() == data


@given(records)
def test_the_registry_has_its_schema(record: Record) -> None:
    jsonschema.validate(record.registry(), REGISTRY_SCHEMA)


@given(records, st.sampled_from([REGISTRY_KEY, LEDGER_KEY]), st.sampled_from(["", "{", "[]", '{"docs": 1}']))
def test_an_unreadable_record_raises(record: Record, key: str, text: str) -> None:
    with pytest.raises(MalformedRecord, match="cannot be read"):
        Record.from_data({**record.to_data(), key: text})


def test_the_registry_of_a_promoted_model_has_its_schema() -> None:
    state = rollout_state(
        objects.rollout(candidate={"version": "v1.1.0-rc.1"}), record=a_record(history=(an_entry(),))
    )
    record = RolloutDriver(state).run_until(has_ended).state.record
    assert record is not None
    jsonschema.validate(record.registry(), REGISTRY_SCHEMA)
    assert record.registry()["docs"]["history"][0]["eval_scores"]["accuracy"] == 0.74


@given(st.integers(0, 10**7), st.integers(1, 16), st.lists(st.integers(1, 10**5), max_size=3))
def test_the_reservation_covers_the_plan(per_hour: int, replicas: int, pauses: list[int]) -> None:
    steps: list[Json] = [{"setWeight": 20}, *({"pause": {"durationSeconds": s}} for s in pauses)]
    item = objects.rollout(strategy=objects.canary(*steps), progressDeadlineSeconds=2592000)
    agent = objects.agent_model(serving={"maxReplica": replicas})
    planned = planned_cost(rollout_state(item, agent=agent), per_hour=per_hour).planned
    assert planned >= (3600 + sum(pauses)) / 3600 * per_hour * replicas
    assert isinstance(planned, int)


ENDINGS = st.sampled_from(["promoted", "aborted", "deleted", "breached by the deadline"])


@settings(deadline=None, max_examples=25)
@given(ENDINGS, st.sampled_from(["locked", "armed", "twenty", "watching"]), st.integers(0, 100_000))
def test_a_reservation_is_settled_exactly_once(ending: str, when: str, seconds: int) -> None:
    moments = {
        "locked": lambda state: state.rollout.status.started_at is not None,
        "armed": lambda state: state.block is not None,
        "twenty": at_weight(20),
        "watching": is_watching,
    }
    driver = RolloutDriver(rollout_state()).run_until(moments[when])
    record_with_lock = driver.state.record
    assert record_with_lock is not None
    reserved = record_with_lock.reservations["uid-r1/1"]
    driver.pass_time(seconds)
    if ending == "aborted":
        driver.edit_spec(abort=True)
    elif ending == "deleted":
        driver.delete_rollout()
    elif ending != "promoted":
        driver.pass_time(172_801)
    record = driver.run_until(has_ended).state.record
    assert record is not None
    assert record.reservations == {}
    assert list(record.settlements) == ["uid-r1/1"]
    booked, entry = record.settlements["uid-r1/1"], record.endpoints[0]
    assert booked.month == reserved.month
    ended = driver.state.rollout.status.finished_at
    assert ended is not None
    assert booked.usd_micro == record_with_lock.endpoints[0].micro_usd(ended)
    # From the settlement on the endpoint is booked by its role: no minute twice, none left out.
    assert entry.since == ended.isoformat(timespec="seconds")
    assert settle_reservation(driver.state, record) == record


def spent(record: Record, now: datetime) -> int:
    """Everything that was billed according to the record."""
    booked = sum(s.usd_micro for s in record.settlements.values()) + sum(record.endpoint_spend.values())
    return booked + sum(entry.micro_usd(now) for entry in record.endpoints)


def test_every_billed_minute_is_booked_once() -> None:
    driver = RolloutDriver(rollout_state(record=a_record(endpoint_spend={"2025-11": 5}))).run_until(
        is_watching
    )
    record = driver.state.record
    assert record is not None
    began = datetime.fromisoformat(record.endpoints[0].since)
    driver.run_until(has_ended)
    driver.pass_time(86_400 * 40)
    record, now = driver.state.record, driver.state.now
    assert record is not None
    minutes = (now - began).total_seconds() / 60
    # Each change of hands may begin another minute.
    assert spent(record, now) - 5 == pytest.approx(minutes * 1_000_000 / 60, abs=2 * 1_000_000 / 60 + 2)
    assert record.reservations == {}
    by_month = {month: record.committed(month, now) for month in ("2025-11", "2025-12", "2026-01", "2026-02")}
    assert sum(by_month.values()) == spent(record, now)
    assert (by_month["2025-11"], by_month["2026-02"]) == (5, 0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 400 * 86_400))
def test_the_months_of_an_endpoint_add_up_to_its_cost(per_hour: int, since: int, seconds: int) -> None:
    began = objects.START + timedelta(seconds=since)
    entry = EndpointEntry(
        name="mo",
        role="stable",
        repo="org/m",
        revision="",
        version="v1.1.0",
        usd_micro_per_hour=per_hour,
        instance={},
        since=began.isoformat(),
    )
    until = began + timedelta(seconds=seconds)
    months = entry.micro_usd_by_month(until)
    assert sum(months.values()) == entry.micro_usd(until)
    assert list(months) == sorted(months)
    assert {f"{began:%Y-%m}"} <= set(months) <= {f"{began + timedelta(days=d):%Y-%m}" for d in range(402)}
    assert all(cost <= (31 * 24 * 60 + 1) * per_hour / 60 + 1 for cost in months.values())


@given(st.integers(0, 10**6), st.integers(0, 10**7))
def test_an_endpoint_bills_by_the_started_minute(seconds: int, per_hour: int) -> None:
    entry = EndpointEntry(
        name="mo",
        role="canary",
        repo="org/m",
        revision="",
        version="v1.1.0",
        usd_micro_per_hour=per_hour,
        instance={},
        since=objects.START.isoformat(),
    )
    cost = entry.micro_usd(objects.START + timedelta(seconds=seconds))
    assert cost >= seconds * per_hour / 3600 - 1
    assert cost <= (seconds / 60 + 1) * per_hour / 60 + 1
