"""A run's end in the record: the settled attempt, the completed run, and the registry entry of its model."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.trainingrun import TrainingRunStatus
from modelops.domain.conditions import condition_of
from modelops.domain.money import display_usd
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Completed, Record
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.effective_spec import version_inputs
from modelops.domain.training.outcome.registry_entry import registry_entry
from modelops.domain.training.outcome.settlement import settle_attempt
from modelops.domain.training.state import State
from modelops.domain.training.status import TERMINAL
from modelops.domain.versions import next_version


def conclude(state: State, reason: TrainingReason, message: str) -> TrainingPlan:
    """Step 9: settles the attempt in the record and completes the run there. The status follows later."""
    done = Completed(
        kind="TrainingRun",
        name=state.run.metadata.name,
        uid=state.uid,
        outcome=reason.value,
        version=reserved_version(state),
        message=message[:512],
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    return write_completed(state, settle_attempt(state, state.require_record()), done)


def conclude_if_reserved(state: State, plan: TrainingPlan) -> TrainingPlan:
    """The plan; if it ends a run that may have a reservation, the record is written before the status instead."""
    ended = next((s.status for s in plan.steps if isinstance(s, WriteStatus)), None)
    if not isinstance(ended, TrainingRunStatus) or ended.phase not in TERMINAL or state.record is None:
        return plan
    asked_for_approval = condition_of(state.run.status.conditions, "Approved") is not None
    has_attempts = bool(state.run.status.attempts)
    if not asked_for_approval and not has_attempts and state.reservation_key not in state.record.reservations:
        return plan
    ready = condition_of(ended.conditions, "Ready")
    return conclude(state, TrainingReason.named(ended.reason), ready.message if ready else "")


def conclude_trained(
    state: State, message: str, *, revision: str, trained_as: dict[str, Any]
) -> TrainingPlan:
    """Step 9 for a verified model, which enters the registry in the same write.

    `trained_as`: the content of the model's `modelops.json`.
    """
    record, version = state.require_record(), reserved_version(state)
    if not version:
        # The record was lost and rebuilt while the job trained: the version is allocated now.
        inputs = version_inputs(state)
        version = next_version(record.allocated, inputs=inputs, latest=record.latest_inputs())
        record = record.with_(allocated={**record.allocated, version: dict(vars(inputs))})
    settled = settle_attempt(state, record)
    cost = settled.spent_by(state.uid)
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
    return write_completed(state, settled.with_(history=(*settled.history, entry)), done)


def write_completed(state: State, record: Record, done: Completed) -> TrainingPlan:
    """The write of the record that names the run as completed."""
    cost = record.spent_by(state.uid)
    ended = record.with_(completed={**record.completed, state.identity: done})
    purpose = f"settle {display_usd(cost)} of {state.run.metadata.name}"
    return Plan(steps=(WriteRecord(record=ended, purpose=purpose),), requeue_after=0)


def reserved_version(state: State) -> str:
    """The version that was allocated for the attempt; empty if there is none."""
    record = state.require_record()
    reservation = record.reservations.get(state.reservation_key)
    settlement = record.settlements.get(state.reservation_key)
    return reservation.version if reservation else settlement.version if settlement else ""
