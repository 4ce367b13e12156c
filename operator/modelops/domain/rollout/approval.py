"""The approval of a Rollout: asked for once for each offer, awaited, and checked against the offer's digest.

Nothing is locked, reserved or billed while a rollout waits here (design 011).
"""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.approval import Approval
from modelops.api.v1alpha1.rollout import ApprovalStage, GivenApproval, RolloutOffer, RolloutPhase
from modelops.domain.approval import ApprovalProblem, approval_deadline, approval_problem
from modelops.domain.established import require_established
from modelops.domain.plan import Announce, Plan, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.evaluation import discard_evaluation_check
from modelops.domain.rollout.offer import Proposal, describe_offer, offer_digest, offer_of
from modelops.domain.rollout.planned_cost import estimate_of
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase

NO_OFFER: dict[str, Any] = {"offer": None, "approval_digest": ""}
"""The changes of a status that waits for no approval any more."""


def ensure_approved(state: State, proposal: Proposal | None) -> RolloutPlan | None:
    """Asks for an approval and waits for it; None once the rollout may go on, and where no person needs to approve."""
    offer = state.rollout.status.offer
    if proposal is None:
        return None
    if offer is None or offer.stage is not proposal.stage or offer.valid_until is None:
        return ask_for_approval(state, proposal)
    if state.now >= approval_deadline(offer.asked_at, seconds=state.settings.approval_seconds):
        return end_unapproved(state, offer)
    if state.now >= offer.valid_until:
        return withdraw_offer(state, "the offer expired: the cost is estimated again")
    if offer_digest(state, proposal, offer) != state.rollout.status.approval_digest:
        agent = state.require_agent_model().metadata.name
        return withdraw_offer(
            state,
            f"AgentModel {agent}, a price or the stable model changed after the approval was requested: the cost is "
            "estimated again, and a new approval is requested",
        )
    approval = given_approval(state)
    if approval is not None and approval_problem_of(state, approval) is None:
        return None
    reason, message = missing_approval(state, offer)
    return wait_in_phase(
        state,
        RolloutPhase.AWAITING_APPROVAL,
        reason,
        message,
        after=max(1.0, (offer.valid_until - state.now).total_seconds()),
        facts={"Approved": False},
    )


def ask_for_approval(state: State, proposal: Proposal) -> RolloutPlan:
    """Writes the offer and its digest at once, and waits; nothing is reserved yet."""
    old = state.rollout.status.offer
    asked_at = old.asked_at if old is not None and old.stage is proposal.stage else state.now
    if state.now >= approval_deadline(asked_at, seconds=state.settings.approval_seconds) and old is not None:
        return end_unapproved(state, old)
    offer = offer_of(state, proposal, asked_at=asked_at.replace(microsecond=0))
    unapprovable = missing_requester(state, offer)
    if unapprovable:
        return latch_abort(state, RolloutReason.SelfApproval, unapprovable, **estimate_of(proposal.cost))
    digest = offer_digest(state, proposal, offer)
    reason, message = missing_approval(state, offer, digest=digest)
    status = with_phase(
        state,
        RolloutPhase.AWAITING_APPROVAL,
        reason,
        message,
        facts={"Approved": False},
        offer=offer,
        approval_digest=digest,
        **estimate_of(proposal.cost),
    )
    until = require_established(offer.valid_until, "the offer's end")
    steps = (WriteStatus(status=status), Announce(reason=reason.value, message=message))
    return Plan(steps=steps, requeue_after=max(1.0, (until - state.now).total_seconds()))


def withdraw_offer(state: State, message: str) -> RolloutPlan:
    """The offer cannot be approved any more. The dataset is checked again, and a new offer follows."""
    offer = require_established(state.rollout.status.offer, "the offer in the status")
    status = with_phase(
        state,
        RolloutPhase.AWAITING_APPROVAL,
        RolloutReason.OfferWithdrawn,
        message,
        facts={"Approved": False},
        offer=offer.model_copy(update={"valid_until": None}),
        approval_digest="",
    )
    writes = status_steps(state, status, RolloutReason.OfferWithdrawn, message)
    return Plan(steps=(*writes, *discard_evaluation_check(state)), requeue_after=0)


def end_unapproved(state: State, offer: RolloutOffer) -> RolloutPlan:
    """Nobody approved any of the offers: the rollout ends."""
    since = f"{offer.asked_at:%Y-%m-%d %H:%M} UTC"
    if offer.stage is ApprovalStage.INCONCLUSIVE:
        message = f"{offer.why} Nobody approved to try the candidate since {since}"
        return latch_abort(state, RolloutReason.EvaluationInconclusive, message, **NO_OFFER)
    message = f"no approval since {since}; nothing was spent on the offer: create a new rollout to ask again"
    return latch_abort(state, RolloutReason.ApprovalExpired, message, **NO_OFFER)


def given_approval(state: State) -> Approval | None:
    """The approval in the spec, unless the rollout has used it for an earlier offer."""
    approval = state.rollout.spec.approval
    used = {one.digest for one in state.rollout.status.approvals}
    return None if approval is None or approval.digest in used else approval


def approval_problem_of(
    state: State, approval: Approval, *, digest: str | None = None
) -> ApprovalProblem | None:
    """What is wrong with the approval; None if it counts. `digest`: of an offer that is not in the status yet."""
    rollout, agent = state.rollout, state.require_agent_model()
    return approval_problem(
        approval,
        digest=rollout.status.approval_digest if digest is None else digest,
        requested_by=rollout.spec.requested_by,
        policy=agent.spec.approval_policy,
        agent_model=agent.metadata.name,
    )


def missing_approval(
    state: State, offer: RolloutOffer, *, digest: str | None = None
) -> tuple[RolloutReason, str]:
    """Reason and message for the person who may approve."""
    meta, approval = state.rollout.metadata, given_approval(state)
    until = f"{offer.valid_until:%Y-%m-%d %H:%M} UTC" if offer.valid_until else "it expires"
    remedy = f"approve it with `modelops approve {meta.name} -n {meta.namespace}` until {until}"
    problem = approval_problem_of(state, approval, digest=digest) if approval is not None else None
    if problem is not None:
        return RolloutReason.named(problem.reason), f"{problem.message}; {remedy}"
    return RolloutReason.NeedsApproval, f"{describe_offer(offer)}: {remedy}"


def missing_requester(state: State, offer: RolloutOffer) -> str:
    """Why nobody could approve this offer, and what to do; empty if somebody can."""
    agent = state.require_agent_model()
    if not agent.spec.approval_policy.forbid_self_approval or state.rollout.spec.requested_by is not None:
        return ""
    return (
        f"{describe_offer(offer)}, and spec.approvalPolicy of AgentModel {agent.metadata.name} forbids self-approval: "
        "name the requester in spec.requestedBy of a new rollout"
    )


def used_approval(state: State, digest: str) -> GivenApproval | None:
    """The approval of the offer in the status, which the rollout uses now; None where it has been noted already."""
    offer, approval = state.rollout.status.offer, state.rollout.spec.approval
    if not digest or any(one.digest == digest for one in state.rollout.status.approvals):
        return None
    return GivenApproval(
        stage=offer.stage if offer is not None else ApprovalStage.COST,
        approved_by=approval.approved_by if approval is not None and approval.digest == digest else "",
        digest=digest,
        at=state.now.replace(microsecond=0),
    )
