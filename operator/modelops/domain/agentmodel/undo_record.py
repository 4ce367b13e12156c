"""The record after an undo: protocol "Undo" 5, one write."""

from __future__ import annotations

from datetime import timedelta

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.agentmodel.orphans import record_without_rollout
from modelops.domain.agentmodel.state import State
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import BY_WATCH, ActiveRollout, EndpointEntry, Record, Target, Undo
from modelops.domain.rollout.abort import released_record
from modelops.domain.rollout.state import RolloutSettings
from modelops.domain.rollout.state import State as RolloutState
from modelops.domain.undo import ended, left_words, with_undone


def record_after_undo(state: State, undo: Undo, target: Target, *, generation: int) -> Record:
    """The record in which the undo's version is stable, with both objects completed and the agent free."""
    record, old = state.require_record(), state.require_record().stable
    active = record.active
    changed = record if active is None else _without_active(state, record, active, undo)
    at = state.now.isoformat(timespec="seconds")
    completed = dict(changed.completed)
    if undo.digest:
        message = f"{target.version} ({target.model}) serves again; {old.version} was left"
        completed[undo.digest] = ended(undo, RolloutReason.Promoted, message, at=at)
    stays = old.version == target.version
    stable = target.model_copy(
        update={"since": old.since if stays else state.now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    )
    changed = changed.with_(
        endpoints=endpoints_after(state, changed, old, target),
        stable=stable,
        previous=record.previous if stays else old,
        deployed_at=stable.since or record.deployed_at,
        served={**changed.served, stable.version: stable},
        completed=completed,
        active=None,
        undo=None,
        watch=None,
        marked=max(generation, record.marked),
    )
    left = [old, *([active.candidate] if active is not None else [])]
    changed = with_undone(changed, left, to=stable, at=undo.at)
    if not stays:
        changed = changed.with_entry(old.version, deployment_status="rolled_back")
    return changed.with_entry(stable.version, deployment_status="deployed")


def record_without_undo(
    record: Record, undo: Undo, reason: RolloutReason, message: str, *, at: str
) -> Record:
    """The record after an accepted undo that could not be written. A rollout that it latched ends by itself."""
    completed = dict(record.completed)
    if undo.digest:
        completed[undo.digest] = ended(undo, reason, message, at=at)
    watch = None if undo.by == BY_WATCH else record.watch
    return record.with_(undo=None, watch=watch, completed=completed)


def _without_active(state: State, record: Record, active: ActiveRollout, undo: Undo) -> Record:
    """The active rollout ends as LeftByUndo, with its cost settled; its endpoint stops unless the undo goes to it."""
    rollout = state.active_rollout
    if rollout is None:
        return record_without_rollout(state, record, active, f"an undo to {undo.to} was accepted")
    # The Rollout's own identity, also where this undo is asked for by the rollout that has the lock.
    of_rollout = RolloutState(
        now=state.now,
        rollout=rollout,
        identity=active.digest,
        settings=RolloutSettings(),
        agent_model=state.agent_model,
        record=record,
        file=state.file,
    )
    return released_record(of_rollout, record, RolloutReason.LeftByUndo, left_words(undo.to))


def endpoints_after(state: State, record: Record, old: Target, target: Target) -> tuple[EndpointEntry, ...]:
    """The undo's endpoint becomes stable's; the one that is left runs on for the rollback window."""
    window = timedelta(seconds=state.agent_model.spec.rollback_window_seconds)
    stop = (state.now + window).isoformat(timespec="seconds")
    return tuple(_with_role(entry, old, target, stop=stop) for entry in record.endpoints)


def _with_role(entry: EndpointEntry, old: Target, target: Target, *, stop: str) -> EndpointEntry:
    serving = (EndpointRole.STABLE.value, EndpointRole.PREVIOUS.value)
    if entry.name == target.endpoint_name:
        return entry.model_copy(update={"role": EndpointRole.STABLE.value, "stop_after": ""})
    if entry.name == old.endpoint_name:
        return entry.model_copy(update={"role": EndpointRole.PREVIOUS.value, "stop_after": stop})
    if entry.role in serving:
        later = {"role": EndpointRole.STOPPING.value, "stop_after": entry.stop_after or stop}
        return entry.model_copy(update=later)
    return entry
