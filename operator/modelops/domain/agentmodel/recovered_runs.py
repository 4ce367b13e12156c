"""What a TrainingRun's status still has of a lost record: its end, its version, its cost and its reservation."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.domain.agentmodel.state import State
from modelops.domain.money import micro
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record, RegistryEntry, Reservation, Settlement
from modelops.domain.training.account import account_of


def with_run(record: Record, state: State, identity: str, run: TrainingRun) -> Record:
    """The record with the run's end, version, cost and reservation."""
    status, meta = run.status, run.metadata
    month = f"{state.now:%Y-%m}"
    record = with_attempts(record, run, month=month)
    key = f"{meta.uid}/{attempt_of(run)}"
    if status.phase not in (TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED):
        # The record may have settled the attempt already, before the status shows it: then nothing is reserved again.
        is_recorded = key in record.reservations or key in record.settlements
        if status.job is None or status.estimate is None or is_recorded:
            return record
        reserved = Reservation(
            usd_micro=micro(status.estimate.high_usd),
            month=month,
            name=meta.name,
            account=account_of(run, hub_org=""),  # empty stands for the installation's organisation
            label=status.job.label,
        )
        return record.with_(reservations={**record.reservations, key: reserved})
    if status.reason == TrainingReason.AlreadyCompleted.value:
        pass
    elif status.job is None and not status.attempts:
        return record
    outcome = (
        TrainingReason.Trained.value
        if status.phase is TrainingPhase.SUCCEEDED
        else status.reason or TrainingReason.JobFailed.value
    )
    version = status.model.version if status.model else ""
    done = Completed(
        kind="TrainingRun",
        name=meta.name,
        uid=meta.uid,
        outcome=outcome,
        version=version,
        revision=status.model.revision if status.model else "",
    )
    changed = record.with_(
        completed={**record.completed, identity: done},
        reservations={k: v for k, v in record.reservations.items() if k != key},
    )
    if status.cost_usd is not None and key not in record.settlements:
        before = sum(micro(past.cost_usd) for past in status.attempts)
        settled = Settlement(
            usd_micro=max(0, micro(status.cost_usd) - before),
            month=month,
            jobs=(status.job.id,) if status.job else (),
        )
        changed = changed.with_(settlements={**changed.settlements, key: settled})
    if status.model is None or record.entry(version) is not None or record.entry_of(status.model.repo):
        return changed
    finished = status.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if status.finished_at else ""
    entry = RegistryEntry(
        version=version,
        model=status.model.repo,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        training_dataset=f"ls://{status.dataset.langsmith_id}" if status.dataset else "",
        trained_at=finished,
        hub_repo=status.model.repo,
        deployment_status="trained",
        lineage={
            "run": meta.uid,
            "revision": status.model.revision,
            "base_revision": status.base_revision,
            "rebuilt": True,
        },
    )
    allocated = {version: {}, **changed.allocated}
    return changed.with_(history=(*changed.history, entry), allocated=allocated)


def attempt_of(run: TrainingRun) -> int:
    """The number of the current attempt, or of the last one."""
    status = run.status
    if status.job is not None:
        return status.job.attempt
    return status.attempts[-1].attempt if status.attempts else 1


def with_attempts(record: Record, run: TrainingRun, *, month: str) -> Record:
    """The record with the cost of the run's finished attempts, and without their reservations."""
    costs = {
        f"{run.metadata.uid}/{past.attempt}": Settlement(
            usd_micro=micro(past.cost_usd), month=month, jobs=(past.job,) if past.job else ()
        )
        for past in run.status.attempts
    }
    reservations = {key: entry for key, entry in record.reservations.items() if key not in costs}
    return record.with_(settlements={**costs, **record.settlements}, reservations=reservations)
