"""Where a LangSmith example was used: the prepared data that have it, and the models trained on those data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, RepositoryCatalog
from modelops.domain.pruning import Splits
from modelops.domain.record import Record


@dataclass(frozen=True, kw_only=True)
class DatasetWithExample:
    """A commit of prepared data that has the example.

    `splits` is None where the data do not name their examples. `rows` is the number of all rows, None where it is
    not known.
    """

    repo: str
    revision: str
    agent: str
    splits: tuple[str, ...] | None
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class ModelWithExample:
    """A model whose prepared data have the example.

    `status` is the deployment status in the record, empty where no record has the model. `current` is whether the
    model is stable, None where no record has it.
    """

    repo: str
    revision: str
    agent: str
    version: str
    splits: tuple[str, ...] | None
    status: str
    current: bool | None


@dataclass(frozen=True, kw_only=True)
class ExampleLineage:
    """The repositories that have the example, or that do not say whether they have it."""

    datasets: tuple[DatasetWithExample, ...]
    models: tuple[ModelWithExample, ...]

    @property
    def found(self) -> bool:
        """Whether a repository has the example."""
        return any(one.splits for one in self._all)

    @property
    def undetermined(self) -> tuple[str, ...]:
        """The repositories that do not name their examples."""
        return tuple(one.repo for one in self._all if one.splits is None)

    @property
    def _all(self) -> tuple[DatasetWithExample | ModelWithExample, ...]:
        return (*self.datasets, *self.models)


def trace_example(
    catalog: RepositoryCatalog, example_splits: Mapping[str, Splits], records: Iterable[Record]
) -> ExampleLineage:
    """Where an example was used; `example_splits` has the splits with the example by dataset repository."""
    known = tuple(records)
    datasets = [
        dataset_with_example(dataset, revision, splits)
        for dataset in catalog.datasets
        for revision, splits in example_splits.get(dataset.repo, {}).items()
        if splits != ()
    ]
    models = []
    for model in catalog.models:
        repo, revision = model.data
        splits = example_splits.get(repo, {}).get(revision) if model.lineage else ()
        if splits != ():
            models.append(model_with_example(model, splits, known))
    return ExampleLineage(datasets=tuple(datasets), models=tuple(models))


def dataset_with_example(
    dataset: DatasetRepository, revision: str, splits: tuple[str, ...] | None
) -> DatasetWithExample:
    lineage = dataset.revisions[revision]
    rows = lineage.get("rows")
    return DatasetWithExample(
        repo=dataset.repo,
        revision=revision,
        agent=str(lineage.get("agent") or ""),
        splits=splits,
        rows=sum(int(n) for n in rows.values()) if isinstance(rows, Mapping) else None,
    )


def model_with_example(
    model: ModelRepository, splits: tuple[str, ...] | None, records: tuple[Record, ...]
) -> ModelWithExample:
    record = next((one for one in records if one.entry_of(model.repo)), None)
    entry = record.entry_of(model.repo) if record else None
    return ModelWithExample(
        repo=model.repo,
        revision=model.revision,
        agent=str(model.lineage.get("agent") or ""),
        version=entry.version if entry else str(model.lineage.get("version") or ""),
        splits=splits,
        status=entry.deployment_status if entry else "",
        current=record.stable.model == model.repo if record else None,
    )
