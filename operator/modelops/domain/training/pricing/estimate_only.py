"""A run with spec.estimateOnly: it ends with the price of its training. Nothing is reserved, submitted or recorded."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import Estimate, TrainingPhase
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.pricing.spending import needs_approval, reasons_against_spending
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, with_phase
from modelops.domain.training.submission.approval import describe_offer, missing_requester


def end_with_estimate(state: State, price: Estimate) -> TrainingPlan:
    """The successful end; `state` has dataset, base model and price already.

    A limit that a training would exceed is no failure of an estimate: the message names it.
    """
    estimated = TrainingReason.Estimated
    message = ". ".join((describe_price(price), *obstacles_to_training(state, price)))
    status = with_phase(state, TrainingPhase.SUCCEEDED, estimated, message, facts={"DatasetReady": True})
    return Plan(steps=status_steps(state, status, estimated, message), requeue_after=0)


def describe_price(price: Estimate) -> str:
    cost = " to ".join(dict.fromkeys((f"${price.low_usd}", f"${price.high_usd}")))
    minutes = " to ".join(dict.fromkeys((str(price.low_minutes), str(price.high_minutes))))
    unit = "minute" if price.high_minutes == 1 else "minutes"
    return f"a training would cost {cost} and take {minutes} {unit} on {price.flavor}; nothing was spent"


def obstacles_to_training(state: State, price: Estimate) -> tuple[str, ...]:
    """What would keep a run with these values from being submitted at this price, one sentence each."""
    high = micro(price.high_usd)
    refusals = [*reasons_against_spending(state, high)]
    waits: list[str] = []
    if needs_approval(state, high):
        unapprovable = missing_requester(state, price)
        if unapprovable:
            refusals.append((TrainingReason.SelfApproval, unapprovable))
        else:
            reason = TrainingReason.NeedsApproval.value
            waits.append(f"It would wait for an approval ({reason}): {describe_offer(state, price)}")
    return (*(f"It would be refused ({reason.value}): {message}" for reason, message in refusals), *waits)
