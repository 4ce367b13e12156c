"""What a run has spent, and whether it may spend more: spec.maxUSD, the monthly budget, the approval."""

from __future__ import annotations

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.conditions import condition_of
from modelops.domain.money import display_usd, micro
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.pricing.cluster_hardware import hardware_field
from modelops.domain.training.pricing.flavor_choice import AUTO
from modelops.domain.training.state import State


def price_is_fixed(state: State) -> bool:
    """Whether the price is fixed: an offer until it expires; any other price unless it needs an approval.

    A run with spec.estimateOnly never has a fixed price, because it ends with it: what follows a price is not for it.
    """
    offer = state.run.status.estimate
    if offer is None or state.run.spec.estimate_only:
        return False
    if offer.valid_until is None:
        return not needs_approval(state, micro(offer.high_usd))
    return state.now < offer.valid_until


def needs_approval(state: State, high: int) -> bool:
    """Whether a person must approve this amount of micro-USD on top of the cost of earlier attempts.

    The approval of the first attempt covers further attempts up to spec.maxUSD.
    """
    status = state.run.status
    approved = condition_of(status.conditions, "Approved")
    if status.attempts and approved is not None and approved.status is ConditionStatus.TRUE:
        return False
    return spent_micro_usd(state) + high > micro(state.require_agent_model().spec.budget.approval_above_usd)


def spent_micro_usd(state: State) -> int:
    """Cost of the run's finished attempts in micro-USD."""
    return state.record.spent_by(state.uid) if state.record else 0


def reasons_against_spending(state: State, high: int) -> tuple[tuple[TrainingReason, str], ...]:
    """Why this amount may not be spent on the run, with or without an approval; empty if it may."""
    shortage = budget_shortage(state, unreserved_micro_usd(state, high))
    found = (
        (TrainingReason.OverMaxUSD, above_max_usd(state, high)),
        (TrainingReason.OverBudget, shortage and shortage + NEW_RUN),
    )
    return tuple((reason, message) for reason, message in found if message)


def above_max_usd(state: State, high: int) -> str:
    """Why spec.maxUSD does not allow this amount, and what to do; empty if it does."""
    run, spent = state.run, spent_micro_usd(state)
    if spent and spent + high > micro(run.spec.max_usd):
        return (
            f"another attempt may cost up to {display_usd(high)}, earlier attempts cost {display_usd(spent)}, and "
            f"spec.maxUSD of TrainingRun {run.metadata.name} is ${run.spec.max_usd}: raise it in a new "
            "run, or train on less"
        )
    if high > micro(run.spec.max_usd):
        return (
            f"the training may cost up to {display_usd(high)} and spec.maxUSD of TrainingRun {run.metadata.name} is "
            f"${run.spec.max_usd}: raise it in a new run{_cheaper_hardware(run)}, or train on less"
        )
    return ""


def _cheaper_hardware(run: TrainingRun) -> str:
    """With `flavor: auto` the cheapest hardware is chosen already."""
    hugging_face = run.spec.backend.hugging_face
    automatic = hugging_face is not None and hugging_face.flavor == AUTO
    return "" if automatic else f", choose a cheaper {hardware_field(run)}"


def unreserved_micro_usd(state: State, high: int) -> int:
    """What the attempt needs beyond its own reservation, which exists if a crash came between it and the intent.

    A reservation of another month covers nothing of this month's budget.
    """
    reservation = state.record.reservations.get(state.reservation_key) if state.record else None
    return max(
        0, high - (reservation.usd_micro if reservation and reservation.month == f"{state.now:%Y-%m}" else 0)
    )


NEW_RUN = "; then create a new run"
"""The end of a message about the budget, where the run ends for it."""


def budget_shortage(state: State, high: int) -> str:
    """Why the month's budget does not cover the amount, and what to do; empty if it does."""
    agent, record = state.require_agent_model(), state.require_record()
    monthly = agent.spec.budget.monthly_usd
    left = micro(monthly) - record.committed(f"{state.now:%Y-%m}", state.now)
    if high <= left:
        return ""
    return (
        f"up to {display_usd(high)} is needed and {display_usd(max(0, left))} of spec.budget.monthlyUSD ${monthly} of "
        f"AgentModel {agent.metadata.name} is left this month (UTC): raise the budget, or wait for the next month"
    )
