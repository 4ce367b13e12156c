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
    """The estimate for what was prepared, on the flavor that is named or on the cheapest. Raises CannotEstimate.

    Of a further attempt it is bounded by what is left of spec.maxUSD, as long as that is a sensible time.
    """
    found = estimate_on_hardware(state, attempt_workload(state, dataset))
    if previous_attempt(state) is None:
        return found
    return limited_to(unspent_micro_usd(state), with_previous_measurement(state, found))


def estimate_on_hardware(state: State, wanted: Workload) -> Estimate:
    """The estimate on the hardware of one's own, on the flavor that is named, or on the cheapest."""
    own = cluster_hardware(state.run)
    if own is not None:
        found = estimate_cost(wanted, require_hardware(cluster_flavor(own, state.settings.defaults)))
        source = found.source.replace("the service's list", f"cost_estimates.{own.price_key}")
        return found.model_copy(update={"source": source})
    backend, flavors = hugging_face_backend(state.run), state.require_flavors()
    if backend.flavor != AUTO:
        flavor = next(flavor for flavor in flavors if flavor.name == backend.flavor)
        return estimate_cost(wanted, require_hardware(flavor))
    kept = reusable_flavor(state, flavors)
    if kept is not None:
        return estimate_cost(wanted, require_hardware(kept))
    return choose_flavor(
        wanted,
        eligible_flavors(state, flavors),
        minutes=minutes_left(state),
        defaults=state.settings.defaults,
    )


def minutes_left(state: State) -> int:
    """Until the deadline."""
    since = state.run.status.active_since
    passed = (state.now - since).total_seconds() if since else 0.0
    return int((state.run.spec.active_deadline_seconds - passed) // 60)


def unspent_micro_usd(state: State) -> int:
    """Micro-USD of spec.maxUSD that no attempt has cost yet."""
    return max(0, micro(state.run.spec.max_usd) - spent_micro_usd(state))


def with_previous_measurement(state: State, found: Estimate) -> Estimate:
    """Where the attempt before measured how long the rest takes on this hardware, that and nothing modelled."""
    before = previous_attempt(state)
    if before is None or not before.remaining_seconds or before.flavor != found.flavor:
        return found
    return with_measured_time(
        found, seconds=before.remaining_seconds, source=f"time: measured by attempt {before.attempt}"
    )


def attempt_workload(state: State, dataset: PreparedDataset) -> Workload:
    """What is to be trained. Raises CannotEstimate where the model's size is not known."""
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
        ),
        tokens=max(1, dataset.tokens),
        epochs=int(values.get("num_epochs", 3)),
        measured=measured_speeds(
            state.record, method=state.run.spec.method.value, base_model=base_model_name(state)
        ),
    )
