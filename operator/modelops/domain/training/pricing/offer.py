"""The price of a prepared run: the run is then submitted, asks for an approval, or ends without a cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.conditions import condition_of, without_condition
from modelops.domain.money import micro
from modelops.domain.plan import Announce
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.effective_spec import base_model_name
from modelops.domain.training.next_attempt import hardware_is_not_offered
from modelops.domain.training.pricing.estimate import CannotEstimate, DoesNotEndInTime, DoesNotFit
from modelops.domain.training.pricing.estimate_only import end_with_estimate
from modelops.domain.training.pricing.flavor_choice import NoFlavorFits
from modelops.domain.training.pricing.run_estimate import estimate_attempt
from modelops.domain.training.pricing.spending import needs_approval, price_is_fixed, reasons_against_spending
from modelops.domain.training.state import State
from modelops.domain.training.status import (
    RETRY_SECONDS,
    fail_run,
    wait_for_permission,
    with_phase,
    with_status,
)
from modelops.domain.training.submission.approval import ask_for_approval
from modelops.domain.training.submission.submit import reserve_and_submit, wait_for_budget


def ensure_offer(state: State) -> TrainingPlan | None:
    """Prices the attempt if it has no price yet, or if its offer has expired."""
    return None if price_is_fixed(state) else price_and_submit(state)


def price_and_submit(state: State) -> TrainingPlan:
    """Fixes the base model's revision and the price, in the write of the intent or of the offer."""
    status_before, dataset = state.run.status, state.require_dataset()
    facts = {"DatasetReady": True}
    try:
        price = estimate_attempt(state, dataset)
    except CannotEstimate as error:
        if isinstance(error, NoFlavorFits) and hardware_is_not_offered(state):
            return wait_for_hardware(state)
        message = f"TrainingRun {state.run.metadata.name}: {error}; then create a new run"
        return fail_run(state, reason_of_error(error), message, facts=facts)
    # A further attempt keeps the base model and the approval of the first one.
    terms: dict[str, Any] = {
        "base_model": base_model_name(state),
        "base_revision": state.require_base_model().revision,
        "approval_digest": "",
    }
    if status_before.attempts:
        terms = {}
    at_price = with_status(state, status_before.model_copy(update={**terms, "estimate": price}))
    high = micro(price.high_usd)
    if state.run.spec.estimate_only:
        return end_with_estimate(at_price, price)
    reasons_against = reasons_against_spending(state, high)
    if reasons_against:
        reason, message = reasons_against[0]
        waiting = wait_for_budget(state, high) if reason is TrainingReason.OverBudget else None
        return waiting or fail_run(at_price, reason, message, facts=facts)
    if needs_approval(state, high):
        return ask_for_approval(at_price, price)
    message = (
        f"{dataset.train} example{'s' * (dataset.train != 1)} to train on, {dataset.test} held out; "
        f"estimated ${price.low_usd} to ${price.high_usd}"
    )
    status = with_phase(
        at_price, TrainingPhase.SUBMITTING, TrainingReason.DatasetPrepared, message, facts=facts
    )
    approved = condition_of(status_before.conditions, "Approved")
    if not status_before.attempts or approved is None or approved.status is not ConditionStatus.TRUE:
        status = status.model_copy(update={"conditions": without_condition(status.conditions, "Approved")})
    plan = reserve_and_submit(with_status(state, status))
    if status_before.attempts:
        return plan
    return replace(
        plan, steps=(Announce(reason=TrainingReason.DatasetPrepared.value, message=message), *plan.steps)
    )


def wait_for_hardware(state: State) -> TrainingPlan:
    """With flavor `auto`: the next attempt needs hardware that the service's list has not at the moment."""
    past = state.run.status.attempts[-1]
    message = f"{past.flavor} is not offered at the moment, and no other hardware fits"
    return wait_for_permission(
        state, TrainingPhase.PENDING, TrainingReason.NoFlavorFits, message, after=RETRY_SECONDS
    )


def reason_of_error(error: CannotEstimate) -> TrainingReason:
    """The reason of the condition for an estimate that failed."""
    if isinstance(error, DoesNotFit):
        return TrainingReason.DoesNotFit
    if isinstance(error, DoesNotEndInTime):
        return TrainingReason.DeadlineTooShort
    return TrainingReason.NoFlavorFits if isinstance(error, NoFlavorFits) else TrainingReason.PriceUnknown
