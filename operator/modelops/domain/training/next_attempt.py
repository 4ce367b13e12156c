"""What the next attempt of a run is made of: its batch, its hardware, its training values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelops.api.v1alpha1.trainingrun import AttemptStatus
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.effective_spec import training_values
from modelops.domain.training.pricing.flavor_choice import AUTO
from modelops.domain.training.pricing.hardware import find_hardware
from modelops.domain.training.state import State
from modelops.ports import Flavor

REUSES_HARDWARE: Final = frozenset(
    {
        TrainingReason.JobLost,
        TrainingReason.HubUnavailable,
        TrainingReason.HubRefused,
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.Suspended,
    }
)
"""Reasons after which the next attempt uses the same hardware."""


def flavor_is_auto(state: State) -> bool:
    """Whether the operator chooses the hardware."""
    backend = state.run.spec.backend.hugging_face
    return backend is not None and backend.flavor == AUTO


def previous_attempt(state: State) -> AttemptStatus | None:
    """The newest finished attempt; None before the first one has finished."""
    past = state.run.status.attempts
    return past[-1] if past else None


def halved_batch_sizes(state: State) -> tuple[int, int] | None:
    """Batch size and accumulation steps that need half the memory for examples; None if the batch size is 1.

    An update has as many examples as before, so that the next attempt can continue from a checkpoint.
    """
    previous = previous_attempt(state)
    if state.run.status.job is None and previous is not None:
        batch, accumulation = previous.batch_size, previous.gradient_accumulation_steps
    else:
        batch, accumulation = batch_sizes(attempt_values(state))
    update = batch * accumulation
    half = next((size for size in range(batch // 2, 0, -1) if update % size == 0), None)
    return (half, update // half) if half else None


def next_batch_sizes(state: State) -> tuple[int, int]:
    """Batch size and gradient accumulation steps of the next attempt; zeros mean those of the recipe."""
    previous = previous_attempt(state)
    if previous is None:
        return 0, 0
    found = previous.batch_size, previous.gradient_accumulation_steps
    if previous.reason == TrainingReason.OutOfMemory.value:
        found = halved_batch_sizes(state) or found
    return (0, 0) if found == batch_sizes(training_values(state)) else found


def batch_sizes(values: Mapping[str, Any]) -> tuple[int, int]:
    """Batch size and gradient accumulation steps in these training values."""
    return int(values.get("batch_size", 1)), int(values.get("gradient_accumulation_steps", 1))


def attempt_values(state: State) -> dict[str, Any]:
    """The training values of the current attempt; between two attempts, those of the next one."""
    job = state.run.status.job
    batch, accumulation = (
        (job.batch_size, job.gradient_accumulation_steps) if job else next_batch_sizes(state)
    )
    values = training_values(state)
    if not batch:
        return values
    return {**values, "batch_size": batch, "gradient_accumulation_steps": accumulation}


def reusable_flavor(state: State, flavors: tuple[Flavor, ...]) -> Flavor | None:
    """The previous attempt's flavor, if the next attempt is to use it and the service still offers it."""
    previous = previous_attempt(state)
    if previous is None:
        return None
    halved = previous.reason == TrainingReason.OutOfMemory.value and halved_batch_sizes(state) is not None
    if not halved and TrainingReason.named(previous.reason) not in REUSES_HARDWARE:
        return None
    priced = (flavor for flavor in flavors if flavor.usd_micro_per_hour > 0)
    return next((flavor for flavor in priced if flavor.name == previous.flavor), None)


def hardware_is_not_offered(state: State) -> bool:
    """Whether the next attempt is to use the previous one's hardware, and the service's list does not have it now."""
    previous = previous_attempt(state)
    if previous is None or not isinstance(state.flavors, tuple) or not flavor_is_auto(state):
        return False
    return TrainingReason.named(previous.reason) in REUSES_HARDWARE and all(
        flavor.name != previous.flavor or flavor.usd_micro_per_hour <= 0 for flavor in state.flavors
    )


def eligible_flavors(state: State, flavors: tuple[Flavor, ...]) -> tuple[Flavor, ...]:
    """The offered flavors among which the operator may choose for the next attempt.

    Flavors are left out if a batch of 1 did not fit a device with as much memory. Flavors for which an earlier attempt
    waited in vain are left out unless no others remain. So are machines with no more memory than one on which the job
    was killed without a word.
    """
    past = state.run.status.attempts
    killed = {p.flavor for p in past if p.reason == TrainingReason.JobKilled.value}
    most = max((flavor.machine_gigabytes for flavor in flavors if flavor.name in killed), default=0.0)
    flavors = tuple(
        flavor for flavor in flavors if flavor.name not in killed and not 0 < flavor.machine_gigabytes <= most
    )
    full = (p for p in past if p.reason == TrainingReason.OutOfMemory.value and p.batch_size <= 1)
    largest_failed = max((device_gigabytes(p.flavor) for p in full), default=-1)
    large = tuple(flavor for flavor in flavors if device_gigabytes(flavor.name) > largest_failed)
    stuck = {p.flavor for p in past if p.reason == TrainingReason.StuckInScheduling.value}
    return tuple(flavor for flavor in large if flavor.name not in stuck) or large


def device_gigabytes(flavor: str) -> int:
    """Memory of one device of the flavor; 0 if the flavor is unknown."""
    hardware = find_hardware(Flavor(name=flavor, usd_micro_per_hour=0))
    return hardware.device.gigabytes if hardware else 0
