"""What only the Hub remembers of an agent: models whose runs are gone. Added to a record, never put over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from modelops.domain.hub_repositories import DatasetRepository, Json, ModelRepository, Shelf, is_for
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record, RegistryEntry
from modelops.domain.training.effective_spec import recipe_digest
from modelops.domain.versions import Version, parse, release_version


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A record with what the Hub remembers, each thing that this adds, and what could not be taken in."""

    record: Record
    added: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def adding(self, record: Record, words: str) -> Merged:
        return replace(self, record=record, added=(*self.added, words))

    def leaving(self, words: str) -> Merged:
        return replace(self, left=(*self.left, words))


def with_published(record: Record, shelf: Shelf, *, agent_model: str) -> Merged:
    """The record with the agent's published models; `agent_model` is `namespace/name`.

    What the record says stays as it is: an entry is only completed where it says nothing.
    """
    merged = Merged(record=record)
    known = {dataset.repo: dataset for dataset in shelf.datasets}
    for model in sorted(shelf.of(record.agent).models, key=lambda m: (m.published_at, m.repo)):
        merged = with_model(merged, model, known.get(model.data[0]), agent_model=agent_model)
    standing = with_standing(merged.record)
    if standing == merged.record:
        return merged
    return merged.adding(standing, "which of these serve, or served, by their releases")


def with_model(
    merged: Merged, model: ModelRepository, dataset: DatasetRepository | None, *, agent_model: str
) -> Merged:
    record, told = merged.record, model.told
    if not told:
        return merged.leaving(f"{model.repo}: no modelops.json, so no model was published in it")
    if not is_for(told, record.agent, agent_model):
        owner = told.get("agent_model") or f"agent {told.get('agent')}"
        return merged.leaving(f"{model.repo}: its modelops.json names {owner}")
    version = str(told.get("version") or "")
    number = numbered(version)
    if number is None:
        return merged.leaving(f"{model.repo}: its modelops.json has version {version!r}, which is none")
    if any(key.startswith(f"{told.get('run')}/") for key in record.reservations):
        return with_allocated(merged, version, number).leaving(
            f"{model.repo}: its TrainingRun is under way, and the operator takes the model in when it ends"
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
    """A history entry, or what the one that is there leaves open; the version's number is not free any more."""
    record, found = merged.record, entry_of(model, dataset, version=version)
    own = record.entry_of(model.repo)
    if own is not None:
        completed = filled(own, found)
        if completed == own:
            return merged
        said = ", ".join(sorted(completed.lineage.keys() - own.lineage.keys())) or "its dataset"
        return merged.adding(
            record.with_(history=tuple(completed if e is own else e for e in record.history)),
            f"lineage of {own.version} ({model.repo}): {said}",
        )
    holder = holder_of(record, number, model.repo)
    if holder:
        return merged.leaving(f"{model.repo}: its version {version} is {holder}'s in the record")
    history = sorted((*record.history, found), key=lambda entry: entry.trained_at)
    added = merged.adding(record.with_(history=tuple(history)), f"version {version} ({model.repo})")
    return with_allocated(added, version, number)


def with_allocated(merged: Merged, version: str, number: Version) -> Merged:
    """A number is given once, as a release candidate or without."""
    record = merged.record
    if any(parse(known) == number for known in record.allocated):
        return merged
    changed = record.with_(allocated={**record.allocated, version: {}})
    return merged.adding(changed, f"number of {version}: not given again")


def with_completed(merged: Merged, model: ModelRepository, *, version: str) -> Merged:
    """The run trains no second time when it is restored from Git or from a backup. Older models name no run."""
    record, told = merged.record, model.told
    identity, name = str(told.get("identity") or ""), str(told.get("name") or "")
    if not identity or not name or identity in record.completed:
        return merged
    done = Completed(
        kind="TrainingRun",
        name=name,
        uid=str(told.get("run") or ""),
        outcome=TrainingReason.Trained.value,
        version=version,
        revision=model.revision,
        finished_at=model.published_at,
    )
    changed = record.with_(completed={**record.completed, identity: done})
    return merged.adding(changed, f"TrainingRun {name}: it has trained {version}")


def with_standing(record: Record) -> Record:
    """Versions that were rebuilt as `trained`, called and marked as what serves, or served, by the same record."""
    by_model = {target.model: target for target in record.served.values()}

    def standing(entry: RegistryEntry) -> RegistryEntry:
        target = by_model.get(entry.hub_repo)
        if target is None or not entry.lineage.get("rebuilt") or entry.deployment_status != "trained":
            return entry
        status = "deployed" if target.model == record.stable.model else "superseded"
        return entry.model_copy(update={"version": target.version, "deployment_status": status})

    return record.with_(history=tuple(standing(entry) for entry in record.history))


def entry_of(model: ModelRepository, dataset: DatasetRepository | None, *, version: str) -> RegistryEntry:
    """The version as the operator would have written it, without what only a record knows: cost, scores."""
    told = model.told
    data, method = data_of(model, dataset), str(told.get("method") or "")
    config = told.get("config")
    config = dict(config) if isinstance(config, dict) else {}
    source = str(data.get("dataset_id") or "")
    lineage: dict[str, Any] = {
        "run": str(told.get("run") or ""),
        "revision": model.revision,
        "base_revision": str(told.get("base_revision") or ""),
        "dataset": {
            "repo": model.data[0],
            "revision": model.data[1],
            "digest": str(data.get("digest") or model.data_digest),
            "as_of": str(data.get("as_of") or ""),
        },
        "prompt": str(data.get("prompt") or ""),
        "recipe": {"digest": recipe_digest(method, config), **{k: str(v) for k, v in config.items()}},
        "job": str(told.get("job") or ""),
        "rebuilt": True,
    }
    return RegistryEntry(
        version=version,
        model=model.repo,
        base_model=str(told.get("base_model") or ""),
        training_method=method,
        training_dataset=f"ls://{source}" if source else "",
        trained_at=model.published_at,
        hub_repo=model.repo,
        deployment_status="trained",
        lineage=lineage,
    )


def data_of(model: ModelRepository, dataset: DatasetRepository | None) -> Json:
    """The dataset's own lineage at the commit that was trained on."""
    return dataset.revisions.get(model.data[1], {}) if dataset is not None else {}


def filled(own: RegistryEntry, found: RegistryEntry) -> RegistryEntry:
    """The record's entry, completed where it says nothing. Its `lineage.digest` covers what it said."""
    if not own.lineage.get("rebuilt") and own.lineage:
        return own
    lineage = {
        **{key: value for key, value in found.lineage.items() if not own.lineage.get(key)},
        **{key: value for key, value in own.lineage.items() if value},
    }
    if lineage == own.lineage and (own.training_dataset or not found.training_dataset):
        return own
    return own.model_copy(
        update={"lineage": lineage, "training_dataset": own.training_dataset or found.training_dataset}
    )


def holder_of(record: Record, number: Version, repo: str) -> str:
    """The other repository that has this version in the record; empty where none has."""
    entries: Iterable[tuple[str, str]] = ((e.version, e.hub_repo) for e in record.history)
    targets = ((t.version, t.model) for t in (record.stable, *record.served.values()))
    taken = [
        other for version, other in (*entries, *targets) if numbered(version) == number and other != repo
    ]
    return taken[0] if taken else ""


def numbered(version: str) -> Version | None:
    """A version without its release-candidate part; None where it is none."""
    try:
        return parse(release_version(version))
    except ValueError:
        return None
