"""The estimate of one attempt of a run."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.trainingrun import Estimate, PreparedDataset
from modelops.domain.money import micro
from modelops.domain.training.effective_spec import (
    base_model_name,
    describe_base_model,
    longest_example_tokens,
)
from modelops.domain.training.next_attempt import (
    attempt_values,
    eligible_flavors,
    previous_attempt,
    reusable_flavor,
)
from modelops.domain.training.pricing.cluster_hardware import (
    cluster_flavor,
    cluster_hardware,
    hugging_face_backend,
)
from modelops.domain.training.pricing.estimate import (
    Workload,
    estimate_cost,
    limited_to,
    parameter_count,
    require_hardware,
    with_measured_time,
)
from modelops.domain.training.pricing.flavor_choice import AUTO, choose_flavor
from modelops.domain.training.pricing.measured_speed import measured_speeds
from modelops.domain.training.pricing.memory import StepLoad
from modelops.domain.training.pricing.model_shape import ALL_LINEAR, shape_from_config, typical_shape
from modelops.domain.training.pricing.spending import spent_micro_usd
from modelops.domain.training.state import State


def estimate_attempt(state: State, dataset: PreparedDataset) -> Estimate:
    """The estimate of an attempt with this dataset. Raises CannotEstimate.

    For a further attempt it is limited to what is left of spec.maxUSD, if the training can end within that.
    """
    found = estimate_on_hardware(state, attempt_workload(state, dataset))
    if previous_attempt(state) is None:
        return found
    return limited_to(unspent_micro_usd(state), with_previous_measurement(state, found))


def estimate_on_hardware(state: State, workload: Workload) -> Estimate:
    """The estimate on the hardware in this cluster, on the named flavor, or on the cheapest that fits."""
    hardware = cluster_hardware(state.run)
    if hardware is not None:
        owned = require_hardware(cluster_flavor(hardware, state.settings.defaults))
        memory = f"{hardware.field.rpartition('.')[0]}.memory"
        return estimate_cost(
            workload,
            owned,
            price_source=f"cost_estimates.{hardware.price_key}",
            larger_machine=f"raise {memory}, or leave it empty",
        )
    backend, flavors = hugging_face_backend(state.run), state.require_flavors()
    if backend.flavor != AUTO:
        flavor = next(flavor for flavor in flavors if flavor.name == backend.flavor)
        return estimate_cost(workload, require_hardware(flavor))
    reusable = reusable_flavor(state, flavors)
    if reusable is not None:
        return estimate_cost(workload, require_hardware(reusable))
    return choose_flavor(
        workload,
        eligible_flavors(state, flavors),
        minutes=minutes_left(state),
        defaults=state.settings.defaults,
    )


def minutes_left(state: State) -> int:
    """Whole minutes until spec.activeDeadlineSeconds has passed."""
    since = state.run.status.active_since
    elapsed = (state.now - since).total_seconds() if since else 0.0
    return int((state.run.spec.active_deadline_seconds - elapsed) // 60)


def unspent_micro_usd(state: State) -> int:
    """What is left of spec.maxUSD after earlier attempts, in micro-USD."""
    return max(0, micro(state.run.spec.max_usd) - spent_micro_usd(state))


def with_previous_measurement(state: State, found: Estimate) -> Estimate:
    """If the previous attempt measured how long the rest takes on this hardware, that replaces the modelled time."""
    previous = previous_attempt(state)
    if previous is None or not previous.remaining_seconds or previous.flavor != found.flavor:
        return found
    return with_measured_time(
        found, seconds=previous.remaining_seconds, source=f"time: measured by attempt {previous.attempt}"
    )


def attempt_workload(state: State, dataset: PreparedDataset) -> Workload:
    """The work of the attempt. Raises CannotEstimate if the model's size is unknown."""
    values = attempt_values(state)
    parameters = parameter_count(
        base_model_name(state), state.require_base_model().parameters, named=describe_base_model(state)
    )
    config = state.base_config if isinstance(state.base_config, Mapping) else {}
    return Workload(
        shape=shape_from_config(config, parameters=parameters) or typical_shape(parameters),
        load=StepLoad(
            method=state.run.spec.method.value,
            batch=int(values.get("batch_size", 1)),
            length=longest_example_tokens(state, dataset),
            rank=int(values.get("lora_rank", 32)),
            targets=tuple(values.get("target_modules", (ALL_LINEAR,))),
            trains_tokens=bool(dataset.eos),
        ),
        tokens=max(1, dataset.tokens),
        epochs=int(values.get("num_epochs", 3)),
        held_out_tokens=dataset.tokens * dataset.test // max(1, dataset.train),
        measured=measured_speeds(
            state.record, method=state.run.spec.method.value, base_model=base_model_name(state)
        ),
    )
