"""A run's end: the record first (settle, complete, register), then the status, which is read from it."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainedModel, TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import condition_of
from modelops.domain.digest import digest_of
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Plan, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record, RegistryEntry, Settlement
from modelops.domain.training.actions import DeleteRun, TrainingPlan, TrainingStep
from modelops.domain.training.effective_spec import (
    inputs_of,
    output_repository,
    recipe_digest,
    training_dataset,
    training_values,
)
from modelops.domain.training.pricing.estimate import billed_micro_usd
from modelops.domain.training.pricing.measured_speed import with_pace
from modelops.domain.training.state import State
from modelops.domain.training.status import TERMINAL, status_steps, with_phase
from modelops.domain.versions import next_version
from modelops.ports import Job

Jobs = dict[str, Job]


def conclude(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """9. Settle the record over all jobs with the label; the status follows from it."""
    done = Completed(
        kind="TrainingRun",
        name=state.run.metadata.name,
        uid=state.uid,
        outcome=reason.value,
        version=reserved_version(state),
        message=message[:512],
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    return written(state, settled(state, state.require_record()), done)


def conclude_if_reserved(state: State, plan: TrainingPlan) -> TrainingPlan:
    """A run that asked for approval may have a reservation, or one under way: its end is written there first."""
    ended = next((s.status for s in plan.steps if isinstance(s, WriteStatus)), None)
    if not isinstance(ended, TrainingRunStatus) or ended.phase not in TERMINAL or state.record is None:
        return plan
    asked = condition_of(state.run.status.conditions, "Approved") is not None
    begun = bool(state.run.status.attempts)
    if not asked and not begun and state.reservation_key not in state.record.reservations:
        return plan
    words = condition_of(ended.conditions, "Ready")
    return conclude(state, TrainingReason.named(ended.reason), words.message if words else "")


def conclude_trained(
    state: State, message: str, *, revision: str, trained_as: dict[str, Any]
) -> TrainingPlan:
    """9, for a verified model, which enters the registry in the same write. `trained_as`: `modelops.json`."""
    record, version = state.require_record(), reserved_version(state)
    if not version:
        # The record was lost and rebuilt while the job trained: the version is allocated now.
        inputs = inputs_of(state)
        version = next_version(record.allocated, inputs=inputs, latest=record.latest_inputs())
        record = record.with_(allocated={**record.allocated, version: dict(vars(inputs))})
    booked = settled(state, record)
    cost = booked.spent_by(state.uid)
    entry = registry_entry(state, version=version, revision=revision, trained_as=trained_as, cost=cost)
    done = Completed(
        kind="TrainingRun",
        name=state.run.metadata.name,
        uid=state.uid,
        outcome=TrainingReason.Trained.value,
        version=version,
        message=message[:512],
        revision=revision,
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    return written(state, booked.with_(history=(*booked.history, entry)), done)


def written(state: State, record: Record, done: Completed) -> TrainingPlan:
    cost = record.spent_by(state.uid)
    ended = record.with_(completed={**record.completed, state.identity: done})
    why = f"settle {shown(cost)} of {state.run.metadata.name}"
    return Plan(steps=(WriteRecord(record=ended, purpose=why),), requeue_after=0)


def reserved_version(state: State) -> str:
    record = state.require_record()
    reservation = record.reservations.get(state.reservation_key)
    settlement = record.settlements.get(state.reservation_key)
    return reservation.version if reservation else settlement.version if settlement else ""


def settled(state: State, record: Record) -> Record:
    """The record with the attempt's reservation turned into what was billed, once, and with the pace that it told;
    as it is before there was one."""
    key, reservation = state.reservation_key, record.reservations.get(state.reservation_key)
    not_begun = state.run.status.job is None and state.attempt > 1
    if reservation is None and (key in record.settlements or not_begun):
        return record
    jobs = known_jobs(state)
    booked = Settlement(
        usd_micro=cost_of(state, jobs, reserved=reservation.usd_micro if reservation else 0),
        month=reservation.month if reservation else f"{state.now:%Y-%m}",
        jobs=tuple(sorted({*jobs, *recorded_job(state)})),
        version=reservation.version if reservation else "",
    )
    return with_pace(state, record).with_(
        reservations={k: v for k, v in record.reservations.items() if k != state.reservation_key},
        settlements={**record.settlements, state.reservation_key: booked},
    )


def recorded_job(state: State) -> tuple[str, ...]:
    """The attempt's job, which counts as booked although the service may have forgotten it."""
    job = state.run.status.job
    return (job.id,) if job is not None and job.id else ()


def known_jobs(state: State) -> Jobs:
    """Every job of the attempt that the service still knows, by id."""
    listed = () if state.labelled is UNSEEN or isinstance(state.labelled, Outage) else state.labelled
    jobs = {job.id: job for job in listed}
    if isinstance(state.job, Job):
        jobs[state.job.id] = state.job
    return jobs


def cost_of(state: State, jobs: Jobs, *, reserved: int) -> int:
    """Micro-USD: by the started minute; the whole reservation for a job that the service forgot."""
    status = state.run.status
    price = micro(status.estimate.usd_per_hour) if status.estimate else 0
    billed = sum(billed_micro_usd(billed_seconds(job), price) for job in jobs.values())
    forgotten = status.job is not None and status.job.id and status.job.id not in jobs
    return max(billed, reserved) if forgotten else billed


def billed_seconds(job: Job) -> int:
    """Seconds that it ran; from its moments where the service tells no duration."""
    if job.running_seconds or job.started_at is None or job.finished_at is None:
        return job.running_seconds
    return max(0, int((job.finished_at - job.started_at).total_seconds()))


def registry_entry(
    state: State, *, version: str, revision: str, trained_as: dict[str, Any], cost: int
) -> RegistryEntry:
    """The version in the mission's form, as `trained`; the recipe is the one that the job says it used.

    `cost`: micro-USD of all attempts.
    """
    run, dataset, record = state.run, state.require_dataset(), state.require_record()
    repo = output_repository(state)
    used = trained_as.get("config")
    values = used if isinstance(used, dict) else training_values(state)
    lineage = {
        "run": state.uid,
        "revision": revision,
        "base_revision": run.status.base_revision,
        "dataset": dataset.model_dump(mode="json", include={"repo", "revision", "digest", "as_of"}),
        "prompt": record.allocated.get(version, {}).get("prompt_digest", ""),
        "recipe": {
            "digest": recipe_digest(run.spec.method.value, values),
            **{k: str(v) for k, v in values.items()},
        },
        "job": run.status.job.id if run.status.job else "",
        "cost_usd": dollars(cost),
    }
    langsmith = training_dataset(state)
    return RegistryEntry(
        version=version,
        model=repo,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        training_dataset=langsmith if langsmith.startswith("ls://") else f"ls://{langsmith}",
        trained_at=state.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        hub_repo=repo,
        deployment_status="trained",
        lineage={**lineage, "digest": digest_of("lineage/v1", lineage)},
    )


def adopt_recorded_end(state: State) -> TrainingPlan | None:
    """The record names a run with this kind, name and spec as completed; say so and do nothing.

    A re-created run that has an intent of its own is seen through first.
    """
    run = state.run
    done = state.record.completed.get(state.identity) if state.record else None
    if run.status.phase in TERMINAL or done is None:
        return None
    ours = done.uid == state.uid
    if not ours and run.status.job is not None:
        return None
    reason = TrainingReason.named(done.outcome) if ours else TrainingReason.AlreadyCompleted
    message = (
        done.message
        if ours
        else f"a TrainingRun {done.name} with the same spec already ended as {done.outcome}; nothing was "
        "done again: use a new metadata.name to repeat it"
    )
    status = with_phase(state, phase_of(done), reason, message, **ended_with(state, done, ours=ours))
    # The finalizer goes at the next look: until then what was kept in sight to be booked is let go.
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=0)


def phase_of(done: Completed) -> TrainingPhase:
    phases = {
        TrainingReason.Trained.value: TrainingPhase.SUCCEEDED,
        TrainingReason.Cancelled.value: TrainingPhase.CANCELLED,
    }
    return phases.get(done.outcome, TrainingPhase.FAILED)


def ended_with(state: State, done: Completed, *, ours: bool) -> dict[str, Any]:
    """Cost, model and last progress, as the record has them."""
    record, progress = state.require_record(), state.run.status.progress
    changes: dict[str, Any] = {}
    if ours and any(key.startswith(f"{state.uid}/") for key in record.settlements):
        changes["cost_usd"] = dollars(record.spent_by(state.uid))
    entry = record.entry(done.version) if done.outcome == TrainingReason.Trained.value else None
    if entry is not None:
        changes["model"] = TrainedModel(repo=entry.hub_repo, revision=done.revision, version=done.version)
        if ours and progress is not None:
            last = {"percent": 100, "step": progress.max_steps, "eta_minutes": 0}
            changes["progress"] = progress.model_copy(update=last)
    return changes


def drop_finalizer(state: State) -> tuple[TrainingStep, ...]:
    """The finalizer's removal, where it is there."""
    kept = tuple(name for name in state.run.metadata.finalizers if name != FINALIZER)
    return (WriteFinalizers(finalizers=kept),) if kept != state.run.metadata.finalizers else ()


def is_over(state: State) -> TrainingPlan | None:
    """A run that ended: nothing is left but the finalizer, and in its time the object itself."""
    status, lifetime = state.run.status, state.run.spec.ttl_seconds_after_finished
    if status.phase not in TERMINAL:
        return None
    steps = drop_finalizer(state)
    if steps or state.run.metadata.deletion_timestamp is not None:
        return Plan(steps=steps)
    # A run that Git re-creates stays where the record does not name it: it would train again.
    if lifetime is None or status.finished_at is None or not ended_on_record(state):
        return Plan()
    left = lifetime - (state.now - status.finished_at).total_seconds()
    return Plan(requeue_after=left) if left > 0 else Plan(steps=(DeleteRun(),))


def ended_on_record(state: State) -> bool:
    """Whether the record says that exactly this object is done, so that one like it never acts again."""
    done = state.record.completed.get(state.identity) if state.record else None
    return done is not None and done.uid == state.uid
