"""Where a LangSmith example went: which prepared data hold it, and which models were trained on those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, Shelf
from modelops.domain.pruning import Splits
from modelops.domain.record import Record


@dataclass(frozen=True, kw_only=True)
class HeldIn:
    """A commit of prepared data. `splits` None: it does not say. `rows` counts all rows, None where it does not say."""

    repo: str
    revision: str
    agent: str
    splits: tuple[str, ...] | None
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class LearntBy:
    """A model whose data hold it. `status` and `current` are the record's; empty and None without one."""

    repo: str
    revision: str
    agent: str
    version: str
    splits: tuple[str, ...] | None
    status: str
    current: bool | None


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What is known of one example; `unsaid` are those that cannot say."""

    datasets: tuple[HeldIn, ...]
    models: tuple[LearntBy, ...]

    @property
    def found(self) -> bool:
        return any(one.splits for one in self._all)

    @property
    def unsaid(self) -> tuple[str, ...]:
        return tuple(one.repo for one in self._all if one.splits is None)

    @property
    def _all(self) -> tuple[HeldIn | LearntBy, ...]:
        return (*self.datasets, *self.models)


def traced(shelf: Shelf, holding: Mapping[str, Splits], records: Iterable[Record]) -> Traced:
    """Only what holds the example, or cannot say."""
    known = tuple(records)
    datasets = [
        held_in(dataset, revision, splits)
        for dataset in shelf.datasets
        for revision, splits in holding.get(dataset.repo, {}).items()
        if splits != ()
    ]
    models = []
    for model in shelf.models:
        repo, revision = model.data
        splits = holding.get(repo, {}).get(revision) if model.told else ()
        if splits != ():
            models.append(learnt_by(model, splits, known))
    return Traced(datasets=tuple(datasets), models=tuple(models))


def held_in(dataset: DatasetRepository, revision: str, splits: tuple[str, ...] | None) -> HeldIn:
    told = dataset.revisions[revision]
    rows = told.get("rows")
    counted = sum(int(n) for n in rows.values()) if isinstance(rows, Mapping) else None
    return HeldIn(
        repo=dataset.repo,
        revision=revision,
        agent=str(told.get("agent") or ""),
        splits=splits,
        rows=counted,
    )


def learnt_by(
    model: ModelRepository, splits: tuple[str, ...] | None, records: tuple[Record, ...]
) -> LearntBy:
    record = next((one for one in records if one.entry_of(model.repo)), None)
    entry = record.entry_of(model.repo) if record else None
    return LearntBy(
        repo=model.repo,
        revision=model.revision,
        agent=str(model.told.get("agent") or ""),
        version=entry.version if entry else str(model.told.get("version") or ""),
        splits=splits,
        status=entry.deployment_status if entry else "",
        current=record.stable.model == model.repo if record else None,
    )
