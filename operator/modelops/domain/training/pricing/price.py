"""What a TrainingRun will cost, and whether it may: an answer before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import Estimate, PreparedDataset, TrainingPhase
from modelops.domain.conditions import condition_of
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import base_model_name, longest_tokens, named_base_model
from modelops.domain.training.outcome.attempts import attempt_values, hardware_for, kept_hardware, last
from modelops.domain.training.pricing.cluster_hardware import (
    HUGGING_FACE_FIELD,
    Own,
    cluster_hardware,
    hardware_field,
    hugging_face_backend,
    own_flavor,
)
from modelops.domain.training.pricing.estimate import (
    Work,
    estimate,
    hardware_of,
    parameters_of,
    taking,
    within,
)
from modelops.domain.training.pricing.flavor_choice import AUTO, chosen
from modelops.domain.training.pricing.measured_speed import measured
from modelops.domain.training.pricing.memory import Load
from modelops.domain.training.pricing.model_shape import ALL_LINEAR, of_config, of_size
from modelops.domain.training.state import State
from modelops.domain.training.status import RETRY_SECONDS, failed, hub_is_away, wait


def stands(state: State) -> bool:
    """Whether the price is fixed: an offer until it expires, and no price that lacks the approval it needs."""
    offer = state.run.status.estimate
    if offer is None:
        return False
    if offer.valid_until is None:
        return not needs_approval(state, micro(offer.high_usd))
    return state.now < offer.valid_until


def needs_approval(state: State, high: int) -> bool:
    """Whether a person must approve so much, on top of what earlier attempts cost.

    Who approved the first attempt approved the whole of spec.maxUSD.
    """
    status = state.run.status
    approved = condition_of(status.conditions, "Approved")
    if status.attempts and approved is not None and approved.status is ConditionStatus.TRUE:
        return False
    return spent(state) + high > micro(state.require_agent_model().spec.budget.approval_above_usd)


def spent(state: State) -> int:
    """Micro-USD of the run's attempts that are over."""
    return state.record.spent_by(state.uid) if state.record else 0


def ensure_hardware_priced(state: State) -> TrainingPlan | None:
    """Cheap questions come first: flavor and base model, before the dataset is read."""
    if stands(state):
        return None
    own = cluster_hardware(state.run)
    if own is not None:
        return ensure_cluster_hardware_priced(state, own)
    backend = hugging_face_backend(state.run)
    if state.flavors is UNSEEN:
        return Plan(needs=TrainingFact.FLAVORS)
    asked = f"{HUGGING_FACE_FIELD} {backend.flavor!r} of TrainingRun {state.run.metadata.name}"
    if isinstance(state.flavors, Outage):
        message = f"no price for {asked}: {state.flavors.message}"
        if state.flavors.refused:
            return failed(
                state, TrainingReason.PriceUnknown, f"{message}; create a new run when that is put right"
            )
        return priceless(state, f"{message}; trying again", after=state.flavors.retry_after or RETRY_SECONDS)
    listed = {flavor.name: flavor for flavor in state.flavors}
    if backend.flavor == AUTO:
        if any(flavor.usd_micro_per_hour > 0 for flavor in state.flavors):
            return None
        asked = f"{HUGGING_FACE_FIELD} auto"
        message = f"the service lists no priced hardware for {asked}; nothing is spent without a price"
        return priceless(state, message, after=RETRY_SECONDS * 4)
    if backend.flavor not in listed:
        message = f"{asked} is not offered; choose one of auto, {', '.join(sorted(listed))} in a new run"
        return failed(state, TrainingReason.FlavorUnknown, message)
    if listed[backend.flavor].usd_micro_per_hour <= 0:
        message = (
            f"the service lists no price for {asked}; nothing is spent without one: wait for it, or choose another "
            "flavor in a new run"
        )
        return priceless(state, message, after=RETRY_SECONDS * 4)
    return None


def ensure_cluster_hardware_priced(state: State, own: Own) -> TrainingPlan | None:
    """No service lists it: the installation's training defaults say what an hour costs."""
    if own_flavor(own, state.settings.defaults).usd_micro_per_hour > 0:
        return None
    message = (
        f"the operator's training defaults name no price for {own.field} {own.device.value}: add "
        f"cost_estimates.{own.price_key}, in US dollars for one {'GPU' if own.gpus else 'node'}, and restart the "
        "operator; nothing is spent without a price"
    )
    return priceless(state, message, after=RETRY_SECONDS * 4)


def priceless(state: State, message: str, *, after: float) -> TrainingPlan:
    return wait(state, TrainingPhase.PENDING, TrainingReason.PriceUnknown, message, after=after)


def base_model_is_not_found(state: State) -> TrainingPlan | None:
    if stands(state):
        return None
    if state.base is UNSEEN:
        return Plan(needs=TrainingFact.BASE)
    model = named_base_model(state)
    if isinstance(state.base, Outage) and not state.base.refused:
        return hub_is_away(state, state.base, model)
    if state.base is None or isinstance(state.base, Outage):
        words = f" ({state.base.message})" if state.base is not None else ""
        message = (
            f"{model} of TrainingRun {state.run.metadata.name} is not on the Hub, or the token may "
            f"not read it{words}: check the name, and accept the model's terms if it is gated; then create a new run"
        )
        return failed(state, TrainingReason.BaseModelNotFound, message)
    return None


def base_config_is_unknown(state: State) -> TrainingPlan | None:
    """Its shape decides the memory; without one a typical model of its size is taken."""
    if stands(state):
        return None
    if state.base_config is UNSEEN:
        return Plan(needs=TrainingFact.BASE_CONFIG)
    if isinstance(state.base_config, Outage) and not state.base_config.refused:
        return hub_is_away(state, state.base_config, f"config.json of {named_base_model(state)}")
    return None


def priced(state: State, dataset: PreparedDataset) -> Estimate:
    """The estimate for what was prepared, on the flavor that is named or on the cheapest. Raises CannotEstimate.

    Of a further attempt it is bounded by what is left of spec.maxUSD, as long as that is a sensible time.
    """
    found = offered(state, work(state, dataset))
    return within(money_left(state), as_measured(state, found)) if last(state) else found


def offered(state: State, wanted: Work) -> Estimate:
    """The estimate on the hardware of one's own, on the flavor that is named, or on the cheapest."""
    own = cluster_hardware(state.run)
    if own is not None:
        found = estimate(wanted, hardware_of(own_flavor(own, state.settings.defaults)))
        source = found.source.replace("the service's list", f"cost_estimates.{own.price_key}")
        return found.model_copy(update={"source": source})
    backend, flavors = hugging_face_backend(state.run), state.require_flavors()
    if backend.flavor != AUTO:
        flavor = next(flavor for flavor in flavors if flavor.name == backend.flavor)
        return estimate(wanted, hardware_of(flavor))
    kept = kept_hardware(state, flavors)
    if kept is not None:
        return estimate(wanted, hardware_of(kept))
    return chosen(
        wanted,
        hardware_for(state, flavors),
        minutes=minutes_left(state),
        defaults=state.settings.defaults,
    )


def minutes_left(state: State) -> int:
    """Until the deadline."""
    since = state.run.status.active_since
    passed = (state.now - since).total_seconds() if since else 0.0
    return int((state.run.spec.active_deadline_seconds - passed) // 60)


def money_left(state: State) -> int:
    """Micro-USD of spec.maxUSD that no attempt has cost yet."""
    return max(0, micro(state.run.spec.max_usd) - spent(state))


def as_measured(state: State, found: Estimate) -> Estimate:
    """Where the attempt before measured how long the rest takes on this hardware, that and nothing modelled."""
    before = last(state)
    if before is None or not before.remaining_seconds or before.flavor != found.flavor:
        return found
    return taking(
        found, seconds=before.remaining_seconds, source=f"time: measured by attempt {before.attempt}"
    )


def work(state: State, dataset: PreparedDataset) -> Work:
    """What is to be trained. Raises CannotEstimate where the model's size is not known."""
    values = attempt_values(state)
    parameters = parameters_of(
        base_model_name(state), state.require_base_model().parameters, named=named_base_model(state)
    )
    config = state.base_config if isinstance(state.base_config, Mapping) else {}
    return Work(
        shape=of_config(config, parameters=parameters) or of_size(parameters),
        load=Load(
            method=state.run.spec.method.value,
            batch=int(values.get("batch_size", 1)),
            length=longest_tokens(state, dataset),
            rank=int(values.get("lora_rank", 32)),
            targets=tuple(values.get("target_modules", (ALL_LINEAR,))),
        ),
        tokens=max(1, dataset.tokens),
        epochs=int(values.get("num_epochs", 3)),
        measured=measured(
            state.record, method=state.run.spec.method.value, base_model=base_model_name(state)
        ),
    )


def refusal(state: State, high: int) -> tuple[TrainingReason, str] | None:
    """Why so much may not be spent on this run, whoever approves; None where it may."""
    run, before = state.run, spent(state)
    if before and before + high > micro(run.spec.max_usd):
        return TrainingReason.OverMaxUSD, (
            f"another attempt may cost up to {shown(high)}, those so far cost {shown(before)}, and spec.maxUSD of "
            f"TrainingRun {run.metadata.name} is ${run.spec.max_usd}: raise it in a new run, or train on less"
        )
    if high > micro(run.spec.max_usd):
        return TrainingReason.OverMaxUSD, (
            f"the training may cost up to {shown(high)} and spec.maxUSD of TrainingRun {run.metadata.name} is "
            f"${run.spec.max_usd}: raise it in a new run, choose a cheaper {hardware_field(run)}, or train on less"
        )
    message = over_budget(state, uncovered(state, high))
    return (TrainingReason.OverBudget, message) if message else None


def uncovered(state: State, high: int) -> int:
    """What the attempt needs beyond its own reservation: a crash may have come between that and the intent.

    One of another month covers nothing of this one.
    """
    own = state.record.reservations.get(state.reservation_key) if state.record else None
    return max(0, high - (own.usd_micro if own and own.month == f"{state.now:%Y-%m}" else 0))


def over_budget(state: State, high: int) -> str:
    """Why the month's budget does not cover the amount; empty where it does."""
    agent, record = state.require_agent_model(), state.require_record()
    monthly = agent.spec.budget.monthly_usd
    left = micro(monthly) - record.committed(f"{state.now:%Y-%m}", state.now)
    if high <= left:
        return ""
    return (
        f"up to {shown(high)} is needed and ${dollars(max(0, left))} of spec.budget.monthlyUSD ${monthly} of "
        f"AgentModel {agent.metadata.name} is left this month (UTC): raise the budget or wait for the next "
        "month, then create a new run"
    )
