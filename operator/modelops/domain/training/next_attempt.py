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
        TrainingReason.TimedOut,
        TrainingReason.TooSlow,
        TrainingReason.Suspended,
    }
)


def flavor_is_auto(state: State) -> bool:
    """Whether the hardware was left to us."""
    backend = state.run.spec.backend.hugging_face
    return backend is not None and backend.flavor == AUTO


def previous_attempt(state: State) -> AttemptStatus | None:
    """The attempt before the one that is to come or under way."""
    past = state.run.status.attempts
    return past[-1] if past else None


def halved_batch_sizes(state: State) -> tuple[int, int] | None:
    """Batch and accumulation of an attempt with half the memory for examples; None where the batch is 1.

    An update has as many examples as before, so that a checkpoint can be gone on from.
    """
    before = previous_attempt(state)
    if state.run.status.job is None and before is not None:
        batch, accumulation = before.batch_size, before.gradient_accumulation_steps
    else:
        batch, accumulation = batch_sizes(attempt_values(state))
    update = batch * accumulation
    half = next((size for size in range(batch // 2, 0, -1) if update % size == 0), None)
    return (half, update // half) if half else None


def next_batch_sizes(state: State) -> tuple[int, int]:
    """Batch and accumulation of the attempt that is to come; zeros: as the recipe has them."""
    before = previous_attempt(state)
    if before is None:
        return 0, 0
    found = before.batch_size, before.gradient_accumulation_steps
    if before.reason == TrainingReason.OutOfMemory.value:
        found = halved_batch_sizes(state) or found
    return (0, 0) if found == batch_sizes(training_values(state)) else found


def batch_sizes(values: Mapping[str, Any]) -> tuple[int, int]:
    """Batch and accumulation of training values."""
    return int(values.get("batch_size", 1)), int(values.get("gradient_accumulation_steps", 1))


def attempt_values(state: State) -> dict[str, Any]:
    """The training values of the attempt that is under way, or to come."""
    job = state.run.status.job
    batch, accumulation = (
        (job.batch_size, job.gradient_accumulation_steps) if job else next_batch_sizes(state)
    )
    values = training_values(state)
    if not batch:
        return values
    return {**values, "batch_size": batch, "gradient_accumulation_steps": accumulation}


def reusable_flavor(state: State, flavors: tuple[Flavor, ...]) -> Flavor | None:
    """The hardware of the attempt before, where the next one goes on with it and it is still offered."""
    before = previous_attempt(state)
    if before is None:
        return None
    halved = before.reason == TrainingReason.OutOfMemory.value and halved_batch_sizes(state) is not None
    if not halved and TrainingReason.named(before.reason) not in REUSES_HARDWARE:
        return None
    priced = (flavor for flavor in flavors if flavor.usd_micro_per_hour > 0)
    return next((flavor for flavor in priced if flavor.name == before.flavor), None)


def eligible_flavors(state: State, flavors: tuple[Flavor, ...]) -> tuple[Flavor, ...]:
    """Of what is offered, what the next attempt may use, where the choice is ours.

    Nothing with no more memory than what a batch of 1 did not fit; what did not come only where nothing else is left.
    """
    past = state.run.status.attempts
    full = (p for p in past if p.reason == TrainingReason.OutOfMemory.value and p.batch_size <= 1)
    most = max((device_gigabytes(p.flavor) for p in full), default=-1)
    large = tuple(flavor for flavor in flavors if device_gigabytes(flavor.name) > most)
    stuck = {p.flavor for p in past if p.reason == TrainingReason.StuckInScheduling.value}
    return tuple(flavor for flavor in large if flavor.name not in stuck) or large


def device_gigabytes(flavor: str) -> int:
    """Memory of one of its devices, which is what a step has."""
    hardware = find_hardware(Flavor(name=flavor, usd_micro_per_hour=0))
    return hardware.device.gigabytes if hardware else 0
