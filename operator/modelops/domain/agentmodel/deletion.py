"""Deleting an AgentModel: its rollout aborts and its endpoints are stopped before the finalizer is removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.names import FINALIZER
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.bootstrap import first_record
from modelops.domain.agentmodel.endpoints import (
    announce_deletions,
    deletion_steps,
    endpoints_are_unknown,
    forget_stopped_endpoints,
)
from modelops.domain.agentmodel.orphans import abort_without_rollout
from modelops.domain.agentmodel.project import differs, project_status
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.status_report import ENDPOINT_POLL_SECONDS
from modelops.domain.agentmodel.undo import carry_out_undo, record_mark, withdraw
from modelops.domain.plan import Announce, Plan, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import EndpointEntry, Record

MAX_DELETION_SECONDS = 3600.0


def finish_deletion(state: State) -> AgentModelPlan | None:
    """Stops the endpoints that no agent uses, then removes the finalizer.

    After an hour the finalizer is removed in any case, and an Event names the endpoints that may still bill.
    """
    meta = state.agent_model.metadata
    if meta.deletion_timestamp is None:
        return None
    kept = tuple(name for name in meta.finalizers if name != FINALIZER)
    if FINALIZER not in meta.finalizers:
        return Plan()
    remove_finalizer = (WriteFinalizers(finalizers=kept),)
    is_recorded = state.record is not None
    state = state if is_recorded else with_record_from_statuses(state)
    record = state.require_record()
    if is_recorded and (undoing := undo_of_deleted(state, record)) is not None:
        return undoing
    if not (record.endpoints or record.active):
        return Plan(steps=remove_finalizer)
    if (state.now - meta.deletion_timestamp).total_seconds() > MAX_DELETION_SECONDS:
        names = ", ".join(entry.name for entry in record.endpoints)
        message = (
            f"LEAK: endpoints {names} may still run and bill; delete them by hand when no agent uses them"
        )
        return Plan(steps=(Announce(reason="Leaked", message=message, warning=True), *remove_finalizer))
    if record.active is not None:
        return abort_without_rollout(state, record, record.active, f"AgentModel {meta.name} was deleted")
    if any(not entry.is_ending for entry in record.endpoints):
        stopping = stop_at_once(record.endpoints, state.now)
        return Plan(
            steps=(
                WriteRecord(record=record.with_(endpoints=stopping), purpose="the AgentModel is deleted"),
            ),
            requeue_after=0,
        )
    plan = endpoints_are_unknown(state) or (forget_stopped_endpoints(state) if is_recorded else None)
    plan = plan or announce_deletions(state)
    if plan is not None:
        return plan
    if deletions := deletion_steps(state):
        return Plan(steps=deletions, requeue_after=ENDPOINT_POLL_SECONDS / 10)
    return report_waiting(state) if is_recorded else Plan(requeue_after=ENDPOINT_POLL_SECONDS)


def undo_of_deleted(state: State, record: Record) -> AgentModelPlan | None:
    """Ends the watch, and finishes an undo; one whose endpoint does not answer is withdrawn, as endpoints are stopped.

    A mark that the record lacks is an undo that was done already.
    """
    if record.watch is not None and record.undo is None:
        ended = record.with_(watch=None)
        return Plan(steps=(WriteRecord(record=ended, purpose="the AgentModel is deleted"),), requeue_after=0)
    plan = record_mark(state) or carry_out_undo(state)
    if plan is not None or record.undo is None:
        return plan
    message = f"AgentModel {state.agent_model.metadata.name} was deleted before the undo could be written"
    return withdraw(state, record.undo, RolloutReason.Deleted, message)


def report_waiting(state: State) -> AgentModelPlan:
    """Waits, and says for what. The person who deletes the object reads the status, so there is no Event."""
    status = project_status(state)
    steps = (WriteStatus(status=status),) if differs(status, state.agent_model.status) else ()
    return Plan(steps=steps, requeue_after=ENDPOINT_POLL_SECONDS)


def with_record_from_statuses(state: State) -> State:
    """For a deletion whose record was deleted first, such as that of the namespace: no record can be written there.

    The endpoints that the statuses name and the service still has are stopped as if a record had them. Their cost is
    not booked.
    """
    record = first_record(state)
    endpoints = record.endpoints
    if state.listed_endpoints is not None:
        endpoints = tuple(entry for entry in endpoints if not state.is_gone(entry))
    stopping = stop_at_once(endpoints, state.now)
    return replace(state, record=record.with_(active=None, undo=None, watch=None, endpoints=stopping))


def stop_at_once(entries: tuple[EndpointEntry, ...], now: datetime) -> tuple[EndpointEntry, ...]:
    """The endpoints with the role stopping and no time left."""
    ends = {"role": EndpointRole.STOPPING.value, "stop_after": now.isoformat(timespec="seconds")}
    return tuple(entry.model_copy(update=ends) for entry in entries)
