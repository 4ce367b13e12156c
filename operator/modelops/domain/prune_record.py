"""How the record keeps the removal of repositories: announced before it, and confirmed after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from modelops.domain.pruning import PruneDecision
from modelops.domain.record import DATA_PRUNED, DATA_PRUNING, PRUNED, PRUNING, Record


def with_removal_announced(record: Record, decisions: Sequence[PruneDecision], *, at: str) -> Record:
    """The record that announces the removals among these decisions. From then on no rollout may use the models."""
    repos = {decision.repo for decision in decisions if decision.removed}
    return _with_times(record, repos, model=PRUNING, data=DATA_PRUNING, at=at)


def with_removal_confirmed(record: Record, repo: str, *, at: str) -> Record:
    """The record that says that this repository was deleted from the Hub."""
    return _with_times(record, {repo}, model=PRUNED, data=DATA_PRUNED, at=at)


def _with_times(record: Record, repos: Collection[str], *, model: str, data: str, at: str) -> Record:
    """Sets the lineage keys `model` and `data` of the versions concerned; times that are set already stay."""
    history = []
    for entry in record.history:
        keys = {model: entry.hub_repo in repos, data: entry.dataset_repository in repos}
        new = {key: at for key, concerned in keys.items() if concerned and not entry.lineage.get(key)}
        history.append(entry.model_copy(update={"lineage": {**entry.lineage, **new}}) if new else entry)
    return record.with_(history=tuple(history))


def unfinished_removals(record: Record) -> tuple[tuple[str, Literal["model", "dataset"]], ...]:
    """Removals that were announced and not confirmed, because an earlier prune stopped between the two."""
    found: list[tuple[str, Literal["model", "dataset"]]] = []
    for entry in record.history:
        if entry.lineage.get(PRUNING) and not entry.lineage.get(PRUNED):
            found.append((entry.hub_repo, "model"))
        if entry.lineage.get(DATA_PRUNING) and not entry.lineage.get(DATA_PRUNED):
            found.append((entry.dataset_repository, "dataset"))
    return tuple(found)
