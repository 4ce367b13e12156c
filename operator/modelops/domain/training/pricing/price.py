"""What a TrainingRun will cost, and whether it may: an answer before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.trainingrun import Estimate, PreparedDataset, TrainingPhase
from modelops.domain.conditions import condition_of
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.effective_spec import base_model_name, longest_tokens, named_base_model
from modelops.domain.training.outcome.attempts import attempt_values, hardware_for, kept_hardware, last
from modelops.domain.training.pricing.cluster_hardware import (
    HUGGING_FACE_FIELD,
    Own,
    cluster_hardware,
    hardware_field,
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
from modelops.domain.training.state import Observed
from modelops.domain.training.status import RETRY_SECONDS, failed, hub_is_away, wait
from modelops.ports import Flavor, ModelInfo


def stands(seen: Observed) -> bool:
    """Whether the price is fixed: an offer until it expires, and no price that lacks the approval it needs."""
    offer = seen.run.status.estimate
    if offer is None:
        return False
    if offer.valid_until is None:
        return not needs_approval(seen, micro(offer.high_usd))
    return seen.now < offer.valid_until


def needs_approval(seen: Observed, high: int) -> bool:
    """Whether a person must approve so much, on top of what earlier attempts cost.

    Who approved the first attempt approved the whole of spec.maxUSD.
    """
    assert seen.agent_model is not None
    status = seen.run.status
    approved = condition_of(status.conditions, "Approved")
    if status.attempts and approved is not None and approved.status is ConditionStatus.TRUE:
        return False
    return spent(seen) + high > micro(seen.agent_model.spec.budget.approval_above_usd)


def spent(seen: Observed) -> int:
    """Micro-USD of the run's attempts that are over."""
    return seen.record.spent_by(seen.uid) if seen.record else 0


def ensure_hardware_priced(seen: Observed) -> Plan | None:
    """Cheap questions come first: flavor and base model, before the dataset is read."""
    if stands(seen):
        return None
    own = cluster_hardware(seen.run)
    if own is not None:
        return ensure_cluster_hardware_priced(seen, own)
    backend = seen.run.spec.backend.hugging_face
    assert backend is not None
    if seen.flavors is UNSEEN:
        return Plan(needs="flavors")
    asked = f"{HUGGING_FACE_FIELD} {backend.flavor!r} of TrainingRun {seen.run.metadata.name}"
    if isinstance(seen.flavors, Outage):
        message = f"no price for {asked}: {seen.flavors.message}"
        if seen.flavors.refused:
            return failed(seen, Why.PRICE_UNKNOWN, f"{message}; create a new run when that is put right")
        return priceless(seen, f"{message}; trying again", after=seen.flavors.retry_after or RETRY_SECONDS)
    listed = {flavor.name: flavor for flavor in seen.flavors}
    if backend.flavor == AUTO:
        if any(flavor.usd_micro_per_hour > 0 for flavor in seen.flavors):
            return None
        asked = f"{HUGGING_FACE_FIELD} auto"
        message = f"the service lists no priced hardware for {asked}; nothing is spent without a price"
        return priceless(seen, message, after=RETRY_SECONDS * 4)
    if backend.flavor not in listed:
        message = f"{asked} is not offered; choose one of auto, {', '.join(sorted(listed))} in a new run"
        return failed(seen, Why.FLAVOR_UNKNOWN, message)
    if listed[backend.flavor].usd_micro_per_hour <= 0:
        message = (
            f"the service lists no price for {asked}; nothing is spent without one: wait for it, or choose another "
            "flavor in a new run"
        )
        return priceless(seen, message, after=RETRY_SECONDS * 4)
    return None


def ensure_cluster_hardware_priced(seen: Observed, own: Own) -> Plan | None:
    """No service lists it: the installation's training defaults say what an hour costs."""
    if own_flavor(own, seen.settings.defaults).usd_micro_per_hour > 0:
        return None
    message = (
        f"the operator's training defaults name no price for {own.field} {own.device.value}: add "
        f"cost_estimates.{own.price_key}, in US dollars for one {'GPU' if own.gpus else 'node'}, and restart the "
        "operator; nothing is spent without a price"
    )
    return priceless(seen, message, after=RETRY_SECONDS * 4)


def priceless(seen: Observed, message: str, *, after: float) -> Plan:
    return wait(seen, TrainingPhase.PENDING, Why.PRICE_UNKNOWN, message, after=after)


def base_model_is_not_found(seen: Observed) -> Plan | None:
    if stands(seen):
        return None
    if seen.base is UNSEEN:
        return Plan(needs="base")
    model = named_base_model(seen)
    if isinstance(seen.base, Outage) and not seen.base.refused:
        return hub_is_away(seen, seen.base, model)
    if seen.base is None or isinstance(seen.base, Outage):
        words = f" ({seen.base.message})" if seen.base is not None else ""
        message = (
            f"{model} of TrainingRun {seen.run.metadata.name} is not on the Hub, or the token may "
            f"not read it{words}: check the name, and accept the model's terms if it is gated; then create a new run"
        )
        return failed(seen, Why.BASE_MODEL_NOT_FOUND, message)
    return None


def base_config_is_unknown(seen: Observed) -> Plan | None:
    """Its shape decides the memory; without one a typical model of its size is taken."""
    if stands(seen):
        return None
    if seen.base_config is UNSEEN:
        return Plan(needs="base_config")
    if isinstance(seen.base_config, Outage) and not seen.base_config.refused:
        return hub_is_away(seen, seen.base_config, f"config.json of {named_base_model(seen)}")
    return None


def priced(seen: Observed, dataset: PreparedDataset) -> Estimate:
    """The estimate for what was prepared, on the flavor that is named or on the cheapest. Raises CannotEstimate.

    Of a further attempt it is bounded by what is left of spec.maxUSD, as long as that is a sensible time.
    """
    found = offered(seen, work(seen, dataset))
    return within(money_left(seen), as_measured(seen, found)) if last(seen) else found


def offered(seen: Observed, wanted: Work) -> Estimate:
    """The estimate on the hardware of one's own, on the flavor that is named, or on the cheapest."""
    own, backend = cluster_hardware(seen.run), seen.run.spec.backend.hugging_face
    if own is not None:
        found = estimate(wanted, hardware_of(own_flavor(own, seen.settings.defaults)))
        source = found.source.replace("the service's list", f"cost_estimates.{own.price_key}")
        return found.model_copy(update={"source": source})
    assert backend is not None
    if backend.flavor != AUTO:
        flavor = next(flavor for flavor in listed_flavors(seen) if flavor.name == backend.flavor)
        return estimate(wanted, hardware_of(flavor))
    kept = kept_hardware(seen, listed_flavors(seen))
    if kept is not None:
        return estimate(wanted, hardware_of(kept))
    return chosen(
        wanted,
        hardware_for(seen, listed_flavors(seen)),
        minutes=minutes_left(seen),
        defaults=seen.settings.defaults,
    )


def minutes_left(seen: Observed) -> int:
    """Until the deadline."""
    since = seen.run.status.active_since
    passed = (seen.now - since).total_seconds() if since else 0.0
    return int((seen.run.spec.active_deadline_seconds - passed) // 60)


def money_left(seen: Observed) -> int:
    """Micro-USD of spec.maxUSD that no attempt has cost yet."""
    return max(0, micro(seen.run.spec.max_usd) - spent(seen))


def as_measured(seen: Observed, found: Estimate) -> Estimate:
    """Where the attempt before measured how long the rest takes on this hardware, that and nothing modelled."""
    before = last(seen)
    if before is None or not before.seconds_left or before.flavor != found.flavor:
        return found
    return taking(found, seconds=before.seconds_left, source=f"time: measured by attempt {before.attempt}")


def work(seen: Observed, dataset: PreparedDataset) -> Work:
    """What is to be trained. Raises CannotEstimate where the model's size is not known."""
    values = attempt_values(seen)
    parameters = parameters_of(
        base_model_name(seen), base_model(seen).parameters, named=named_base_model(seen)
    )
    config = seen.base_config if isinstance(seen.base_config, Mapping) else {}
    return Work(
        shape=of_config(config, parameters=parameters) or of_size(parameters),
        load=Load(
            method=seen.run.spec.method.value,
            batch=int(values.get("batch_size", 1)),
            length=longest_tokens(seen, dataset),
            rank=int(values.get("lora_rank", 32)),
            targets=tuple(values.get("target_modules", (ALL_LINEAR,))),
        ),
        tokens=max(1, dataset.tokens),
        epochs=int(values.get("num_epochs", 3)),
        measured=measured(seen.record, method=seen.run.spec.method.value, base_model=base_model_name(seen)),
    )


def base_model(seen: Observed) -> ModelInfo:
    """The base model, after `base_model_is_not_found` had nothing to say."""
    assert isinstance(seen.base, ModelInfo)
    return seen.base


def listed_flavors(seen: Observed) -> tuple[Flavor, ...]:
    """The hardware, after `ensure_hardware_priced` had nothing to say."""
    assert isinstance(seen.flavors, tuple)
    return seen.flavors


def refusal(seen: Observed, high: int) -> tuple[Why, str] | None:
    """Why so much may not be spent on this run, whoever approves; None where it may."""
    run, before = seen.run, spent(seen)
    if before and before + high > micro(run.spec.max_usd):
        return Why.OVER_MAX_USD, (
            f"another attempt may cost up to {shown(high)}, those so far cost {shown(before)}, and spec.maxUSD of "
            f"TrainingRun {run.metadata.name} is ${run.spec.max_usd}: raise it in a new run, or train on less"
        )
    if high > micro(run.spec.max_usd):
        return Why.OVER_MAX_USD, (
            f"the training may cost up to {shown(high)} and spec.maxUSD of TrainingRun {run.metadata.name} is "
            f"${run.spec.max_usd}: raise it in a new run, choose a cheaper {hardware_field(run)}, or train on less"
        )
    message = over_budget(seen, uncovered(seen, high))
    return (Why.OVER_BUDGET, message) if message else None


def uncovered(seen: Observed, high: int) -> int:
    """What the attempt needs beyond its own reservation: a crash may have come between that and the intent.

    One of another month covers nothing of this one.
    """
    own = seen.record.reservations.get(seen.reservation_key) if seen.record else None
    return max(0, high - (own.usd_micro if own and own.month == f"{seen.now:%Y-%m}" else 0))


def over_budget(seen: Observed, high: int) -> str:
    """Why the month's budget does not cover the amount; empty where it does."""
    agent, record = seen.agent_model, seen.record
    assert agent is not None
    assert record is not None
    monthly = agent.spec.budget.monthly_usd
    left = micro(monthly) - record.committed(f"{seen.now:%Y-%m}", seen.now)
    if high <= left:
        return ""
    return (
        f"up to {shown(high)} is needed and ${dollars(max(0, left))} of spec.budget.monthlyUSD ${monthly} of "
        f"AgentModel {agent.metadata.name} is left this month (UTC): raise the budget or wait for the next "
        "month, then create a new run"
    )
