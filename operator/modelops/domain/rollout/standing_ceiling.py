"""The limit of what serving the candidate may cost in a month: `spec.evaluation.maxMonthlyUSD`."""

from __future__ import annotations

from modelops.domain.money import display_usd, dollars, micro
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH
from modelops.domain.rollout.evaluation import is_proven
from modelops.domain.rollout.planned_cost import RolloutCost
from modelops.domain.rollout.state import State


def abort_if_standing_cost_too_high(state: State, candidate: Target, cost: RolloutCost) -> RolloutPlan | None:
    """Ends the rollout before anything is spent: what it costs later is known already. An undo has no evaluation."""
    limit = state.rollout.spec.evaluation.max_monthly_usd
    if limit is None or is_proven(state):
        return None
    agent = state.require_agent_model()
    entry = next((e for e in state.require_record().endpoints if e.name == candidate.endpoint_name), None)
    running = entry.usd_micro_per_hour if entry is not None else 0
    per_hour = cost.per_hour * agent.spec.serving.max_replica if cost.starts_endpoint else running
    monthly = per_hour * HOURS_PER_MONTH
    if monthly <= micro(limit):
        return None
    return latch_abort(
        state,
        RolloutReason.OverMaxMonthlyUSD,
        f"serving {candidate.version} would cost {display_usd(monthly)} a month, and spec.evaluation.maxMonthlyUSD of "
        f"Rollout {state.rollout.metadata.name} is ${limit}: nothing was spent. Choose a cheaper spec.serving of "
        f"AgentModel {agent.metadata.name}, or a higher limit in a new rollout",
        standing_usd_per_month=dollars(monthly),
    )
