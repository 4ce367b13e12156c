"""A record of many years fits a ConfigMap, and decisions on it stay the same."""

from __future__ import annotations

from datetime import UTC, datetime

from modelops.domain.record import Completed, Record, RegistryEntry, Settlement, Target, initial_record
from modelops.domain.record_bound import MAX_BYTES, bounded_data

STABLE = Target(version="v1.0.0", model="m", endpoint="openrouter", endpoint_url="https://x", api_key_env="K")
MIB = 1024 * 1024
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int) -> RegistryEntry:
    return RegistryEntry(
        version=f"v1.{number}.0-rc.1",
        model=f"org/code-chef-docs-{number}",
        base_model="Qwen/Qwen2.5-Coder-7B",
        training_method="sft",
        training_dataset="ls://docs-examples",
        trained_at="2025-12-09T22:00:00Z",
        hub_repo=f"org/code-chef-docs-{number}",
        deployment_status="trained",
        lineage={"run": str(number), "revision": "a" * 40, "recipe": {"digest": "d" * 71, "k": "v" * 300}},
    )


def large_record(size: int) -> Record:
    """The record after this number of runs and of rollouts."""
    record = initial_record(
        agent="docs", config_map="agents", config_key="agents.yaml", stable=STABLE, now="2025-01-01T00:00:00Z"
    )
    completed = {
        f"sha256:{kind}{number:063d}": Completed(
            kind=kind,  # type: ignore[arg-type]
            name=f"{kind}-{number}",
            uid=f"{number:036d}",
            outcome="Trained",
            version=f"v1.{number}.0-rc.1",
            message="x" * 300,
            finished_at=f"{2020 + number // 365}-01-01T{number % 24:02d}:00:00+00:00",
        )
        for number in range(size)
        for kind in ("TrainingRun", "Rollout")
    }
    settlements = {
        f"{number:036d}/1": Settlement(
            usd_micro=1_000_000, month=f"20{number // 120 + 10:02d}-{number % 12 + 1:02d}"
        )
        for number in range(size)
    }
    return record.with_(
        completed=completed,
        settlements=settlements,
        history=tuple(entry(number) for number in range(size)),
        allocated={f"v1.{number}.0-rc.1": {"base_model": "b" * 71} for number in range(size)},
    )


def size_of(data: dict[str, str]) -> int:
    return sum(len(text.encode()) for text in data.values())


def test_a_record_of_usual_size_is_not_shortened() -> None:
    record = large_record(50)
    assert Record.from_data(bounded_data(record)) == record


def test_years_of_runs_and_rollouts_fit_a_config_map() -> None:
    record = large_record(1000)
    assert size_of(record.to_data()) > MIB
    assert size_of(bounded_data(record)) < MIB


def test_data_for_decisions_is_never_removed() -> None:
    record = large_record(1000)
    read = Record.from_data(bounded_data(record))
    assert set(read.completed) == set(record.completed)
    assert {d: c.outcome for d, c in read.completed.items()} == {
        d: c.outcome for d, c in record.completed.items()
    }
    assert set(read.allocated) == set(record.allocated)
    months = {s.month for s in record.settlements.values()}
    assert {m: read.committed(m, NOW) for m in months} == {m: record.committed(m, NOW) for m in months}
    assert (read.stable, read.served, read.latest_inputs()) == (
        record.stable,
        record.served,
        record.latest_inputs(),
    )
    newest = max(record.completed.values(), key=lambda done: done.finished_at)
    assert newest in read.completed.values()


def test_the_cost_of_an_unfinished_run_is_kept() -> None:
    record = large_record(1000)
    settlement = Settlement(usd_micro=7, month=sorted({s.month for s in record.settlements.values()})[-4])
    going_on = record.with_(settlements={**record.settlements, "suspended/1": settlement})
    assert Record.from_data(bounded_data(going_on)).spent_by("suspended") == 7


def test_shortening_a_record_twice_changes_nothing_more() -> None:
    once = bounded_data(large_record(800))
    assert bounded_data(Record.from_data(once)) == once
    assert MAX_BYTES < MIB
