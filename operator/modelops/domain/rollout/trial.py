"""A weight that stays until a person approves the rest: after an inconclusive evaluation, or too few sessions."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.rollout import ApprovalStage, RolloutOffer, RolloutPhase
from modelops.domain.digest import digest_of
from modelops.domain.money import dollars, micro
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import CountHealthyTime, RolloutPlan
from modelops.domain.rollout.agent_quorum import everyone_is_in_sync
from modelops.domain.rollout.approval import (
    NO_OFFER,
    approval_problem_of,
    given_approval,
    missing_approval,
    used_approval,
)
from modelops.domain.rollout.deadline import latest_end
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH, reservation_of
from modelops.domain.rollout.low_traffic import known, last_pause_is_opened, too_few_sessions
from modelops.domain.rollout.offer import DIGEST_FORM, LONGEST_WHY, stable_endpoint
from modelops.domain.rollout.price_of_promotion import break_even_requests_per_day
from modelops.domain.rollout.review import is_on_trial
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase


def rest_is_not_approved(state: State) -> RolloutPlan | None:
    """Before the weight is raised again, or the candidate promoted: waits for a person. The analysis goes on."""
    if state.require_intent().weight == 0:
        return None
    offer = state.rollout.status.offer
    if not is_on_trial(state) and not too_few_sessions(state):
        return needs_nobody(state) if offer is not None else None
    if offer is None:
        return ask_for_the_rest(state)
    approval = given_approval(state)
    if approval is not None and approval_problem_of(state, approval) is None:
        return go_on(state)
    reason, message = missing_approval(state, offer)
    tick = CountHealthyTime(healthy=False)
    if state.rollout.status.reason == reason.value:
        return Plan(steps=(tick,), requeue_after=state.settings.poll_seconds)
    plan = wait_in_phase(state, RolloutPhase.PROGRESSING, reason, message, after=state.settings.poll_seconds)
    return Plan(steps=(*plan.steps, tick), requeue_after=state.settings.poll_seconds)


def needs_nobody(state: State) -> RolloutPlan:
    """The sessions that were missing have come, or a person promoted instead: the offer is withdrawn."""
    message = f"enough is known now to go on without a person: {known(state)}"
    if last_pause_is_opened(state):
        message = "a person let the rollout go on (spec.promote), so the question is withdrawn"
    status = with_phase(state, RolloutPhase.PROGRESSING, RolloutReason.Watching, message, **NO_OFFER)
    return Plan(steps=status_steps(state, status, RolloutReason.Watching, message), requeue_after=0)


def why_a_person(state: State) -> str:
    """Why the canary keeps its weight, with what it has shown."""
    weight, status = state.require_intent().weight, state.rollout.status
    stays = f"so the candidate stays at {weight} percent of sessions until a person approves the rest."
    if not is_on_trial(state):
        return f"{too_few_sessions(state)}, {stays}"
    seen = f" {status.analysis.message}." if status.analysis is not None and status.analysis.message else ""
    return f"the evaluation decided nothing, {stays}{seen}"


def ask_for_the_rest(state: State) -> RolloutPlan:
    """Writes the offer. It is valid until the rollout would end anyway."""
    status = state.rollout.status
    reservation, until = reservation_of(state), latest_end(state) or state.now
    evaluation, baseline = status.evaluated, stable_endpoint(state)
    use = evaluation.baseline_use if evaluation is not None else None
    standing = status.standing_usd_per_month
    offer = RolloutOffer(
        stage=ApprovalStage.PROMOTION,
        high_usd=dollars(reservation.usd_micro) if reservation is not None else "0.00",
        standing_usd_per_month=standing,
        baseline_usd_per_month=dollars(baseline.usd_micro_per_hour * HOURS_PER_MONTH) if baseline else None,
        baseline_use=use,
        break_even_requests_per_day=break_even_requests_per_day(
            standing_micro_usd=micro(standing) if standing else 0,
            use=use,
            baseline_has_endpoint=baseline is not None,
        ),
        why=why_a_person(state)[:LONGEST_WHY],
        asked_at=state.now.replace(microsecond=0),
        valid_until=until.replace(microsecond=0),
    )
    digest = promotion_digest(state, until)
    reason, message = missing_approval(state, offer, digest=digest)
    waiting = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        reason,
        message,
        facts={"RoutingPropagated": everyone_is_in_sync(state), "Approved": False},
        offer=offer,
        approval_digest=digest,
    )
    steps = status_steps(state, waiting, reason, message)
    return Plan(steps=(*steps, CountHealthyTime(healthy=False)), requeue_after=state.settings.poll_seconds)


def promotion_digest(state: State, until: datetime) -> str:
    """The digest of what goes on: this candidate, from this weight, over this stable model."""
    intent, candidate = state.require_intent(), state.require_candidate()
    evaluation = state.rollout.status.evaluated
    content = {
        "rollout": state.uid,
        "identity": state.identity,
        "stage": ApprovalStage.PROMOTION.value,
        "candidate": [candidate.version, candidate.model, candidate.revision],
        "stable": state.require_record().stable.version,
        "evaluation": evaluation.wire() if evaluation is not None else None,
        "step": intent.step,
        "weight": intent.weight,
        "generation": intent.generation,
        "valid_until": until.isoformat(timespec="seconds"),
    }
    return digest_of(DIGEST_FORM, content)


def go_on(state: State) -> RolloutPlan:
    """Notes the approval in the status. It is not asked for again, whatever happens to the spec."""
    used = used_approval(state, state.rollout.status.approval_digest)
    given = state.rollout.status.approvals
    approvals = (*given, used) if used is not None else given
    who = approvals[-1].approved_by if approvals else ""
    message = f"{who} approved the rest of the rollout"
    status = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        RolloutReason.Approved,
        message,
        facts={"Approved": True},
        **{**NO_OFFER, "approvals": approvals},
    )
    steps = status_steps(state, status, RolloutReason.Approved, message)
    return Plan(steps=steps, requeue_after=0)
