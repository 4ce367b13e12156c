"""The estimate of one attempt of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

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
    hardware_field,
    hugging_face_backend,
)
from modelops.domain.training.pricing.estimate import (
    LARGER_MACHINE,
    SERVICE_LIST,
    DoesNotEndInTime,
    Workload,
    estimate_cost,
    limited_to,
    limited_to_minutes,
    parameter_count,
    require_hardware,
    with_measured_time,
)
from modelops.domain.training.pricing.flavor_choice import AUTO, NoFlavorFits, choose_flavor
from modelops.domain.training.pricing.measured_speed import measured_speeds
from modelops.domain.training.pricing.memory import StepLoad
from modelops.domain.training.pricing.model_shape import ALL_LINEAR, shape_from_config, typical_shape
from modelops.domain.training.pricing.spending import spent_micro_usd
from modelops.domain.training.state import State
from modelops.ports import Flavor

MAX_DEADLINE_SECONDS = 604_800
"""The most that the API allows for spec.activeDeadlineSeconds: a week."""


def estimate_attempt(state: State, dataset: PreparedDataset) -> Estimate:
    """The estimate of an attempt with this dataset. Raises CannotEstimate.

    The deadline limits it. A further attempt is limited to what is left of spec.maxUSD, too, if the training can end
    within that.
    """
    found = estimate_on_hardware(state, attempt_workload(state, dataset))
    return found if previous_attempt(state) is None else limited_to(unspent_micro_usd(state), found)


def estimate_on_hardware(state: State, workload: Workload) -> Estimate:
    """The estimate on the hardware in this cluster, on the named flavor, or on the cheapest that fits."""
    hardware = cluster_hardware(state.run)
    if hardware is not None:
        memory = f"{hardware.field.rpartition('.')[0]}.memory"
        return estimate_before_deadline(
            state,
            workload,
            cluster_flavor(hardware, state.settings.defaults),
            price_source=f"cost_estimates.{hardware.price_key}",
            larger_machine=f"raise {memory}, or leave it empty",
        )
    backend, flavors = hugging_face_backend(state.run), state.require_flavors()
    if backend.flavor != AUTO:
        named = next(flavor for flavor in flavors if flavor.name == backend.flavor)
        return estimate_before_deadline(state, workload, named)
    reusable = reusable_flavor(state, flavors)
    if reusable is None:
        return estimate_on_chosen_flavor(state, workload, flavors)
    try:
        return estimate_before_deadline(state, workload, reusable)
    except DoesNotEndInTime:
        others = tuple(flavor for flavor in flavors if flavor != reusable)
        with contextlib.suppress(NoFlavorFits):
            return estimate_on_chosen_flavor(state, workload, others)
        raise


def estimate_on_chosen_flavor(state: State, workload: Workload, flavors: tuple[Flavor, ...]) -> Estimate:
    """The estimate on the cheapest of these flavors that fits and ends before the deadline. Raises NoFlavorFits."""
    return choose_flavor(
        workload,
        eligible_flavors(state, flavors),
        minutes=minutes_left(state),
        defaults=state.settings.defaults,
    )


def estimate_before_deadline(
    state: State,
    workload: Workload,
    flavor: Flavor,
    *,
    price_source: str = SERVICE_LIST,
    larger_machine: str = LARGER_MACHINE,
) -> Estimate:
    """The estimate on this flavor, whose high end is at most what is left of spec.activeDeadlineSeconds.

    Raises:
        DoesNotEndInTime: even the low end is above that. Of an attempt that may continue from a checkpoint, when nobody
            measured how much is left to train, only the time around the training counts.
        CannotEstimate: as `estimate_cost`.
    """
    hardware, left = require_hardware(flavor), minutes_left(state)
    whole = estimate_cost(workload, hardware, price_source=price_source, larger_machine=larger_machine)
    found = with_previous_measurement(state, whole)
    least = found.low_minutes
    if rest_is_unknown(state):
        around = replace(workload, tokens=1, epochs=1, held_out_tokens=0)
        least = estimate_cost(around, hardware).low_minutes
    if least > left:
        raise DoesNotEndInTime(deadline_message(state, found, least=least, high=whole.high_minutes))
    return limited_to_minutes(left, found)


def rest_is_unknown(state: State) -> bool:
    """Whether the attempt may continue from a checkpoint, and no job measured how much is left to train."""
    previous = previous_attempt(state)
    if previous is None or previous.remaining_seconds:
        return False
    return any(micro(past.cost_usd) for past in state.run.status.attempts)


def deadline_message(state: State, found: Estimate, *, least: int, high: int) -> str:
    """Why the attempt is not paid for, and what to set. `least`, `high`: minutes of the attempt, and of a whole run."""
    deadline, needed = state.run.spec.active_deadline_seconds, max(high, found.high_minutes) * 60
    what = f"attempt {state.attempt}" if state.run.status.attempts else "the training"
    longer = f"set it to at least {needed}, " if needed <= MAX_DEADLINE_SECONDS else ""
    return (
        f"{what} takes at least {least} min on {found.flavor}, and spec.activeDeadlineSeconds {deadline} leaves "
        f"{max(0, minutes_left(state))} min: {longer}choose a faster {hardware_field(state.run)}, or train on less"
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
