"""What must be known before a run can be priced: its hardware's price, its base model, the model's configuration."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import describe_base_model
from modelops.domain.training.pricing.cluster_hardware import (
    HUGGING_FACE_FIELD,
    ClusterHardware,
    cluster_flavor,
    cluster_hardware,
    hugging_face_backend,
)
from modelops.domain.training.pricing.flavor_choice import AUTO
from modelops.domain.training.pricing.spending import price_is_fixed
from modelops.domain.training.state import State
from modelops.domain.training.status import (
    RETRY_SECONDS,
    end_or_wait_for_permission,
    wait_for_hub,
    wait_in_phase,
)


def ensure_hardware_priced(state: State) -> TrainingPlan | None:
    """The run's hardware has a price. This is checked before the dataset is read, which takes longer.

    A further attempt waits for a price that the service refuses, and for hardware that it does not offer any more.
    """
    if price_is_fixed(state):
        return None
    hardware = cluster_hardware(state.run)
    if hardware is not None:
        return ensure_cluster_hardware_priced(state, hardware)
    backend = hugging_face_backend(state.run)
    if state.flavors is UNSEEN:
        return Plan(needs=TrainingFact.FLAVORS)
    requested = f"{HUGGING_FACE_FIELD} {backend.flavor!r} of TrainingRun {state.run.metadata.name}"
    if isinstance(state.flavors, Outage):
        message = f"no price for {requested}: {state.flavors.message}"
        if state.flavors.refused:
            return end_or_wait_for_permission(
                state,
                TrainingReason.PriceUnknown,
                message.rstrip("."),
                new_run="; create a new run after that is fixed",
                token_refused=state.flavors.token_refused,
            )
        return wait_for_price(
            state, f"{message}; trying again", after=state.flavors.retry_after or RETRY_SECONDS
        )
    listed = {flavor.name: flavor for flavor in state.flavors}
    if backend.flavor == AUTO:
        if any(flavor.usd_micro_per_hour > 0 for flavor in state.flavors):
            return None
        requested = f"{HUGGING_FACE_FIELD} auto"
        message = f"the service lists no priced hardware for {requested}; nothing is spent without a price"
        return wait_for_price(state, message, after=RETRY_SECONDS * 4)
    if backend.flavor not in listed:
        return end_or_wait_for_permission(
            state,
            TrainingReason.FlavorUnknown,
            f"{requested} is not offered",
            new_run=f"; choose one of auto, {', '.join(sorted(listed))} in a new run",
        )
    if listed[backend.flavor].usd_micro_per_hour <= 0:
        message = (
            f"the service lists no price for {requested}; nothing is spent without one: wait for it, or choose another "
            "flavor in a new run"
        )
        return wait_for_price(state, message, after=RETRY_SECONDS * 4)
    return None


def ensure_cluster_hardware_priced(state: State, hardware: ClusterHardware) -> TrainingPlan | None:
    """No service lists hardware of this cluster: the installation's training defaults name its price per hour."""
    if cluster_flavor(hardware, state.settings.defaults).usd_micro_per_hour > 0:
        return None
    message = (
        f"the operator's training defaults name no price for {hardware.field} {hardware.device.value}: add "
        f"cost_estimates.{hardware.price_key}, in US dollars for one {'GPU' if hardware.gpus else 'node'}, and restart "
        "the operator; nothing is spent without a price"
    )
    return wait_for_price(state, message, after=RETRY_SECONDS * 4)


def wait_for_price(state: State, message: str, *, after: float) -> TrainingPlan:
    return wait_in_phase(state, TrainingPhase.PENDING, TrainingReason.PriceUnknown, message, after=after)


def fail_if_base_model_not_found(state: State) -> TrainingPlan | None:
    """The base model must be on the Hub, readable with the agent's token; a further attempt waits until it is again."""
    if price_is_fixed(state):
        return None
    if state.base is UNSEEN:
        return Plan(needs=TrainingFact.BASE)
    model = describe_base_model(state)
    if isinstance(state.base, Outage) and not state.base.refused:
        return wait_for_hub(state, state.base, model)
    if state.base is None or isinstance(state.base, Outage):
        detail = f" ({state.base.message})" if state.base is not None else ""
        return end_or_wait_for_permission(
            state,
            TrainingReason.BaseModelNotFound,
            f"{model} of TrainingRun {state.run.metadata.name} is not on the Hub, or the token may not read it"
            f"{detail}: check the name, and accept the model's terms if it is gated",
            new_run="; then create a new run",
            token_refused=state.base is not None and state.base.token_refused,
        )
    return None


def base_config_is_unknown(state: State) -> TrainingPlan | None:
    """Waits for the base model's config.json, whose shape decides the memory; if it has none, a typical one is used."""
    if price_is_fixed(state):
        return None
    if state.base_config is UNSEEN:
        return Plan(needs=TrainingFact.BASE_CONFIG)
    if isinstance(state.base_config, Outage) and not state.base_config.is_final:
        return wait_for_hub(state, state.base_config, f"config.json of {describe_base_model(state)}")
    return None
