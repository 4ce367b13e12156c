"""A run that has ended: the status that follows from the record, the finalizer, the deletion after its TTL."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainedModel, TrainingPhase
from modelops.domain.money import dollars
from modelops.domain.plan import Plan, WriteFinalizers
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed
from modelops.domain.training.actions import DeleteRun, TrainingPlan, TrainingStep
from modelops.domain.training.state import State
from modelops.domain.training.status import TERMINAL, status_steps, with_phase
from modelops.ports import Job


def adopt_recorded_end(state: State) -> TrainingPlan | None:
    """The record names a run with this kind, name and spec as completed: write its end into the status.

    A re-created run that has submitted a job of its own is followed to its end first.
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
        else f"a TrainingRun {done.name} with the same spec already ended as {done.outcome}, so this "
        "one does nothing: use a new metadata.name to repeat it"
    )
    status = with_phase(
        state, phase_of_outcome(done), reason, message, **recorded_results(state, done, ours=ours)
    )
    # The finalizer is removed by the next reconcile, so that the engine first releases the jobs that are settled now.
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=0)


def phase_of_outcome(done: Completed) -> TrainingPhase:
    phases = {
        TrainingReason.Trained.value: TrainingPhase.SUCCEEDED,
        TrainingReason.Cancelled.value: TrainingPhase.CANCELLED,
    }
    return phases.get(done.outcome, TrainingPhase.FAILED)


def recorded_results(state: State, done: Completed, *, ours: bool) -> dict[str, Any]:
    """Changes of the status: cost, model and final progress from the record."""
    record, progress = state.require_record(), state.run.status.progress
    changes: dict[str, Any] = {}
    if state.run.status.job is not None:
        stage = state.job.stage if isinstance(state.job, Job) and state.job.ended else ""
        changes["job"] = state.run.status.job.model_copy(update={"stage": stage})
    if ours and any(key.startswith(f"{state.uid}/") for key in record.settlements):
        changes["cost_usd"] = dollars(record.spent_by(state.uid))
    entry = record.entry(done.version) if done.outcome == TrainingReason.Trained.value else None
    if entry is not None:
        changes["model"] = TrainedModel(repo=entry.hub_repo, revision=done.revision, version=done.version)
        if ours and progress is not None:
            final = {"percent": 100, "step": progress.max_steps, "eta_minutes": 0}
            changes["progress"] = progress.model_copy(update=final)
    return changes


def drop_finalizer(state: State) -> tuple[TrainingStep, ...]:
    """The removal of the finalizer, if the run has it."""
    kept = tuple(name for name in state.run.metadata.finalizers if name != FINALIZER)
    return (WriteFinalizers(finalizers=kept),) if kept != state.run.metadata.finalizers else ()


def finish_or_delete(state: State) -> TrainingPlan | None:
    """A run that ended: remove the finalizer and, after spec.ttlSecondsAfterFinished, the object."""
    status, lifetime = state.run.status, state.run.spec.ttl_seconds_after_finished
    if status.phase not in TERMINAL:
        return None
    steps = drop_finalizer(state)
    if steps or state.run.metadata.deletion_timestamp is not None:
        return Plan(steps=steps)
    # If the record does not name this run, a run that Git re-creates would train again: so this one stays.
    if lifetime is None or status.finished_at is None or not record_names_this_run(state):
        return Plan()
    left = lifetime - (state.now - status.finished_at).total_seconds()
    return Plan(requeue_after=left) if left > 0 else Plan(steps=(DeleteRun(),))


def record_names_this_run(state: State) -> bool:
    """Whether the record names exactly this object as completed, so that a re-created one does nothing."""
    done = state.record.completed.get(state.identity) if state.record else None
    return done is not None and done.uid == state.uid
