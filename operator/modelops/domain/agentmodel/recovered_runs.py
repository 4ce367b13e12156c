"""What a TrainingRun's status still has of a lost record: its end, its version, its cost and its reservation."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.trainingrun import TrainedModel, TrainingPhase, TrainingRun
from modelops.domain.agentmodel.state import State
from modelops.domain.money import micro
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record, RegistryEntry, Reservation, Settlement
from modelops.domain.training.account import account_of
from modelops.domain.training.status import TERMINAL


def with_runs(record: Record, state: State, runs: Mapping[str, TrainingRun]) -> Record:
    """The record with the runs' ends, versions, cost and reservations; `runs` by identity.

    Thousands of runs are added in one pass, because each change of a record copies it.
    """
    if not runs:
        return record
    found = RecoveredParts(record, month=f"{state.now:%Y-%m}")
    for identity, run in runs.items():
        found.add(identity, run)
    return record.with_(
        completed=found.completed,
        reservations=found.reservations,
        settlements=found.settlements,
        history=tuple(found.history),
        allocated=found.allocated,
    )


class RecoveredParts:
    """The parts of a record that runs change, while run after run is added to them."""

    def __init__(self, record: Record, *, month: str) -> None:
        self.completed = dict(record.completed)
        self.reservations = dict(record.reservations)
        self.settlements = dict(record.settlements)
        self.history = list(record.history)
        self.allocated = dict(record.allocated)
        self._month = month
        self._versions = {entry.version for entry in record.history}
        self._repositories = {entry.hub_repo for entry in record.history}

    def add(self, identity: str, run: TrainingRun) -> None:
        """Adds the run's end, version, cost and reservation."""
        status, meta = run.status, run.metadata
        key = f"{meta.uid}/{attempt_of(run)}"
        self._add_attempts(run)
        if status.phase not in TERMINAL:
            self._add_reservation(key, run)
            return
        if status.job is None and not status.attempts and status.reason != TrainingReason.AlreadyCompleted:
            return
        self.completed[identity] = end_of(run)
        self.reservations.pop(key, None)
        if status.cost_usd is not None and key not in self.settlements:
            before = sum(micro(past.cost_usd) for past in status.attempts)
            self.settlements[key] = Settlement(
                usd_micro=max(0, micro(status.cost_usd) - before),
                month=self._month,
                jobs=(status.job.id,) if status.job else (),
            )
        self._add_version(run)

    def _add_attempts(self, run: TrainingRun) -> None:
        """The cost of the run's finished attempts; their reservations are released."""
        for past in run.status.attempts:
            key = f"{run.metadata.uid}/{past.attempt}"
            jobs = (past.job,) if past.job else ()
            settled = Settlement(usd_micro=micro(past.cost_usd), month=self._month, jobs=jobs)
            self.settlements.setdefault(key, settled)
            self.reservations.pop(key, None)

    def _add_reservation(self, key: str, run: TrainingRun) -> None:
        """The reservation of an attempt that may run.

        The record may have settled the attempt already, before the status shows it: then nothing is reserved again.
        """
        status = run.status
        if (
            status.job is None
            or status.estimate is None
            or key in self.reservations
            or key in self.settlements
        ):
            return
        self.reservations[key] = Reservation(
            usd_micro=micro(status.estimate.high_usd),
            month=self._month,
            name=run.metadata.name,
            account=account_of(run, hub_org=""),  # empty stands for the installation's organisation
            label=status.job.label,
        )

    def _add_version(self, run: TrainingRun) -> None:
        model = run.status.model
        if model is None or model.version in self._versions or model.repo in self._repositories:
            return
        self.history.append(version_of(run, model))
        self._versions.add(model.version)
        self._repositories.add(model.repo)
        self.allocated.setdefault(model.version, {})


def end_of(run: TrainingRun) -> Completed:
    """The end of a run as the record has it."""
    status, meta = run.status, run.metadata
    outcome = (
        TrainingReason.Trained.value
        if status.phase is TrainingPhase.SUCCEEDED
        else status.reason or TrainingReason.JobFailed.value
    )
    return Completed(
        kind="TrainingRun",
        name=meta.name,
        uid=meta.uid,
        outcome=outcome,
        version=status.model.version if status.model else "",
        revision=status.model.revision if status.model else "",
    )


def version_of(run: TrainingRun, model: TrainedModel) -> RegistryEntry:
    """The version that the run made, with what its status has of the lineage."""
    status = run.status
    return RegistryEntry(
        version=model.version,
        model=model.repo,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        training_dataset=f"ls://{status.dataset.langsmith_id}" if status.dataset else "",
        trained_at=status.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if status.finished_at else "",
        hub_repo=model.repo,
        deployment_status="trained",
        lineage={
            "run": run.metadata.uid,
            "revision": model.revision,
            "base_revision": status.base_revision,
            "rebuilt": True,
        },
    )


def attempt_of(run: TrainingRun) -> int:
    """The number of the current attempt, or of the last one."""
    status = run.status
    if status.job is not None:
        return status.job.attempt
    return status.attempts[-1].attempt if status.attempts else 1
