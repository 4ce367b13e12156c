"""An undo that a Rollout asks for, up to its acceptance: protocol "Undo", 1 to 3 and 7.

From the acceptance on the AgentModel's reconcile carries it out, from the record (`domain/agentmodel/undo.py`). Of Lock
and Advance nothing applies: no turn, gate, confirmation or finalizer. An abort or a deletion is too late then.
"""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import CandidateStatus, Rollout, RolloutPhase
from modelops.domain.plan import Plan, WriteRecord, WriteRolloutStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record, Target, Undo
from modelops.domain.rollout.abort import released_record
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.evaluation import is_undo, undo_target
from modelops.domain.rollout.preconditions import (
    abort_if_candidate_pruned,
    an_undo_is_under_way,
    another_agent_model_owns_the_agent,
)
from modelops.domain.rollout.reservation import (
    abort_if_over_budget,
    abort_if_over_limit,
    endpoint_entry,
    estimate_cost,
    with_endpoint_recorded,
)
from modelops.domain.rollout.state import State, same_target
from modelops.domain.rollout.status import TERMINAL, wait_in_phase
from modelops.domain.status import status_in_phase
from modelops.domain.undo import (
    accepted,
    field_undo,
    left_words,
    unrecorded_mark,
    was_asked_before,
    without_address,
)


def undo_is_carried_out(state: State) -> RolloutPlan | None:
    """Recovery 3: the undo on record writes, and neither its own Rollout nor the active one does."""
    record = state.record
    if record is None:
        return None
    undo = record.undo
    if undo is None:
        # Direct undo 3: nothing writes the file before the AgentModel's reconcile has put the mark on record.
        marked = state.agent_model is not None and unrecorded_mark(record, state.block) is not None
        return Plan(requeue_after=1.0) if marked and state.holds_agent_lock else None
    if undo.by == state.uid:
        return report_going_back(state, undo)
    if not state.holds_agent_lock:
        return None
    message, poll = left_words(undo.to), state.settings.poll_seconds
    if state.rollout.status.reason == RolloutReason.Aborting.value:
        return Plan(requeue_after=poll)
    phase = state.rollout.status.phase
    return wait_in_phase(state, phase, RolloutReason.Aborting, message, after=poll)


def report_going_back(state: State, undo: Undo) -> RolloutPlan:
    """What the accepted undo waits for, as the AgentModel says it."""
    target, shown = undo_target(state), state.agent_model.status.undo if state.agent_model else None
    message = f"the undo to {undo.to} is accepted: the operator writes it into the agents' file"
    if shown is not None and shown.by == undo.by and shown.message:
        message = shown.message
    facts: dict[str, ConditionStatus | bool] = {"RoutingPropagated": False}
    return wait_in_phase(
        state,
        RolloutPhase.PROMOTING,
        RolloutReason.GoingBack,
        message,
        after=state.settings.poll_seconds,
        facts=facts,
        candidate=candidate_status(target),
        started_at=state.rollout.status.started_at or state.now.replace(microsecond=0),
    )


def candidate_status(target: Target) -> CandidateStatus:
    """A version that served before, as the status of an undo names it."""
    return CandidateStatus(
        version=target.version,
        model=target.model,
        revision=target.revision,
        endpoint=target.endpoint,
        endpoint_name=target.endpoint_name,
        endpoint_url=target.endpoint_url,
    )


def ask_for_undo(state: State) -> RolloutPlan | None:
    """Undo 1 to 3: latches the active rollout, then writes the acceptance. Nothing else of a rollout applies."""
    if not is_undo(state):
        return None
    record, target = state.require_record(), undo_target(state)
    waiting = (
        another_agent_model_owns_the_agent(state, target)
        or abort_if_candidate_pruned(state, target)
        or undo_is_paused(state)
        or an_undo_is_under_way(state, target)
    )
    if waiting is not None:
        return waiting
    if was_asked_before(record, state.rollout.metadata.creation_timestamp):
        message = (
            f"another undo was accepted at {record.last_undo_at}, after this one was asked for, so this one does "
            f"nothing; {record.stable.version} serves. Create a new Rollout to go to {target.version}"
        )
        return end_undo(state, RolloutReason.Superseded, message)
    if same_target(state.file.entry.stable if state.file else None, target) and serves(state, target):
        if not state.file_is_live:
            return Plan(needs=RolloutFact.FILE_IS_LIVE)
        message = f"{target.version} ({target.model}) serves already, by the record and by the agents' file"
        return end_undo(state, RolloutReason.AlreadyServes, message)
    if target.endpoint_name and endpoint_entry(record, target) is None:
        cost = estimate_cost(state, target)
        if isinstance(cost, Plan):
            return cost
        refusal = abort_if_over_limit(state, cost) or abort_if_over_budget(state, cost)
        if refusal is not None:
            return refusal
        since = state.now.isoformat(timespec="seconds")
        record = with_endpoint_recorded(state, record, target, cost, since=since)
        record = without_address(record, target)
    return accept(state, record, target)


def accept(state: State, record: Record, target: Target) -> RolloutPlan:
    """Undo 2 and 3."""
    undo = Undo(
        by=state.uid,
        to=target.version,
        at=state.now.isoformat(timespec="seconds"),
        name=state.rollout.metadata.name,
        digest=state.identity,
    )
    latch = latch_of(state.active_rollout, record, to=target.version, now=state.now)
    acceptance = accepted(record, undo, field=field_undo(state.agent_model))
    write = WriteRecord(record=acceptance, purpose=f"accept the undo to {target.version}")
    return Plan(steps=(*latch, write), requeue_after=0)


def latch_of(
    active: Rollout | None, record: Record, *, to: str, now: datetime
) -> tuple[WriteRolloutStatus, ...]:
    """Undo 2: the latch on the active rollout's own status, which makes every older decision of its own fail.

    Empty where an abort, the deletion or a latch says so already, or where the object does not exist.
    """
    if active is None or record.active is None or active.metadata.uid != record.active.uid:
        return ()
    status, meta = active.status, active.metadata
    stops = active.spec.abort or meta.deletion_timestamp is not None or bool(status.abort_reason)
    if stops or status.phase in TERMINAL:
        return ()
    latched = status_in_phase(
        status,
        status.phase,
        RolloutReason.Aborting,
        left_words(to),
        succeeded=False,
        terminal=False,
        generation=meta.generation,
        now=now,
        abort_reason=RolloutReason.LeftByUndo.value,
    )
    return (
        WriteRolloutStatus(
            name=meta.name, uid=meta.uid, resource_version=meta.resource_version, status=latched
        ),
    )


def serves(state: State, target: Target) -> bool:
    """Whether the record names the version, nothing is active, and no weight is left (Undo 3, AlreadyServes)."""
    record, block = state.require_record(), state.block
    free = record.active is None or record.active.uid == state.uid
    return record.stable.version == target.version and free and not (block is not None and block.weight)


def end_undo(state: State, reason: RolloutReason, message: str) -> RolloutPlan:
    """Ends an undo that was not accepted: the record says how, and the status follows from it."""
    record = released_record(state, state.require_record(), reason, message)
    write = WriteRecord(record=record, purpose=f"end the undo: {reason.value}")
    return Plan(steps=(write,), requeue_after=0)


def undo_is_paused(state: State) -> RolloutPlan | None:
    """An undo that was not accepted yet waits while spec.paused is set."""
    if not state.rollout.spec.paused:
        return None
    message = "spec.paused is set: the undo waits, and the version that serves stays"
    return wait_in_phase(state, RolloutPhase.PENDING, RolloutReason.Paused, message, after=None)
