"""Adds to a record the models that only the Hub still has, because their TrainingRuns do not exist any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from modelops.domain.hub_repositories import (
    DatasetRepository,
    Json,
    ModelRepository,
    RepositoryCatalog,
    names_agent,
)
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record, RegistryEntry
from modelops.domain.training.effective_spec import recipe_lineage
from modelops.domain.versions import Version, parse, release_version


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A record with the models of the Hub; `added` says what that added, `left` what was left out and why."""

    record: Record
    added: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def adding(self, record: Record, words: str) -> Merged:
        return replace(self, record=record, added=(*self.added, words))

    def leaving(self, words: str) -> Merged:
        return replace(self, left=(*self.left, words))


def with_published(record: Record, catalog: RepositoryCatalog, *, agent_model: str) -> Merged:
    """The record with the agent's published models; `agent_model` is `namespace/name`.

    No value of the record is replaced: an entry gets only the values that it does not have.
    """
    merged = Merged(record=record)
    datasets = {dataset.repo: dataset for dataset in catalog.datasets}
    for model in sorted(catalog.of(record.agent).models, key=lambda m: (m.published_at, m.repo)):
        merged = with_model(merged, model, datasets.get(model.data[0]), agent_model=agent_model)
    with_status = with_serving_status(merged.record)
    if with_status == merged.record:
        return merged
    return merged.adding(with_status, "the release versions of the models that serve or have served")


def with_model(
    merged: Merged, model: ModelRepository, dataset: DatasetRepository | None, *, agent_model: str
) -> Merged:
    record, manifest = merged.record, model.lineage
    if not manifest:
        return merged.leaving(f"{model.repo}: it has no modelops.json, so no model was published there")
    if not names_agent(manifest, record.agent, agent_model):
        owner = manifest.get("agent_model") or f"agent {manifest.get('agent')}"
        return merged.leaving(f"{model.repo}: its modelops.json names {owner}")
    version = str(manifest.get("version") or "")
    number = version_number(version)
    if number is None:
        return merged.leaving(f"{model.repo}: its modelops.json has version {version!r}, which is no version")
    if any(key.startswith(f"{manifest.get('run')}/") for key in record.reservations):
        return with_allocated(merged, version, number).leaving(
            f"{model.repo}: its TrainingRun has not ended; the operator adds the model when it does"
        )
    merged = with_version(merged, model, dataset, version=version, number=number)
    return with_completed(merged, model, version=version)


def with_version(
    merged: Merged,
    model: ModelRepository,
    dataset: DatasetRepository | None,
    *,
    version: str,
    number: Version,
) -> Merged:
    """Adds the model's history entry, or the missing values of the existing one, and marks its number as used."""
    record, rebuilt = merged.record, entry_of(model, dataset, version=version)
    existing = record.entry_of(model.repo)
    if existing is not None:
        completed = with_missing_values(existing, rebuilt)
        if completed == existing:
            return merged
        parts = ", ".join(sorted(completed.lineage.keys() - existing.lineage.keys())) or "its dataset"
        return merged.adding(
            record.with_(history=tuple(completed if e is existing else e for e in record.history)),
            f"lineage of {existing.version} ({model.repo}): {parts}",
        )
    other = other_repository_with(record, number, model.repo)
    if other:
        return merged.leaving(f"{model.repo}: its version {version} belongs to {other} in the record")
    history = sorted((*record.history, rebuilt), key=lambda entry: entry.trained_at)
    added = merged.adding(record.with_(history=tuple(history)), f"version {version} ({model.repo})")
    return with_allocated(added, version, number)


def with_allocated(merged: Merged, version: str, number: Version) -> Merged:
    """Marks the version's number as used: it is given once, to a release candidate or a release."""
    record = merged.record
    if any(parse(used) == number for used in record.allocated):
        return merged
    changed = record.with_(allocated={**record.allocated, version: {}})
    return merged.adding(changed, f"the number of {version}, so that no other model gets it")


def with_completed(merged: Merged, model: ModelRepository, *, version: str) -> Merged:
    """Marks the model's TrainingRun as completed, so that it does not train again when it is restored from a backup.

    Older models do not name their run.
    """
    record, manifest = merged.record, model.lineage
    identity, name = str(manifest.get("identity") or ""), str(manifest.get("name") or "")
    if not identity or not name or identity in record.completed:
        return merged
    done = Completed(
        kind="TrainingRun",
        name=name,
        uid=str(manifest.get("run") or ""),
        outcome=TrainingReason.Trained.value,
        version=version,
        revision=model.revision,
        finished_at=model.published_at,
    )
    changed = record.with_(completed={**record.completed, identity: done})
    return merged.adding(changed, f"TrainingRun {name} as completed: it trained {version}")


def with_serving_status(record: Record) -> Record:
    """Gives rebuilt entries the release version and the status of the model in the record's `served`."""
    by_model = {target.model: target for target in record.served.values()}

    def with_status(entry: RegistryEntry) -> RegistryEntry:
        target = by_model.get(entry.hub_repo)
        if target is None or not entry.lineage.get("rebuilt") or entry.deployment_status != "trained":
            return entry
        status = "deployed" if target.model == record.stable.model else "superseded"
        return entry.model_copy(update={"version": target.version, "deployment_status": status})

    return record.with_(history=tuple(with_status(entry) for entry in record.history))


def entry_of(model: ModelRepository, dataset: DatasetRepository | None, *, version: str) -> RegistryEntry:
    """The entry that the operator would have written for the model, without cost and scores."""
    manifest = model.lineage
    data, method = data_of(model, dataset), str(manifest.get("method") or "")
    config = manifest.get("config")
    config = dict(config) if isinstance(config, dict) else {}
    source = str(data.get("dataset_id") or "")
    lineage: dict[str, Any] = {
        "run": str(manifest.get("run") or ""),
        "revision": model.revision,
        "base_revision": str(manifest.get("base_revision") or ""),
        "dataset": {
            "repo": model.data[0],
            "revision": model.data[1],
            "digest": str(data.get("digest") or model.dataset_digest),
            "as_of": str(data.get("as_of") or ""),
        },
        "prompt": str(data.get("prompt") or ""),
        "recipe": recipe_lineage(method, config),
        "job": str(manifest.get("job") or ""),
        "rebuilt": True,
    }
    return RegistryEntry(
        version=version,
        model=model.repo,
        base_model=str(manifest.get("base_model") or ""),
        training_method=method,
        training_dataset=f"ls://{source}" if source else "",
        trained_at=model.published_at,
        hub_repo=model.repo,
        deployment_status="trained",
        lineage=lineage,
    )


def data_of(model: ModelRepository, dataset: DatasetRepository | None) -> Json:
    """The lineage of the dataset at the commit that was trained on; empty where the dataset does not exist."""
    return dataset.revisions.get(model.data[1], {}) if dataset is not None else {}


def with_missing_values(existing: RegistryEntry, rebuilt: RegistryEntry) -> RegistryEntry:
    """The record's entry with the values that only the found one has. An entry that was not rebuilt stays as it is."""
    if not existing.lineage.get("rebuilt") and existing.lineage:
        return existing
    lineage = {
        **{key: value for key, value in rebuilt.lineage.items() if not existing.lineage.get(key)},
        **{key: value for key, value in existing.lineage.items() if value},
    }
    if lineage == existing.lineage and (existing.training_dataset or not rebuilt.training_dataset):
        return existing
    return existing.model_copy(
        update={"lineage": lineage, "training_dataset": existing.training_dataset or rebuilt.training_dataset}
    )


def other_repository_with(record: Record, number: Version, repo: str) -> str:
    """The other repository that has this version's number in the record; empty where none has it."""
    entries: Iterable[tuple[str, str]] = ((e.version, e.hub_repo) for e in record.history)
    targets = ((t.version, t.model) for t in (record.stable, *record.served.values()))
    others = [
        holder
        for version, holder in (*entries, *targets)
        if version_number(version) == number and holder != repo
    ]
    return others[0] if others else ""


def version_number(version: str) -> Version | None:
    """The version's number without its release candidate; None where the text is no version."""
    try:
        return parse(release_version(version))
    except ValueError:
        return None
