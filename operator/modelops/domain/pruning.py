"""Which repositories of an agent are removed from the Hub, and why each of the others stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from modelops.domain.hub_repositories import (
    DatasetRepository,
    ModelRepository,
    RepositoryCatalog,
    names_agent,
)
from modelops.domain.record import DATA_PRUNING, PRUNING, Record
from modelops.domain.repositories_in_use import RepositoriesInUse, RetentionReason
from modelops.domain.training.naming import Named, short_uid
from modelops.domain.versions import parse

Splits = Mapping[str, tuple[str, ...] | None]
"""Splits that have an example, by revision of prepared data; None where the data do not name their examples."""

REMOVE_BY_HAND = "if in doubt, remove it by hand"


@dataclass(frozen=True, kw_only=True)
class PrunePolicy:
    """What may be removed: repositories older than `older_than` that are not among the newest `keep` versions."""

    older_than: timedelta
    keep: int


@dataclass(frozen=True, kw_only=True)
class PruneDecision:
    """Whether one repository is removed, and why.

    `remedy` is what a person has to do before the repository can be removed, where it is in use. `undetermined`:
    the repository does not say whether it has the example.
    """

    repo: str
    kind: Literal["model", "dataset"]
    version: str
    removed: bool
    reason: str
    remedy: str = ""
    undetermined: bool = False


@dataclass(frozen=True, kw_only=True)
class PrunePlanner:
    """Decides on the repositories of one agent.

    With `example_splits`, the splits with an example by dataset repository, only repositories that have the example are
    decided on, whatever their age. `agent_model` is `namespace/name`. `runs` are the uids of its TrainingRuns that
    exist: a run that was refused after its data were uploaded is not in the record.
    """

    record: Record
    agent_model: str
    catalog: RepositoryCatalog
    uses: RepositoriesInUse
    policy: PrunePolicy
    now: datetime
    runs: frozenset[str] = frozenset()
    example_splits: Mapping[str, Splits] | None = None
    _kept: dict[str, PruneDecision] = field(default_factory=dict)

    def decisions(self) -> tuple[PruneDecision, ...]:
        """Models first, then their data, each ordered by the time in the repository's name."""
        models = [self._decide_model(found) for found in sorted(self.catalog.models, key=lambda m: m.repo)]
        self._kept.update({d.repo: d for d in models if d is not None and not d.removed})
        data = [self._decide_dataset(found) for found in sorted(self.catalog.datasets, key=lambda d: d.repo)]
        return tuple(decision for decision in (*models, *data) if decision is not None)

    # Models -------------------------------------------------------------------------------------------------

    def _decide_model(self, found: ModelRepository) -> PruneDecision | None:
        """None where the model was not trained on the example."""
        splits = self._trained_splits(found, self.example_splits) if self.example_splits is not None else None
        if splits == ():
            return None
        decision = self._undecided_model(found)
        kept = self._keep_if_foreign_model(found, decision) or keep_if_used(
            decision, self.uses.reason_to_keep_model(found.repo, found.named.uid)
        )
        if kept is not None:
            return kept
        if self.example_splits is None:
            return self._decide_model_by_age(found, decision)
        if splits is None:
            reason = "whether it was trained on the example is not known: its data are deleted, or name no examples"
            return replace(decision, undetermined=True, reason=reason, remedy=REMOVE_BY_HAND)
        return replace(decision, removed=True, reason="trained on the example")

    def _keep_if_foreign_model(self, found: ModelRepository, decision: PruneDecision) -> PruneDecision | None:
        dataset = self.catalog.dataset(f"{found.repo}-data")
        lineage = found.lineage or (dataset.lineage if dataset else {})
        return self._keep_if_foreign(decision, lineage, found.named)

    def _decide_model_by_age(self, found: ModelRepository, decision: PruneDecision) -> PruneDecision:
        entry = self.record.entry_of(found.repo)
        if entry is not None and entry.lineage.get(PRUNING):
            return replace(decision, removed=True, reason=f"its removal began at {entry.lineage[PRUNING]}")
        if found.repo in self._newest_models():
            versions = (
                "the newest version"
                if self.policy.keep == 1
                else f"one of the newest {self.policy.keep} versions"
            )
            return replace(decision, reason=versions)
        return self._decide_by_age(decision, found.named)

    def _newest_models(self) -> frozenset[str]:
        """Model repositories of the newest versions that are on the Hub."""
        on_hub = {model.repo for model in self.catalog.models}
        entries = [e for e in self.record.history if e.hub_repo in on_hub and not e.lineage.get(PRUNING)]
        entries.sort(key=lambda entry: (parse(entry.version), entry.trained_at), reverse=True)
        return frozenset(entry.hub_repo for entry in entries[: self.policy.keep])

    def _trained_splits(
        self, found: ModelRepository, example_splits: Mapping[str, Splits]
    ) -> tuple[str, ...] | None:
        """`("train",)` where the model was trained on the example, None where that is not known.

        A run that failed published no model, but its repository may have a checkpoint.
        """
        repo, revision = found.data if found.lineage else (f"{found.repo}-data", "")
        splits = example_splits.get(repo)
        if splits is None:
            return None if found.lineage else ()
        of_revisions = [splits.get(revision)] if revision else list(splits.values())
        if any(one is not None and "train" in one for one in of_revisions):
            return ("train",)
        return None if any(one is None for one in of_revisions) else ()

    # Data ---------------------------------------------------------------------------------------------------

    def _decide_dataset(self, found: DatasetRepository) -> PruneDecision | None:
        """None where the data do not have the example."""
        splits = self._splits_with_example(found)
        if self.example_splits is not None and splits == ():
            return None
        decision = self._undecided_dataset(found)
        kept = self._keep_if_foreign(decision, found.lineage, found.named) or keep_if_used(
            decision, self.uses.reason_to_keep_dataset(found.repo, found.named.uid)
        )
        if kept is not None:
            return kept
        if self.example_splits is not None and splits is None:
            reason = "it does not name its examples: an older version of the operator prepared it"
            return replace(decision, undetermined=True, reason=reason, remedy=REMOVE_BY_HAND)
        kept = self._keep_if_model_stays(found, decision)
        if kept is not None:
            return kept
        if self.example_splits is not None:
            return replace(decision, removed=True, reason=f"has the example ({', '.join(splits or ())})")
        if self._removal_has_begun(found):
            return replace(decision, removed=True, reason="its removal began earlier")
        return self._decide_by_age(decision, found.named)

    def _keep_if_model_stays(self, found: DatasetRepository, decision: PruneDecision) -> PruneDecision | None:
        """A model that stays needs its data, because an evaluation leaves out the examples it was trained on."""
        for model in self._models_trained_on(found):
            kept = self._kept.get(model.repo)
            if kept is not None:
                reason = f"data of {kept.version or model.repo}, which stays: {kept.reason}"
                remedy = kept.remedy and f"{kept.remedy}; then the data are removed together with the model"
                return replace(decision, reason=reason, remedy=remedy)
        return None

    def _models_trained_on(self, found: DatasetRepository) -> tuple[ModelRepository, ...]:
        model_repo = found.repo.removesuffix("-data")
        return tuple(m for m in self.catalog.models if m.data[0] == found.repo or m.repo == model_repo)

    def _removal_has_begun(self, found: DatasetRepository) -> bool:
        return any(
            e.lineage.get(DATA_PRUNING) and e.dataset_repository == found.repo for e in self.record.history
        )

    def _splits_with_example(self, found: DatasetRepository) -> tuple[str, ...] | None:
        """Splits that have the example in any revision, because the Hub keeps old revisions as well."""
        splits = (self.example_splits or {}).get(found.repo, {})
        known = {split for one in splits.values() if one for split in one}
        if known:
            return tuple(sorted(known, reverse=True))
        return None if any(one is None for one in splits.values()) else ()

    # Both ---------------------------------------------------------------------------------------------------

    def _keep_if_foreign(
        self, decision: PruneDecision, lineage: Mapping[str, object], named: Named
    ) -> PruneDecision | None:
        """A name alone is no proof: another cluster or a person may use the same organisation."""
        agent = self.record.agent
        if not names_agent(lineage, agent):
            return replace(decision, reason=f"no modelops.json says that it belongs to {agent}")
        if not names_agent(lineage, agent, self.agent_model):
            return replace(decision, reason=f"it belongs to AgentModel {lineage.get('agent_model')}")
        made_by_existing_run = lineage.get("run") in self.runs
        in_record = self.record.entry_of(decision.repo) is not None or named.uid in self._known_run_uids()
        if made_by_existing_run or in_record:
            return None
        return replace(
            decision,
            reason="neither the record nor a TrainingRun here has its run, so it may belong to another cluster",
            remedy="modelops registry rebuild, if it belongs to this agent; if its run was refused and is deleted, "
            "remove it by hand",
        )

    def _known_run_uids(self) -> frozenset[str]:
        """Short uids of all runs in the record, as the names of repositories have them."""
        ended = (done.uid for done in self.record.completed.values() if done.kind == "TrainingRun")
        trained = (str(entry.lineage.get("run") or "") for entry in self.record.history)
        settled = (key.partition("/")[0] for key in self.record.settlements)
        return frozenset(short_uid(uid) for uid in (*ended, *trained, *settled) if uid)

    def _decide_by_age(self, decision: PruneDecision, named: Named) -> PruneDecision:
        age = self.now - named.created
        if age < self.policy.older_than:
            return replace(decision, reason=f"{age_text(age)} old")
        return replace(decision, removed=True, reason=f"{age_text(age)} old and not in use")

    def _undecided_model(self, found: ModelRepository) -> PruneDecision:
        entry = self.record.entry_of(found.repo)
        version = entry.version if entry else str(found.lineage.get("version") or "")
        return PruneDecision(repo=found.repo, kind="model", version=version, removed=False, reason="")

    def _undecided_dataset(self, found: DatasetRepository) -> PruneDecision:
        entry = next((e for e in self.record.history if e.dataset_repository == found.repo), None)
        version = entry.version if entry else ""
        return PruneDecision(repo=found.repo, kind="dataset", version=version, removed=False, reason="")


def keep_if_used(decision: PruneDecision, use: RetentionReason | None) -> PruneDecision | None:
    """The decision to keep a repository that is in use; None where it is not in use."""
    return replace(decision, reason=use.reason, remedy=use.remedy) if use else None


def age_text(age: timedelta) -> str:
    """An age for messages, such as "181 days"."""
    count, unit = (age.days, "day") if age.days else (int(age.total_seconds() // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
