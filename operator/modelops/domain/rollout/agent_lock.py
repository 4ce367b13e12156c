"""Locking the agent for one rollout: protocol "Lock", steps 1 and 2.

Nothing before the lock changes anything outside the Rollout's own status.
"""

from __future__ import annotations

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.rollout import CandidateStatus, RolloutPhase
from modelops.domain.money import display_usd, dollars
from modelops.domain.plan import Announce, Plan, WriteFinalizers, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import ActiveRollout, Record
from modelops.domain.rollout.abort import released_record
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.approval import NO_OFFER, ensure_approved, used_approval
from modelops.domain.rollout.candidate import ResolvedCandidate, resolve_candidate
from modelops.domain.rollout.candidate_endpoint import provisioning_message
from modelops.domain.rollout.endpoint_cost import (
    HOURS_PER_MONTH,
    reservation_key,
    standing_cost_warning,
)
from modelops.domain.rollout.evaluation import ensure_evaluation_checked
from modelops.domain.rollout.evaluation_plan import ensure_evaluation_planned
from modelops.domain.rollout.forecast import forecast_of
from modelops.domain.rollout.planned_cost import RolloutCost
from modelops.domain.rollout.preconditions import secret_is_not_usable, unmet_precondition
from modelops.domain.rollout.reservation import (
    abort_if_over_budget,
    abort_if_over_limit,
    estimate_cost,
    proposal_of,
    with_cost_reserved,
)
from modelops.domain.rollout.review import end_outdated_review
from modelops.domain.rollout.standing_ceiling import abort_if_standing_cost_too_high
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.turn import supersede_active
from modelops.domain.undo import without_undone

STALE_SECONDS = 1.0
"""After this time a record that is older than the status is read again."""


def ensure_agent_locked(state: State) -> RolloutPlan | None:
    """Locks the agent once the candidate is known, all preconditions hold, and the cost is covered."""
    if state.holds_agent_lock:
        return None
    if state.rollout.status.intent is not None or state.rollout.status.started_at is not None:
        return conclude_lost_lock(state)
    unusable = secret_is_not_usable(state)
    if unusable is not None:
        return unusable
    candidate = resolve_candidate(state)
    if isinstance(candidate, Plan):
        return candidate
    candidate = with_known_version(state, candidate)
    unmet = unmet_precondition(state, candidate.target) or end_outdated_review(state)
    if unmet is not None:
        return unmet
    # The cost follows from what the check finds: the number of examples, and the prices of calls.
    unchecked = ensure_evaluation_checked(state, candidate.target)
    if unchecked is not None:
        return unchecked
    cost = estimate_cost(state, candidate.target)
    if isinstance(cost, Plan):
        return cost
    refusal = abort_if_standing_cost_too_high(state, candidate.target, cost) or abort_if_over_limit(
        state, cost
    )
    if refusal is None and state.rollout.status.offer is None:
        refusal = abort_if_over_budget(state, cost)
    if refusal is None:
        refusal = ensure_evaluation_planned(state)
    if refusal is not None:
        return refusal
    proposal = proposal_of(state, candidate.target, cost)
    waiting = ensure_approved(state, proposal) or abort_if_over_budget(state, cost) or supersede_active(state)
    if waiting is not None:
        return waiting
    return lock_agent(state, candidate, cost, approved=proposal is not None)


def with_known_version(state: State, candidate: ResolvedCandidate) -> ResolvedCandidate:
    """A candidate keeps the version that it got when the rollout had the lock before a person reviewed it."""
    known = state.rollout.status.candidate
    if known is None or state.rollout.status.evaluated is None:
        return candidate
    return ResolvedCandidate(target=candidate.target.model_copy(update={"version": known.version}))


def lock_agent(
    state: State, candidate: ResolvedCandidate, cost: RolloutCost, *, approved: bool
) -> RolloutPlan:
    """First the finalizer, then one write of the record: the lock, the endpoint and its reservation.

    `approved`: whether a person approved the offer in the status; then the lock names it.
    """
    meta = state.rollout.metadata
    if FINALIZER not in meta.finalizers:
        return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)
    digest = state.rollout.status.approval_digest if approved else ""
    record = locked_record(state, candidate, cost, approved=digest)
    lock = WriteRecord(record=record, purpose=f"lock {record.agent} for {meta.name}")
    approval = state.rollout.spec.approval
    if not digest or approval is None:
        return Plan(steps=(lock,), requeue_after=0)
    message = f"{approval.approved_by} approved up to {display_usd(cost.planned)}"
    return Plan(steps=(Announce(reason=RolloutReason.Approved.value, message=message), lock), requeue_after=0)


def locked_record(state: State, candidate: ResolvedCandidate, cost: RolloutCost, *, approved: str) -> Record:
    """The record that names this rollout as the active one. `approved`: the digest of the approved offer."""
    target, record = candidate.target, state.require_record()
    active = ActiveRollout(
        uid=state.uid,
        name=state.rollout.metadata.name,
        digest=state.identity,
        candidate=target,
        approved=approved,
    )
    record = with_cost_reserved(state, without_undone(record, target).with_(active=active), target, cost)
    if candidate.unversioned:
        record = record.with_(allocated={**record.allocated, target.version: {}})
    return record


def conclude_lost_lock(state: State) -> RolloutPlan:
    """Ends a rollout that the record no longer names.

    The record that was read may be an old copy from the cache: the write, which is conditional, proves that it is not.
    """
    message = "the record no longer names this rollout: all sessions go back to stable"
    record = released_record(state, state.require_record(), RolloutReason.AgentLockLost, message)
    return Plan(
        steps=(WriteRecord(record=record, purpose=f"release: {RolloutReason.AgentLockLost.value}"),),
        requeue_after=0,
    )


def report_agent_lock(state: State) -> RolloutPlan | None:
    """The first status after the lock: what the candidate is, and what it may cost."""
    if state.rollout.status.started_at is not None:
        return None
    offer = state.rollout.status.offer
    if offer is not None and state.require_active().approved != state.rollout.status.approval_digest:
        # The record was read from before the offer: the lock that it shows has been released.
        return Plan(requeue_after=STALE_SECONDS)
    record, target = state.require_record(), state.require_active().candidate
    reservation = record.reservations.get(reservation_key(state))
    entry = next((e for e in record.endpoints if e.name == target.endpoint_name), None)
    message, approvals = provisioning_message(target), state.rollout.status.approvals
    facts: dict[str, ConditionStatus | bool] = {"EndpointReady": False}
    approval = used_approval(state, state.require_active().approved)
    if approval is not None:
        approvals, facts = (*approvals, approval), {**facts, "Approved": True}
        message = f"{approval.approved_by or 'A person'} approved the offer. {message}"
    standing = dollars(entry.usd_micro_per_hour * HOURS_PER_MONTH) if entry else None
    warning = standing_cost_warning(state, standing)
    status = with_phase(
        state,
        RolloutPhase.PROVISIONING,
        RolloutReason.Provisioning,
        message,
        # EndpointReady is the same while the endpoint starts, so that its start needs no write of its own.
        facts=facts,
        **{**NO_OFFER, "approvals": approvals},
        candidate=CandidateStatus(
            version=target.version,
            model=target.model,
            revision=target.revision,
            endpoint=target.endpoint,
            endpoint_name=target.endpoint_name,
            endpoint_url=target.endpoint_url if not target.endpoint_name else "",
        ),
        estimate_usd=dollars(reservation.usd_micro) if reservation else "0.00",
        planned_seconds=reservation.seconds if reservation else 0,
        planned_calls_usd=dollars(reservation.calls_usd_micro) if reservation else "0.00",
        standing_usd_per_month=standing,
        started_at=state.now.replace(microsecond=0),
        forecast=forecast_of(state),
    )
    steps = status_steps(state, status, RolloutReason.Provisioning, message)
    if warning:
        steps += (Announce(reason=RolloutReason.Provisioning.value, message=warning, warning=True),)
    return Plan(steps=steps, requeue_after=0)
