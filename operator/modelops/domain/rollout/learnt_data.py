"""Which data a candidate has learnt: its own training's, and those of the earlier models that it was trained from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.domain.record import Record, RegistryEntry, Target


def learnt_data(record: Record, candidate: Target) -> dict[str, Any]:
    """The fields of the evaluation's input that name the data, as `evaluation.request.Request` reads them.

    A run's `baseModel` may be a model of an earlier run, which has learnt its own data. The chain is followed in the
    record. `base` is the model at which the record's chain ends: the evaluation looks it up on the Hub, because it may
    be the model of another agent. It is the candidate itself where the record has no entry for it.
    """
    entry = record.entry(candidate.version) or record.entry_of(candidate.model)
    on_hub = candidate.endpoint != "openrouter"
    base = {"repo": candidate.model, "revision": candidate.revision} if on_hub else _at("", "")
    datasets: list[dict[str, str]] = []
    passed: set[str] = set()
    while entry is not None and entry.hub_repo not in passed:
        passed.add(entry.hub_repo)
        datasets.append(_dataset_of(entry))
        base = _at(entry.base_model, entry.lineage.get("base_revision"))
        entry = record.entry_of(entry.base_model)
    return {
        "training_dataset": datasets[0] if datasets else _at("", ""),
        "earlier_datasets": datasets[1:],
        "base": base if base["repo"] not in passed else _at("", ""),
    }


def _dataset_of(entry: RegistryEntry) -> dict[str, str]:
    found = entry.lineage.get("dataset")
    known = found if isinstance(found, Mapping) else {}
    return _at(known.get("repo"), known.get("revision"))


def _at(repo: object, revision: object) -> dict[str, str]:
    return {"repo": str(repo or ""), "revision": str(revision or "")}
