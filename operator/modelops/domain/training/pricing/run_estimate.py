"""The estimate of one attempt of a run."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.trainingrun import Estimate, PreparedDataset
from modelops.domain.money import micro
from modelops.domain.training.effective_spec import base_model_name, longest_tokens, named_base_model
from modelops.domain.training.next_attempt import attempt_values, hardware_for, kept_hardware, last
from modelops.domain.training.pricing.cluster_hardware import (
    cluster_hardware,
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
from modelops.domain.training.pricing.spending import spent
from modelops.domain.training.state import State


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
    return taking(found, seconds=before.remaining_seconds, source=f"time: measured by attempt {before.attempt}")


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
