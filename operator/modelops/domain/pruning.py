"""Which repositories of an agent are removed from the Hub, and why each other one stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, Shelf, is_for
from modelops.domain.in_use import InUse, Use
from modelops.domain.record import DATA_PRUNED, DATA_PRUNING, PRUNED, PRUNING, Record
from modelops.domain.training.naming import Named, short_uid
from modelops.domain.versions import parse

Splits = Mapping[str, tuple[str, ...] | None]
"""Splits that hold an example, by revision of prepared data; None where the data do not say."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What may go: older than this, and not among the newest `keep` versions."""

    older_than: timedelta
    keep: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One repository. `first`: what to do before it can go, where something needs it.

    `unsaid`: nobody can say whether it holds the example.
    """

    repo: str
    kind: Literal["model", "dataset"]
    version: str
    removed: bool
    why: str
    first: str = ""
    unsaid: bool = False


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges the repositories of one agent. `holding`: only with an example, by dataset repository."""

    record: Record
    agent_model: str
    shelf: Shelf
    uses: InUse
    policy: Policy
    now: datetime
    holding: Mapping[str, Splits] | None = None
    _kept: dict[str, Verdict] = field(default_factory=dict)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Models, then their data, each by the time in its name; with an example only what it concerns."""
        models = [self.model(found) for found in sorted(self.shelf.models, key=lambda m: m.repo)]
        self._kept.update({v.repo: v for v in models if v is not None and not v.removed})
        data = [self.dataset(found) for found in sorted(self.shelf.datasets, key=lambda d: d.repo)]
        return tuple(verdict for verdict in (*models, *data) if verdict is not None)

    # Models -------------------------------------------------------------------------------------------------

    def model(self, found: ModelRepository) -> Verdict | None:
        """None: it does not concern the example."""
        if self.holding is not None and self.learnt(found) == ():
            return None
        kept = self.model_is_not_ours(found) or self.model_is_needed(found)
        if kept is not None:
            return kept
        if self.holding is not None:
            return self.model_of_example(found)
        return self.model_by_age(found)

    def model_is_not_ours(self, found: ModelRepository) -> Verdict | None:
        sibling = self.shelf.dataset(f"{found.repo}-data")
        told = found.told or (sibling.told if sibling else {})
        return self.not_ours(self.of_model(found), told, found.named)

    def model_is_needed(self, found: ModelRepository) -> Verdict | None:
        use = self.uses.of_model(found.repo, found.named.uid)
        return used(self.of_model(found), use) if use else None

    def model_of_example(self, found: ModelRepository) -> Verdict:
        verdict = self.of_model(found)
        if self.learnt(found) is None:
            return replace(
                verdict,
                unsaid=True,
                why="whether it was trained on the example cannot be said: its data are gone, or do not name theirs",
                first="if in doubt, remove it by hand",
            )
        return replace(verdict, removed=True, why="trained on the example")

    def model_by_age(self, found: ModelRepository) -> Verdict:
        verdict = self.of_model(found)
        entry = self.record.entry_of(found.repo)
        if entry is not None and entry.lineage.get(PRUNING):
            return replace(verdict, removed=True, why=f"its removal was begun at {entry.lineage[PRUNING]}")
        if found.repo in self.newest():
            return replace(verdict, why=f"one of the newest {self.policy.keep} versions")
        return self.by_age(verdict, found.named)

    def newest(self) -> frozenset[str]:
        """Repositories of the newest versions that are still there."""
        there = {model.repo for model in self.shelf.models}
        entries = [e for e in self.record.history if e.hub_repo in there and not e.lineage.get(PRUNING)]
        entries.sort(key=lambda entry: (parse(entry.version), entry.trained_at), reverse=True)
        return frozenset(entry.hub_repo for entry in entries[: self.policy.keep])

    def learnt(self, found: ModelRepository) -> tuple[str, ...] | None:
        """`train` where it was trained on the example. A model that was not published may be in a checkpoint."""
        assert self.holding is not None
        repo, revision = found.data if found.told else (f"{found.repo}-data", "")
        splits = self.holding.get(repo)
        if splits is None:
            return None if found.told else ()
        said = [splits.get(revision)] if revision else list(splits.values())
        if any(one is not None and "train" in one for one in said):
            return ("train",)
        return None if any(one is None for one in said) else ()

    # Data ---------------------------------------------------------------------------------------------------

    def dataset(self, found: DatasetRepository) -> Verdict | None:
        """None: it does not concern the example."""
        held = self.held(found)
        if self.holding is not None and held == ():
            return None
        verdict = self.of_data(found)
        kept = self.not_ours(verdict, found.told, found.named)
        use = self.uses.of_data(found.repo, found.named.uid)
        if kept is None and use is not None:
            kept = used(verdict, use)
        if kept is not None:
            return kept
        if self.holding is not None and held is None:
            words = "it does not name its examples: it was prepared by an older version"
            return replace(verdict, unsaid=True, why=words, first="if in doubt, remove it by hand")
        by_model = self.data_is_needed(found)
        if by_model is not None:
            return by_model
        if self.holding is not None:
            return replace(verdict, removed=True, why=f"holds the example ({', '.join(held or ())})")
        if self.data_removal_was_begun(found):
            return replace(verdict, removed=True, why="its removal was begun before")
        return self.by_age(verdict, found.named)

    def data_is_needed(self, found: DatasetRepository) -> Verdict | None:
        """A model that stays needs its data: an evaluation leaves out what it was trained on."""
        for model in self.trained_on(found):
            kept = self._kept.get(model.repo)
            if kept is not None:
                why = f"data of {kept.version or model.repo}, which stays: {kept.why}"
                first = kept.first and f"{kept.first}; then this goes with the model"
                return replace(self.of_data(found), why=why, first=first)
        return None

    def trained_on(self, found: DatasetRepository) -> tuple[ModelRepository, ...]:
        own = found.repo.removesuffix("-data")
        return tuple(m for m in self.shelf.models if m.data[0] == found.repo or m.repo == own)

    def data_removal_was_begun(self, found: DatasetRepository) -> bool:
        return any(
            e.lineage.get(DATA_PRUNING) and data_of(e.lineage) == found.repo for e in self.record.history
        )

    def held(self, found: DatasetRepository) -> tuple[str, ...] | None:
        """Splits that hold the example, in whichever revision: its history is on the Hub, too."""
        splits = (self.holding or {}).get(found.repo, {})
        known = {split for one in splits.values() if one for split in one}
        if known:
            return tuple(sorted(known, reverse=True))
        return None if any(one is None for one in splits.values()) else ()

    # Both ---------------------------------------------------------------------------------------------------

    def not_ours(self, verdict: Verdict, told: Mapping[str, object], named: Named) -> Verdict | None:
        """Names alone prove nothing: another cluster, or a person, may use the organisation as well."""
        if not is_for(told, self.record.agent):
            return replace(
                verdict, why=f"no modelops.json says that it is of {self.record.agent}: not ours to remove"
            )
        if not is_for(told, self.record.agent, self.agent_model):
            return replace(verdict, why=f"of AgentModel {told.get('agent_model')}: not this one's to remove")
        if self.record.entry_of(verdict.repo) is None and named.uid not in self.known_runs():
            return replace(
                verdict,
                why="not in the record, and maybe another cluster's",
                first="modelops registry rebuild, if it is this agent's",
            )
        return None

    def known_runs(self) -> frozenset[str]:
        """Of every run that the record knows, what is in the names of its repositories."""
        ended = (done.uid for done in self.record.completed.values() if done.kind == "TrainingRun")
        trained = (str(entry.lineage.get("run") or "") for entry in self.record.history)
        settled = (key.partition("/")[0] for key in self.record.settlements)
        return frozenset(short_uid(uid) for uid in (*ended, *trained, *settled) if uid)

    def by_age(self, verdict: Verdict, named: Named) -> Verdict:
        age = self.now - named.created
        if age < self.policy.older_than:
            return replace(verdict, why=f"{shown(age)} old")
        return replace(verdict, removed=True, why=f"{shown(age)} old, and nothing needs it")

    def of_model(self, found: ModelRepository) -> Verdict:
        entry = self.record.entry_of(found.repo)
        version = entry.version if entry else str(found.told.get("version") or "")
        return Verdict(repo=found.repo, kind="model", version=version, removed=False, why="")

    def of_data(self, found: DatasetRepository) -> Verdict:
        entry = next((e for e in self.record.history if data_of(e.lineage) == found.repo), None)
        version = entry.version if entry else ""
        return Verdict(repo=found.repo, kind="dataset", version=version, removed=False, why="")


def used(verdict: Verdict, use: Use) -> Verdict:
    return replace(verdict, why=use.why, first=use.first)


def data_of(lineage: Mapping[str, object]) -> str:
    """The repository of the data of a version."""
    found = lineage.get("dataset")
    return str(found.get("repo") or "") if isinstance(found, Mapping) else ""


def shown(age: timedelta) -> str:
    return f"{age.days} days" if age.days else f"{int(age.total_seconds() // 60)} minutes"


# What the record says of it -----------------------------------------------------------------------------------


def begun(record: Record, verdicts: tuple[Verdict, ...], *, at: str) -> Record:
    """The record in which the removal of these is announced: from then on nothing claims them."""
    repos = {verdict.repo for verdict in verdicts if verdict.removed}
    return marked(record, repos, model=PRUNING, data=DATA_PRUNING, at=at)


def gone(record: Record, repo: str, *, at: str) -> Record:
    """The record in which this repository is no longer on the Hub."""
    return marked(record, {repo}, model=PRUNED, data=DATA_PRUNED, at=at)


def marked(record: Record, repos: set[str], *, model: str, data: str, at: str) -> Record:
    """Times that are there already stay."""
    history = []
    for entry in record.history:
        keys = {model: entry.hub_repo in repos, data: data_of(entry.lineage) in repos}
        new = {key: at for key, concerned in keys.items() if concerned and not entry.lineage.get(key)}
        history.append(entry.model_copy(update={"lineage": {**entry.lineage, **new}}) if new else entry)
    return record.with_(history=tuple(history))


def unfinished(record: Record) -> tuple[tuple[str, Literal["model", "dataset"]], ...]:
    """Removals that were announced and not confirmed: somebody stopped in between."""
    found: list[tuple[str, Literal["model", "dataset"]]] = []
    for entry in record.history:
        if entry.lineage.get(PRUNING) and not entry.lineage.get(PRUNED):
            found.append((entry.hub_repo, "model"))
        if entry.lineage.get(DATA_PRUNING) and not entry.lineage.get(DATA_PRUNED):
            found.append((data_of(entry.lineage), "dataset"))
    return tuple(found)
