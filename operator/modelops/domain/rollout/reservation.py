"""What the rollout may cost, whether limit and budget cover it, and its entries in the record."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import ApprovalStage, RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import display_usd, micro
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import EndpointEntry, Record, Reservation, Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import EvaluationProgram, RetryProgram, RolloutFact, RolloutPlan
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH, reservation_key, waits_for_a_person
from modelops.domain.rollout.offer import Proposal, stable_endpoint
from modelops.domain.rollout.planned_cost import RolloutCost, estimate_of, planned_cost, planned_evaluation
from modelops.domain.rollout.review import is_in_review, verdict_words
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase
from modelops.domain.rollout.turn import freed_by_superseding

RETRY_SECONDS = 15.0


def estimate_cost(state: State, candidate: Target) -> RolloutCost | RolloutPlan:
    """The cost of the rollout, or the plan that waits for the price of the candidate's endpoint.

    An endpoint that already serves costs nothing more. One that is being stopped is started anew.
    """
    agent, unanswered = state.require_agent_model(), planned_evaluation(state).unanswered
    if unanswered:
        message = f"OpenRouter did not tell the price of {' and '.join(unanswered)}: the operator asks again"
        plan = wait_in_phase(
            state, RolloutPhase.PENDING, RolloutReason.PriceUnknown, message, after=RETRY_SECONDS
        )
        retry = RetryProgram(program=EvaluationProgram.CHECK, after=RETRY_SECONDS)
        return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)
    entry = endpoint_entry(state.require_record(), candidate)
    if not candidate.endpoint_name or (entry is not None and not entry.is_ending):
        return planned_cost(state, per_hour=None)
    if state.price is UNSEEN:
        return Plan(needs=RolloutFact.PRICE)
    serving = agent.spec.serving
    if state.price is None or isinstance(state.price, Outage):
        words = (
            f"{state.price.message}; the operator tries again"
            if isinstance(state.price, Outage)
            else "the service lists none: choose a vendor, a region and an instance that it offers"
        )
        return wait_in_phase(
            state,
            RolloutPhase.PENDING,
            RolloutReason.TokenRefused
            if isinstance(state.price, Outage) and state.price.token_refused
            else RolloutReason.PriceUnknown,
            f"no price for spec.serving {serving.vendor}/{serving.region} {serving.instance_type} "
            f"{serving.instance_size} of AgentModel {agent.metadata.name}: {words}",
            after=RETRY_SECONDS,
        )
    return planned_cost(state, per_hour=state.price)


def abort_if_over_limit(state: State, cost: RolloutCost) -> RolloutPlan | None:
    """The planned cost must fit into spec.maxUSD, with or without an approval."""
    planned, limit, name = cost.planned, state.rollout.spec.max_usd, state.rollout.metadata.name
    spent = state.require_record().spent_by(state.uid)
    if planned + spent <= micro(limit):
        return None
    if is_in_review(state):
        message = (
            f"{verdict_words(state)} The canary may cost up to {display_usd(planned)} more, and spec.maxUSD of "
            f"Rollout {name} is ${limit}, of which {display_usd(spent)} is spent: raise it in a new rollout"
        )
        return latch_abort(state, RolloutReason.EvaluationInconclusive, message, **estimate_of(cost))
    message = (
        f"the evaluation and the canary may cost up to {display_usd(planned)}, and spec.maxUSD of Rollout {name} "
        f"is ${limit}: raise it in a new rollout, or {cheaper(state)}"
    )
    return latch_abort(state, RolloutReason.OverMaxUSD, message, **estimate_of(cost))


def proposal_of(state: State, candidate: Target, cost: RolloutCost) -> Proposal | None:
    """What a person must approve before the agent is locked; None where nobody needs to.

    An offer that is open keeps its reason until it expires: it was made under the rules of its time.
    """
    offer, agent = state.rollout.status.offer, state.require_agent_model()
    budget, unpriced, reasons = agent.spec.budget, cost.calls.unpriced, []
    if cost.planned > micro(budget.approval_above_usd):
        reasons.append(
            f"the cost is above spec.budget.approvalAboveUSD ${budget.approval_above_usd} of AgentModel "
            f"{agent.metadata.name}"
        )
    if costs_more_than_a_month_allows(state, cost):
        reasons.append(
            f"after a promotion it costs {display_usd(cost.standing)} a month, which is above spec.budget.monthlyUSD "
            f"${budget.monthly_usd} of AgentModel {agent.metadata.name}"
        )
    if is_in_review(state):
        return Proposal(
            candidate=candidate, cost=cost, stage=ApprovalStage.INCONCLUSIVE, why=verdict_words(state)
        )
    if unpriced:
        reasons.append(
            f"the calls to {' and '.join(unpriced)} come on top, because OpenRouter names no price for them"
        )
    why = "; ".join(reasons)
    if not why and offer is not None and offer.valid_until is not None and state.now < offer.valid_until:
        why = offer.why
    if not why:
        return None
    return Proposal(candidate=candidate, cost=cost, stage=ApprovalStage.COST, why=why)


def costs_more_than_a_month_allows(state: State, cost: RolloutCost) -> bool:
    """Whether serving the candidate costs more than the month's budget, and more than serving the stable model does.

    Later trainings and rollouts would then find no budget, unless a person raises it.
    """
    stable, monthly = stable_endpoint(state), state.require_agent_model().spec.budget.monthly_usd
    today = stable.usd_micro_per_hour * HOURS_PER_MONTH if stable is not None else 0
    return cost.standing > max(today, micro(monthly))


def abort_if_over_budget(state: State, cost: RolloutCost) -> RolloutPlan | None:
    """The planned cost must fit into the rest of the monthly budget.

    A rollout that spends nothing is not kept by a month that is overspent already. One that waits for an approval is
    not ended by what others reserve meanwhile: it is asked again once it is approved.
    """
    if not cost.planned:
        return None
    agent, record = state.require_agent_model(), state.require_record()
    budget = agent.spec.budget
    left = micro(budget.monthly_usd) - record.committed(f"{state.now:%Y-%m}", state.now)
    left += freed_by_superseding(state)
    if cost.planned <= left:
        return None
    message = (
        f"the evaluation and the canary may cost up to {display_usd(cost.planned)}, and {display_usd(max(0, left))} of "
        f"spec.budget.monthlyUSD ${budget.monthly_usd} of AgentModel {agent.metadata.name} is left this month "
        f"(UTC): raise the budget, {cheaper(state)}, or wait for the next month; then create a new rollout"
    )
    return latch_abort(state, RolloutReason.OverBudget, message, **estimate_of(cost))


def cheaper(state: State) -> str:
    """What makes the rollout cheaper."""
    agent = state.require_agent_model()
    replicas = agent.spec.serving.max_replica
    words = (
        "lower spec.progressDeadlineSeconds, until which a step that waits for a person is paid"
        if waits_for_a_person(state)
        else "shorten the pauses"
    )
    if replicas > 1:
        words += (
            f", lower spec.serving.maxReplica {replicas} of AgentModel {agent.metadata.name} (each replica is "
            "paid for)"
        )
    return words


def with_cost_reserved(state: State, record: Record, candidate: Target, cost: RolloutCost) -> Record:
    """The record with the endpoint that the rollout starts, and the reservation that pays for all that it plans."""
    since = state.now.isoformat(timespec="seconds")
    if cost.starts_endpoint:
        record = with_endpoint_recorded(state, record, candidate, cost, since=since)
    elif not cost.planned:
        return record
    key = reservation_key(state)
    if key in record.settlements:
        # What the rollout cost before a person reviewed its evaluation stays booked in its month.
        earlier = {k: v for k, v in record.settlements.items() if k != key}
        record = record.with_(settlements={**earlier, f"{state.uid}/0": record.settlements[key]})
    reservation = Reservation(
        usd_micro=cost.planned,
        month=f"{state.now:%Y-%m}",
        name=state.rollout.metadata.name,
        reserved_at=since,
        seconds=cost.seconds,
        setup_seconds=cost.setup,
        calls_usd_micro=cost.calls.calls,
    )
    return record.with_(reservations={**record.reservations, key: reservation})


def with_endpoint_recorded(
    state: State, record: Record, candidate: Target, cost: RolloutCost, *, since: str
) -> Record:
    """The record with the endpoint that the rollout starts. `since`: from when it is billed, in ISO form."""
    stopping = endpoint_entry(record, candidate)
    entry = EndpointEntry(
        name=candidate.endpoint_name,
        role=EndpointRole.CANARY.value,
        repo=candidate.model,
        revision=candidate.revision,
        version=candidate.version,
        usd_micro_per_hour=cost.per_hour * cost.replicas,
        instance=state.require_agent_model().spec.serving.wire(),
        since=since,
        account=(stopping.account if stopping is not None else "") or state.settings.hub_org,
    )
    if stopping is not None:
        record = record.with_endpoint_cost_booked(stopping, until=state.now)
    return record.with_(endpoints=(*(e for e in record.endpoints if e.name != entry.name), entry))


def endpoint_entry(record: Record, candidate: Target) -> EndpointEntry | None:
    """The entry of the candidate's endpoint in the record; None where it has none."""
    return next((e for e in record.endpoints if e.name == candidate.endpoint_name), None)
