"""The approval of a TrainingRun: requested once for each offer, awaited, and checked against the offer's digest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from modelops.api.v1alpha1.approval import Approval
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import Estimate, TrainingPhase
from modelops.domain.approval import ApprovalProblem, approval_deadline, approval_problem, valid_until
from modelops.domain.conditions import condition_of
from modelops.domain.digest import digest_of
from modelops.domain.money import display_usd, micro
from modelops.domain.plan import Announce, Plan, WriteStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import StopDataset, TrainingPlan
from modelops.domain.training.effective_spec import billed_namespace, current_prompt_digest, version_inputs
from modelops.domain.training.outcome.conclude import conclude
from modelops.domain.training.pricing.spending import price_is_fixed, spent_micro_usd
from modelops.domain.training.state import State
from modelops.domain.training.status import fail_run, status_steps, wait_in_phase, with_phase, with_status
from modelops.domain.training.submission.submit import reserve_and_submit, wait_for_budget

DIGEST_FORM = "training-approval/v1"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A price that a person must approve before `valid_until`."""

    price: Estimate
    valid_until: datetime


def current_offer(state: State) -> Offer | None:
    """The offer in the status; None if there is no price, or if the price needs no approval."""
    price = state.run.status.estimate
    if price is None or price.valid_until is None:
        return None
    return Offer(price=price, valid_until=price.valid_until)


def end_unapproved_run(state: State) -> TrainingPlan | None:
    """The last offer expired: the run ends. The record is written first, so that a late reservation fails."""
    since = asked_since(state)
    if since is None or price_is_fixed(state):
        return None
    seconds = state.settings.approval_seconds
    if state.now < approval_deadline(since, seconds=seconds):
        return None
    spent = spent_micro_usd(state)
    cost = f"earlier attempts cost {display_usd(spent)}" if spent else "nothing was spent"
    message = f"no approval since {format_time(since)}; {cost}: create a new run to ask again"
    return conclude(state, TrainingReason.ApprovalExpired, message)


def withdraw_changed_offer(state: State) -> TrainingPlan | None:
    """Prompt, recipe or account changed after the offer: the dataset is prepared again and a new offer is made."""
    offer = current_offer(state)
    if offer is None or offer_digest(state, offer) == state.run.status.approval_digest:
        return None
    message = (
        f"AgentModel {state.run.spec.agent_model_ref.name} or the installation's training defaults were edited "
        "after the approval was requested: the dataset is prepared again, and a new approval is requested"
    )
    restarted = with_phase(
        state,
        TrainingPhase.PREPARING,
        TrainingReason.PreparingDataset,
        message,
        facts={"DatasetReady": False, "Approved": False},
        dataset=None,
        estimate=None,
        base_revision="",
        approval_digest="",
    )
    writes = status_steps(state, restarted, TrainingReason.PreparingDataset, message)
    return Plan(steps=(StopDataset(), *writes), requeue_after=0)


def ask_for_approval(state: State, price: Estimate) -> TrainingPlan:
    """Writes the offer and its digest at once, and waits; nothing is reserved yet."""
    run, unapprovable = state.run, missing_requester(state, price)
    if unapprovable:
        return fail_run(state, TrainingReason.SelfApproval, unapprovable, facts={"Approved": False})
    since = asked_since(state) or state.now
    until = valid_until(state.now, asked_since=since, seconds=state.settings.approval_seconds)
    offer = Offer(price=price.model_copy(update={"valid_until": until}), valid_until=until)
    frozen = run.status.model_copy(
        update={"estimate": offer.price, "approval_digest": offer_digest(state, offer), "active_since": None},
    )
    waiting = with_status(state, frozen)
    reason, message = missing_approval(waiting, offer)
    facts = {"DatasetReady": True, "Approved": False, "Submitted": False}
    status = with_phase(waiting, TrainingPhase.AWAITING_APPROVAL, reason, message, facts=facts)
    steps = (WriteStatus(status=status), Announce(reason=reason.value, message=message))
    return Plan(steps=steps, requeue_after=seconds_until_expiry(waiting, offer))


def missing_requester(state: State, price: Estimate) -> str:
    """Why nobody could approve this price, and what to do; empty if somebody can."""
    agent = state.require_agent_model()
    if not agent.spec.approval_policy.forbid_self_approval or state.run.spec.requested_by is not None:
        return ""
    return (
        f"{describe_offer(state, price)}, and spec.approvalPolicy of AgentModel {agent.metadata.name} forbids "
        "self-approval: name the requester in spec.requestedBy of a new run"
    )


def ensure_approved(state: State) -> TrainingPlan | None:
    """There is an offer: if it is approved, the run is submitted; if not, the status says what is missing."""
    approval, offer = state.run.spec.approval, current_offer(state)
    if offer is None:
        return None
    if approval is None or approval_problem_of(state, approval) is not None:
        reason, message = missing_approval(state, offer)
        after = seconds_until_expiry(state, offer)
        facts = {"Approved": False}
        return wait_in_phase(
            state, TrainingPhase.AWAITING_APPROVAL, reason, message, after=after, facts=facts
        )
    waiting = wait_for_budget(state, micro(offer.price.high_usd))
    if waiting is not None:
        return waiting
    message = f"{approval.approved_by} approved up to {display_usd(micro(offer.price.high_usd))}"
    status = with_phase(
        state, TrainingPhase.SUBMITTING, TrainingReason.Approved, message, facts={"Approved": True}
    )
    plan = reserve_and_submit(with_status(state, status))
    return replace(plan, steps=(Announce(reason=TrainingReason.Approved.value, message=message), *plan.steps))


def offer_digest(state: State, offer: Offer) -> str:
    """The digest of all that is approved: run, inputs of the version, data, account, hardware and price."""
    price = offer.price
    content = {
        "run": state.uid,
        "identity": state.identity,
        "inputs": dict(vars(version_inputs(state))),
        "prompt": current_prompt_digest(state),
        "dataset_revision": state.require_dataset().revision,
        "base_revision": state.run.status.base_revision,
        "account": billed_namespace(state),
        "flavor": price.flavor,
        "high_usd": price.high_usd,
        "high_minutes": price.high_minutes,
        "usd_per_hour": price.usd_per_hour,
        "valid_until": offer.valid_until.isoformat(timespec="seconds"),
    }
    if state.attempt > 1:
        content["attempt"] = state.attempt
    return digest_of(DIGEST_FORM, content)


def approval_problem_of(state: State, approval: Approval) -> ApprovalProblem | None:
    """What is wrong with the run's approval; None if it counts."""
    run, agent = state.run, state.require_agent_model()
    return approval_problem(
        approval,
        digest=run.status.approval_digest,
        requested_by=run.spec.requested_by,
        policy=agent.spec.approval_policy,
        agent_model=agent.metadata.name,
    )


def missing_approval(state: State, offer: Offer) -> tuple[TrainingReason, str]:
    """Reason and message for the person who may approve."""
    run, approval = state.run, state.run.spec.approval
    command = f"modelops approve {run.metadata.name} -n {run.metadata.namespace}"
    remedy = f"approve it with `{command}` until {format_time(offer.valid_until)}"
    problem = approval_problem_of(state, approval) if approval is not None else None
    if problem is not None:
        return TrainingReason.named(problem.reason), f"{problem.message}; {remedy}"
    return TrainingReason.NeedsApproval, f"{describe_offer(state, offer.price)}: {remedy}"


def describe_offer(state: State, price: Estimate) -> str:
    """What is asked for, and why it needs an approval."""
    agent, spent, high = (
        state.require_agent_model(),
        spent_micro_usd(state),
        display_usd(micro(price.high_usd)),
    )
    cost = f"the training may cost up to {high}"
    if spent:
        cost = (
            f"attempt {state.attempt} may cost up to {high}, after {display_usd(spent)} for earlier attempts"
        )
    return (
        f"{cost}, with further attempts up to spec.maxUSD ${state.run.spec.max_usd}; that is above "
        f"spec.budget.approvalAboveUSD ${agent.spec.budget.approval_above_usd} of AgentModel {agent.metadata.name}"
    )


def asked_since(state: State) -> datetime | None:
    """When the run first asked for an approval; renewed offers do not change it. None if it is not waiting."""
    found = condition_of(state.run.status.conditions, "Approved")
    is_waiting = found is not None and found.status is ConditionStatus.FALSE
    return found.last_transition_time if found is not None and is_waiting else None


def seconds_until_expiry(state: State, offer: Offer) -> float:
    return max(1.0, (offer.valid_until - state.now).total_seconds())


def format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
