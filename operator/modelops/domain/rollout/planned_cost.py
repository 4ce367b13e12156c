"""What a rollout may cost at most, and for how long: planned before the agent is locked, from the check's result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from modelops.domain.money import dollars, micro
from modelops.domain.rollout.endpoint_cost import (
    HOURS_PER_MONTH,
    SETUP_SECONDS,
    pause_seconds,
    waits_for_a_person,
)
from modelops.domain.rollout.evaluation import is_proven, program_state
from modelops.domain.rollout.forecast import forecast_of
from modelops.domain.rollout.state import State

PROVISIONING_SECONDS = 1800
"""Time in which the endpoint of a candidate starts and its calls wake it, added to that of the evaluation."""


PROMOTION_SECONDS = 86400
"""Time in which a person may approve the rest, after the first weight of a candidate that no evaluation decided on."""


@dataclass(frozen=True, kw_only=True)
class PlannedEvaluation:
    """What the check said of the evaluation: its time in seconds, and the cost of its calls in micro-USD.

    `unpriced`: the models that are billed per call at a price that is not known. `unanswered`: those whose price the
    service did not tell.
    """

    examples: int = 0
    seconds: int = 0
    calls: int = 0
    unpriced: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RolloutCost:
    """What the rollout may cost, in micro-USD."""

    starts_endpoint: bool
    per_hour: int = 0
    """Of one replica of the candidate's endpoint; 0 where the rollout starts none."""
    replicas: int = 1
    seconds: int = 0
    """For which the endpoint is paid."""
    setup: int = 0
    """Part of `seconds` for provisioning and evaluation; 0 where nothing is evaluated any more."""
    planned: int = 0
    """The most that the rollout may cost; this is reserved."""
    evaluation: int = 0
    """Part of `planned` up to the verdict, calls included."""
    standing: int = 0
    """Of a month in which the candidate serves as the stable model; 0 where the rollout promotes nothing."""
    calls: PlannedEvaluation = PlannedEvaluation()

    @property
    def canary(self) -> int:
        """Part of `planned` after the verdict."""
        return self.planned - self.evaluation


def planned_evaluation(state: State) -> PlannedEvaluation:
    """The evaluation that the check planned; nothing where the candidate needs none, or has had it."""
    program = program_state(state.check)
    if is_proven(state) or state.rollout.status.evaluated is not None or program is None:
        return PlannedEvaluation()
    result = program.result or {}
    return PlannedEvaluation(
        examples=int(result.get("examples") or 0),
        seconds=int(result.get("seconds") or 0),
        calls=micro(str(result.get("calls_usd") or "0")),
        unpriced=tuple(str(model) for model in result.get("unpriced") or ()),
        unanswered=tuple(str(model) for model in result.get("unanswered") or ()),
    )


def planned_setup_seconds(evaluation: PlannedEvaluation) -> int:
    """Time for provisioning and evaluation."""
    return max(SETUP_SECONDS, PROVISIONING_SECONDS + evaluation.seconds)


def planned_seconds(state: State, evaluation: PlannedEvaluation) -> int:
    """How long the rollout may take: provisioning, evaluation and pauses, and never longer than its own deadline.

    A rollout with a step that may wait for a person is planned until that deadline.
    """
    if waits_for_a_person(state):
        return state.rollout.spec.progress_deadline_seconds
    seconds = planned_setup_seconds(evaluation) + pause_seconds(state)
    return min(seconds, state.rollout.spec.progress_deadline_seconds)


def planned_trial_seconds(state: State, per_hour: int) -> int:
    """How long the canary may take after an inconclusive evaluation: provisioning, pauses, and a day for a person.

    The day is shortened to what spec.maxUSD has left. `per_hour`: of all replicas, in micro-USD.
    """
    least = PROVISIONING_SECONDS + pause_seconds(state)
    left = micro(state.rollout.spec.max_usd) - state.require_record().spent_by(state.uid)
    deadline = state.rollout.spec.progress_deadline_seconds
    most = deadline if waits_for_a_person(state) else least + PROMOTION_SECONDS
    affordable = left * 3600 // per_hour if per_hour else most
    return min(max(least, min(most, affordable)), deadline)


def planned_cost(state: State, *, per_hour: int | None) -> RolloutCost:
    """The most that the rollout may cost. `per_hour`: of one replica, in micro-USD; None if it starts no endpoint."""
    evaluation = planned_evaluation(state)
    if per_hour is None:
        calls = evaluation.calls
        return RolloutCost(starts_endpoint=False, planned=calls, evaluation=calls, calls=evaluation)
    replicas = state.require_agent_model().spec.serving.max_replica
    if state.rollout.status.evaluated is not None:
        seconds = planned_trial_seconds(state, per_hour * replicas)
        cost = endpoint_micro_usd(seconds, per_hour * replicas)
        return RolloutCost(
            starts_endpoint=True,
            per_hour=per_hour,
            replicas=replicas,
            seconds=seconds,
            planned=cost,
            standing=per_hour * replicas * HOURS_PER_MONTH,
        )
    seconds = planned_seconds(state, evaluation)
    seconds = with_time_for_a_person(state, seconds, per_hour=per_hour * replicas, calls=evaluation.calls)
    setup = min(seconds, planned_setup_seconds(evaluation))
    evaluate_only = state.rollout.spec.strategy.evaluate_only is not None
    return RolloutCost(
        starts_endpoint=True,
        per_hour=per_hour,
        replicas=replicas,
        seconds=seconds,
        setup=setup,
        planned=evaluation.calls + endpoint_micro_usd(seconds, per_hour * replicas),
        evaluation=evaluation.calls + endpoint_micro_usd(setup, per_hour * replicas),
        standing=0 if evaluate_only else per_hour * replicas * HOURS_PER_MONTH,
        calls=evaluation,
    )


def with_time_for_a_person(state: State, seconds: int, *, per_hour: int, calls: int) -> int:
    """These seconds and up to a day for a person who is probably asked before the last steps.

    It never passes spec.maxUSD, makes an approval necessary, leaves the month's budget or passes the deadline. An offer
    that is open has said it: a forecast that changes, or a month's budget that is used up meanwhile, changes no offer.
    """
    if per_hour <= 0:
        return seconds
    deadline, offer = state.rollout.spec.progress_deadline_seconds, state.rollout.status.offer
    if offer is not None and offer.valid_until is not None:
        offered = (micro(offer.high_usd) - calls) * 3600 // per_hour
        return max(seconds, min(offered, seconds + PROMOTION_SECONDS, deadline))
    forecast = forecast_of(state)
    if forecast is None or not forecast.may_ask_a_person:
        return seconds
    budget, record = state.require_agent_model().spec.budget, state.require_record()
    base = calls + endpoint_micro_usd(seconds, per_hour)
    # What runs already goes on to cost while the offer waits for its approval: then the month must still have room.
    approved_by = state.now + timedelta(seconds=state.settings.approval_seconds)
    limits = [
        micro(state.rollout.spec.max_usd) - record.spent_by(state.uid),
        micro(budget.monthly_usd) - record.committed(f"{state.now:%Y-%m}", approved_by),
    ]
    if micro(budget.approval_above_usd) >= base:
        limits.append(micro(budget.approval_above_usd))
    more = min(PROMOTION_SECONDS, (min(limits) - base) * 3600 // per_hour)
    return max(seconds, min(seconds + more, deadline))


def endpoint_micro_usd(seconds: int, per_hour: int) -> int:
    """What an endpoint costs in this time, in micro-USD, rounded up."""
    return math.ceil(seconds / 3600 * per_hour)


def estimate_of(cost: RolloutCost) -> dict[str, Any]:
    """The estimate as the status has it."""
    return {
        "estimate_usd": dollars(cost.planned),
        "standing_usd_per_month": dollars(cost.standing) if cost.standing else None,
    }
