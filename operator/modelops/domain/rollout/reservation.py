"""What the candidate's endpoint may cost, whether the budget covers it, and its entries in the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import display_usd, dollars, micro
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import EndpointEntry, Record, Reservation, Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH, planned_micro_usd, reservation_key
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase

RETRY_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class EndpointCost:
    """The cost of an endpoint that the rollout starts, in micro-USD; zero where it starts none."""

    starts_endpoint: bool
    per_hour: int = 0
    """Of one replica."""
    planned: int = 0
    """The most that the rollout may cost; this is reserved."""


def estimate_endpoint_cost(state: State, candidate: Target) -> EndpointCost | RolloutPlan:
    """The cost of the candidate's endpoint, or the plan that waits for its price.

    An endpoint that already serves costs nothing more. One that is being stopped is started anew.
    """
    agent = state.require_agent_model()
    entry = _entry_of(state.require_record(), candidate)
    if not candidate.endpoint_name or (entry is not None and not entry.is_ending):
        return EndpointCost(starts_endpoint=False)
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
    planned = planned_micro_usd(state, state.price, serving.max_replica)
    return EndpointCost(starts_endpoint=True, per_hour=state.price, planned=planned)


def abort_if_over_budget(state: State, cost: EndpointCost) -> RolloutPlan | None:
    """The planned cost must fit into spec.maxUSD, the approval threshold and the rest of the monthly budget.

    A rollout that starts no endpoint spends nothing, so a month that is overspent already does not keep it.
    """
    if not cost.starts_endpoint:
        return None
    agent, record, planned = state.require_agent_model(), state.require_record(), cost.planned
    budget, limit, name = agent.spec.budget, state.rollout.spec.max_usd, state.rollout.metadata.name
    replicas = agent.spec.serving.max_replica
    cheaper = "shorten the pauses"
    if replicas > 1:
        cheaper += (
            f", lower spec.serving.maxReplica {replicas} of AgentModel {agent.metadata.name} (each replica is "
            "paid for)"
        )
    estimate: dict[str, Any] = {
        "estimate_usd": dollars(planned),
        "standing_usd_per_month": dollars(cost.per_hour * replicas * HOURS_PER_MONTH),
    }
    if planned > micro(limit):
        message = (
            f"the evaluation and the canary may cost up to {display_usd(planned)}, and spec.maxUSD of Rollout {name} "
            f"is ${limit}: raise it in a new rollout, or {cheaper}"
        )
        return latch_abort(state, RolloutReason.OverMaxUSD, message, **estimate)
    if planned > micro(budget.approval_above_usd):
        message = (
            f"the evaluation and the canary may cost up to {display_usd(planned)}, which is above "
            f"spec.budget.approvalAboveUSD ${budget.approval_above_usd} of AgentModel {agent.metadata.name}: raise "
            f"that, or {cheaper}; then create a new rollout"
        )
        return latch_abort(state, RolloutReason.NeedsApproval, message, **estimate)
    left = micro(budget.monthly_usd) - record.committed(f"{state.now:%Y-%m}", state.now)
    if planned > left:
        message = (
            f"the evaluation and the canary may cost up to {display_usd(planned)}, and {display_usd(max(0, left))} of "
            f"spec.budget.monthlyUSD ${budget.monthly_usd} of AgentModel {agent.metadata.name} is left this month "
            f"(UTC): raise the budget, {cheaper}, or wait for the next month; then create a new rollout"
        )
        return latch_abort(state, RolloutReason.OverBudget, message, **estimate)
    return None


def with_endpoint_reserved(state: State, record: Record, candidate: Target, cost: EndpointCost) -> Record:
    """The record with the endpoint that the rollout starts, and the reservation that pays for it."""
    if not cost.starts_endpoint:
        return record
    serving = state.require_agent_model().spec.serving
    since = state.now.isoformat(timespec="seconds")
    stopping = _entry_of(record, candidate)
    entry = EndpointEntry(
        name=candidate.endpoint_name,
        role=EndpointRole.CANARY.value,
        repo=candidate.model,
        revision=candidate.revision,
        version=candidate.version,
        usd_micro_per_hour=cost.per_hour * serving.max_replica,
        instance=serving.wire(),
        since=since,
        account=(stopping.account if stopping is not None else "") or state.settings.hub_org,
    )
    if stopping is not None:
        record = record.with_endpoint_cost_booked(stopping, until=state.now)
    reservation = Reservation(
        usd_micro=cost.planned,
        month=f"{state.now:%Y-%m}",
        name=state.rollout.metadata.name,
        reserved_at=since,
    )
    return record.with_(
        endpoints=(*(e for e in record.endpoints if e.name != entry.name), entry),
        reservations={**record.reservations, reservation_key(state): reservation},
    )


def _entry_of(record: Record, candidate: Target) -> EndpointEntry | None:
    return next((e for e in record.endpoints if e.name == candidate.endpoint_name), None)
