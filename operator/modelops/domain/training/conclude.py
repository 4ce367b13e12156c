"""A run's end: the record first (settle, complete, register), then the status, which is read from the record."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainedModel, TrainingPhase
from modelops.domain.digest import digest_of
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Plan, Step, WriteFinalizers, WriteRecord
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.record import Completed, Record, RegistryEntry, Settlement
from modelops.domain.training.estimate import billed_micro_usd
from modelops.domain.training.observed import Observed
from modelops.domain.training.status import TERMINAL, moved, said
from modelops.ports import Job


def conclude(
    seen: Observed, reason: Why, message: str, *, revision: str = "", job: Job | None = None
) -> Plan:
    """9. Settle the record over all jobs with the label; the status follows from it."""
    record = seen.record
    assert record is not None
    jobs = () if seen.labelled is UNSEEN or isinstance(seen.labelled, Outage) else seen.labelled
    known = {item.id: item for item in jobs}
    if isinstance(seen.job, Job):
        known.setdefault(seen.job.id, seen.job)
    reservation = record.reservations.get(seen.reservation_key)
    version = reservation.version if reservation else ""
    price = micro(seen.run.status.estimate.usd_per_hour) if seen.run.status.estimate else 0
    cost = sum(billed_micro_usd(item.running_seconds, price) for item in known.values())
    settled = record.with_(
        reservations={k: v for k, v in record.reservations.items() if k != seen.reservation_key},
        settlements={
            **record.settlements,
            seen.reservation_key: Settlement(
                usd_micro=cost,
                month=reservation.month if reservation else f"{seen.now:%Y-%m}",
                jobs=tuple(sorted(known)),
            ),
        },
        completed={
            **record.completed,
            seen.identity: Completed(
                kind="TrainingRun",
                name=seen.run.metadata.name,
                uid=seen.uid,
                outcome=reason.value,
                version=version,
                message=message[:512],
                revision=revision,
                finished_at=seen.now.isoformat(timespec="seconds"),
            ),
        },
    )
    if reason is Why.TRAINED:
        settled = registered(seen, settled, version=version, revision=revision, job=job, cost=cost)
    return Plan(
        steps=(WriteRecord(record=settled, why=f"settle {shown(cost)} of {seen.run.metadata.name}"),),
        requeue_after=0,
    )


def registered(
    seen: Observed, record: Record, *, version: str, revision: str, job: Job | None, cost: int
) -> Record:
    """The history with this version in it, as `trained`."""
    from modelops.domain.training.prepare import training_dataset, values
    from modelops.domain.training.submit import output_repository

    run, dataset = seen.run, seen.run.status.dataset
    assert dataset is not None
    repo = output_repository(seen)
    inputs = record.allocated.get(version, {})
    lineage = {
        "run": seen.uid,
        "revision": revision,
        "base_revision": run.status.base_revision,
        "dataset": {
            "repo": dataset.repo,
            "revision": dataset.revision,
            "digest": dataset.digest,
            "as_of": dataset.as_of,
        },
        "prompt": inputs.get("prompt_digest", ""),
        "recipe": {"digest": inputs.get("recipe_digest", ""), **{k: str(v) for k, v in values(seen).items()}},
        "job": job.id if job else "",
        "cost_usd": dollars(cost),
    }
    langsmith = training_dataset(seen)
    entry = RegistryEntry(
        version=version,
        model=repo,
        base_model=run.spec.base_model,
        training_method=run.spec.method.value,
        training_dataset=langsmith if langsmith.startswith("ls://") else f"ls://{langsmith}",
        trained_at=seen.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        hub_repo=repo,
        deployment_status="trained",
        lineage={**lineage, "digest": digest_of("lineage/v1", lineage)},
    )
    return record.with_(history=(*record.history, entry))


def record_says_done(seen: Observed) -> Plan | None:
    """Recovery: the record names a run with this kind, name and spec as completed; say so and do nothing."""
    if seen.run.status.phase in TERMINAL or seen.record is None:
        return None
    done = seen.record.completed.get(seen.identity)
    if done is None:
        return None
    ours = done.uid == seen.uid
    trained = done.outcome == Why.TRAINED.value
    phase = TrainingPhase.SUCCEEDED if trained else TrainingPhase.FAILED
    if done.outcome == Why.CANCELLED.value:
        phase = TrainingPhase.CANCELLED
    reason = Why.named(done.outcome) if ours else Why.ALREADY_COMPLETED
    message = done.message
    if not ours:
        message = (
            f"a TrainingRun {done.name} with the same spec already ended as {done.outcome}; nothing was done again: "
            f"use a new name to repeat it"
        )
    settlement = seen.record.settlements.get(f"{done.uid}/{seen.attempt}")
    entry = seen.record.entry(done.version) if trained else None
    changes: dict[str, Any] = {}
    if settlement is not None and ours:
        changes["cost_usd"] = dollars(settlement.usd_micro)
    if entry is not None:
        changes["model"] = TrainedModel(repo=entry.hub_repo, revision=done.revision, version=done.version)
    progress = seen.run.status.progress
    if ours and trained and progress is not None:
        changes["progress"] = progress.model_copy(
            update={"percent": 100, "step": progress.max_steps, "eta_minutes": 0}
        )
    status = moved(seen, phase, reason, message, **changes)
    return Plan(steps=(*said(seen, status, reason, message), *released(seen)), requeue_after=0)


def released(seen: Observed) -> tuple[Step, ...]:
    """The finalizer's removal, where it is there."""
    kept = tuple(name for name in seen.run.metadata.finalizers if name != FINALIZER)
    return (WriteFinalizers(finalizers=kept),) if kept != seen.run.metadata.finalizers else ()


def is_over(seen: Observed) -> Plan | None:
    """A run that ended: release what was reserved without ever being intended, then the finalizer."""
    if seen.run.status.phase not in TERMINAL:
        return None
    record = seen.record
    if record is not None and seen.reservation_key in record.reservations and seen.run.status.job is None:
        kept = {k: v for k, v in record.reservations.items() if k != seen.reservation_key}
        return Plan(
            steps=(
                WriteRecord(record=record.with_(reservations=kept), why=f"release {seen.run.metadata.name}"),
            ),
            requeue_after=0,
        )
    return Plan(steps=released(seen))
