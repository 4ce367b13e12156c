"""The cost of a training before it starts: price of the hardware times a range of minutes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import dollars, micro
from modelops.domain.training.pricing.hardware import DEVICES, Hardware, find_hardware
from modelops.domain.training.pricing.machine import machine_shortage
from modelops.domain.training.pricing.memory import StepLoad, memory_shortage
from modelops.domain.training.pricing.model_shape import ModelShape
from modelops.domain.training.pricing.speed import Speed, checks_duration, expected_speed, job_duration
from modelops.domain.training.submission.checkpoints import BYTES_PER_ADAPTER_PARAMETER, checkpoint_minutes
from modelops.ports import Flavor

MAX_MICRO_USD = 9_999_999_999_999
"""The largest amount that a money field of the API can have."""


class CannotEstimate(ValueError):
    """There is no sensible estimate. The message says why and what to do."""


class DoesNotFit(CannotEstimate):
    """The hardware has too little memory for the training."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The work of a training. `tokens`: of one epoch; both sequences of a pair count.

    `measured`: tokens per second of earlier runs with the same method and base model, by flavor.
    """

    shape: ModelShape
    load: StepLoad
    tokens: int
    epochs: int
    held_out_tokens: int = 0
    """Tokens of the held-out part; 0 where they are not known, so that its evaluations are not part of the time."""
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)


def parameter_count(repo: str, listed: int | None, *, named: str = "") -> int:
    """Number of parameters of the base model: from its safetensors metadata, else from a size in its name such as 7B.

    Raises:
        CannotEstimate: neither says it.
    """
    if listed:
        return listed
    found = re.search(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)[Bb](?![A-Za-z0-9])", repo)
    if found is None:
        raise CannotEstimate(
            f"the size of {named or f'spec.baseModel {repo}'} is unknown: it has no safetensors metadata and no size "
            "such as 7B in its name; choose a model that has one"
        )
    return int(Decimal(found[1]) * 1_000_000_000)


def require_hardware(flavor: Flavor) -> Hardware:
    """The flavor's hardware.

    Raises:
        CannotEstimate: the operator does not know it.
    """
    found = find_hardware(flavor)
    if found is None:
        raise CannotEstimate(
            f"the speed of spec.backend.huggingFace.flavor {flavor.name} is unknown; choose one that begins with "
            f"{', '.join(DEVICES)}"
        )
    return found


SERVICE_LIST = "the service's list"


def estimate_cost(
    work: Workload,
    hardware: Hardware,
    *,
    price_source: str = SERVICE_LIST,
    larger_machine: str = "choose hardware with a larger machine",
) -> Estimate:
    """Low and high cost and minutes. The high cost is reserved; the high minutes are the job's timeout.

    Raises:
        DoesNotFit: a device, or the machine around it, has too little memory or disk, with the arithmetic.
        CannotEstimate: the cost is above what the API can express.
    """
    flavor, shape = hardware.flavor, work.shape
    device = hardware.device
    shortage = memory_shortage(
        shape, work.load, device_gigabytes=device.gigabytes, bytes_per_value=device.bytes_per_value
    )
    if device.gigabytes and shortage:
        raise DoesNotFit(
            f"{flavor.name} is too small: {shortage}: choose larger hardware, or a smaller spec.config.maxSeqLength"
        )
    shortage = machine_shortage(
        shape,
        work.load,
        flavor,
        processes=hardware.devices // flavor.machines if device.gigabytes else 1,
        bytes_per_value=device.bytes_per_value,
        has_device=bool(device.gigabytes),
    )
    if shortage:
        raise DoesNotFit(f"{flavor.name} is too small: {shortage}: {larger_machine}")
    speed = expected_speed(
        hardware,
        parameters=shape.parameters,
        method=work.load.method,
        measured=work.measured.get(flavor.name, ()),
    )
    adapter = shape.adapter_parameters(rank=work.load.rank, targets=work.load.targets)
    checkpoint_gigabytes = BYTES_PER_ADAPTER_PARAMETER * adapter / 1e9
    time = job_duration(
        speed,
        parameters=shape.parameters,
        tokens=work.tokens,
        epochs=work.epochs,
        checks=checks_duration(
            speed, method=work.load.method, held_out_tokens=work.held_out_tokens, longest=work.load.length
        ),
        checkpoint_gigabytes=checkpoint_gigabytes,
    )
    high_micro_usd = -(-time.high * flavor.usd_micro_per_hour // 60)
    if high_micro_usd > MAX_MICRO_USD:
        raise CannotEstimate(
            f"{work.tokens} tokens x {work.epochs} epochs of a model with {display_size(shape.parameters)} parameters "
            f"would take {time.high} minutes on {flavor.name}: choose faster hardware"
        )
    return Estimate(
        low_usd=dollars(time.low * flavor.usd_micro_per_hour // 60),
        high_usd=dollars(high_micro_usd),
        low_minutes=time.low,
        high_minutes=time.high,
        checkpoint_minutes=checkpoint_minutes(checkpoint_gigabytes),
        flavor=flavor.name,
        usd_per_hour=dollars(flavor.usd_micro_per_hour),
        source=describe_source(work, speed, price_source),
        parts=tuple(str(part) for part in time.parts),
    )


def display_size(parameters: int) -> str:
    """A number of parameters for people, such as 7.6B, 494M or 65.5K."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= limit:
            return f"{parameters / limit:.3g}{unit}"
    return str(parameters)


def describe_source(work: Workload, speed: Speed, price_source: str) -> str:
    """Where the numbers come from, for status.estimate.source."""
    of = f"for {display_size(work.shape.parameters)} parameters, {work.tokens} tokens x {work.epochs} epochs"
    if speed.runs:
        return f"price: {price_source}; memory: modelled {of}; speed: {speed}"
    return f"price: {price_source}; speed and memory: modelled {of}"


MEASURED_MARGIN = Decimal("1.25")
"""Factor of the high end over a measured time."""


def with_measured_time(found: Estimate, *, seconds: int, source: str) -> Estimate:
    """The estimate for a job that takes so many seconds, as measured, on the same hardware."""
    low = max(1, math.ceil(seconds / 60))
    return _with_minutes(found, low=low, high=math.ceil(low * MEASURED_MARGIN), source=source, parts=())


def limited_to(micro_usd: int, found: Estimate) -> Estimate:
    """The estimate with a high cost of at most so many micro-USD; unchanged if that is below the low cost."""
    per_hour = micro(found.usd_per_hour)
    minutes = micro_usd * 60 // per_hour if per_hour else found.high_minutes
    if minutes >= found.high_minutes or minutes < found.low_minutes:
        return found
    source = f"{found.source}; bounded by what is left of spec.maxUSD"
    return _with_minutes(found, low=found.low_minutes, high=minutes, source=source, parts=found.parts)


def _with_minutes(found: Estimate, *, low: int, high: int, source: str, parts: tuple[str, ...]) -> Estimate:
    per_hour = micro(found.usd_per_hour)
    return found.model_copy(
        update={
            "low_minutes": low,
            "high_minutes": high,
            "low_usd": dollars(low * per_hour // 60),
            "high_usd": dollars(-(-high * per_hour // 60)),
            "source": source[:256],
            "parts": parts,
        }
    )


def billed_micro_usd(running_seconds: int, usd_micro_per_hour: int) -> int:
    """Cost of a job in micro-USD: it is billed by the started minute while it runs."""
    return -(-math.ceil(running_seconds / 60) * usd_micro_per_hour // 60)
