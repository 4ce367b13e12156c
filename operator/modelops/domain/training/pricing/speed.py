"""How long a training runs on a flavor: a range, with its parts.

Speed of LoRA with gradient checkpointing is modelled as `MFU * peak / FLOP per token`. Per parameter and token: SFT and
ORPO 6 FLOP (forward 2, recomputation 2, backward 2: the frozen weights need no gradients), DPO 8 (and the reference's
forward). MFU between 0.25 and 0.45 brackets published figures: Qwen-7B with LoRA on an A100 trains 2,700 to 3,200
tokens/s between 512 and 8,192 tokens (QwenLM/Qwen, README, "Profiling of Memory and Speed"), which is 0.41 to 0.48.
Several devices each train their part of a step; a tenth is lost to their synchronisation.

That is a model. Where trainings of the same flavor, method and base model were measured, their median counts instead.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from modelops.domain.training.pricing.hardware import Hardware

MFU_RANGE = (0.45, 0.25)
FLOP_PER_PARAMETER = {"sft": 6, "dpo": 8, "orpo": 6}
MULTI_DEVICE_EFFICIENCY = 0.9
SAFETY_FACTOR = 1.25
CREDIBLE_MFU = (0.03, 0.6)
"""Outside of this a measurement is not believed whole: an estimate falls or grows to these ends only."""
SPREADS = ((3, 1.15), (1, 1.25))
"""From so many measured runs on, the next one's speed is between the median divided and multiplied by this; the
model's range is 1.34 to each side."""

INSTALLATION_MINUTES = (2.0, 4.0)
"""Image, and 5.6 GB of packages."""
GIGABYTES_PER_MINUTE = {"download": (24.0, 6.0), "merge and upload": (9.0, 2.5)}
"""Of the weights in bf16: from the Hub; and merged, read back for the last check, and sent to the Hub."""


@dataclass(frozen=True, kw_only=True)
class DurationPart:
    """One part of a duration, in minutes at its low and high end."""

    name: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {self.low:.1f} to {self.high:.1f} min"


@dataclass(frozen=True, kw_only=True)
class Duration:
    """Whole minutes; the high end has a quarter more than its parts."""

    parts: tuple[DurationPart, ...]

    @property
    def low(self) -> int:
        return math.ceil(sum(part.low for part in self.parts))

    @property
    def high(self) -> int:
        return math.ceil(sum(part.high for part in self.parts) * SAFETY_FACTOR)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Tokens per second at the high and the low end, and how they are known."""

    fast: float
    slow: float
    runs: int = 0
    """Measured ones; 0: modelled."""
    against_model: float = 1.0
    """Of the middle of the model's range."""

    def __str__(self) -> str:
        if not self.runs:
            return "modelled"
        return f"{self.how}, {self.against_model:.2g} of the model's"

    @property
    def how(self) -> str:
        """In how many runs it was measured."""
        return f"measured in {self.runs} run{'s' * (self.runs > 1)}"


def modelled_speed(hardware: Hardware, *, parameters: int, method: str) -> tuple[float, float]:
    """High and low speed as they are modelled."""
    peak = peak_speed(hardware, parameters, method)
    return MFU_RANGE[0] * peak, MFU_RANGE[1] * peak


def peak_speed(hardware: Hardware, parameters: int, method: str) -> float:
    """Tokens per second of hardware that computes at its peak all the time."""
    peak = hardware.device.peak_tflops * 1e12 * hardware.devices
    share = MULTI_DEVICE_EFFICIENCY if hardware.devices > 1 else 1.0
    return share * peak / (FLOP_PER_PARAMETER[method] * parameters)


def expected_speed(
    hardware: Hardware, *, parameters: int, method: str, measured: Sequence[float] = ()
) -> Speed:
    """As it was measured, else as it is modelled. `measured`: tokens per second of earlier runs."""
    fast, slow = modelled_speed(hardware, parameters=parameters, method=method)
    if not measured:
        return Speed(fast=fast, slow=slow)
    least, most = (mfu * peak_speed(hardware, parameters, method) for mfu in CREDIBLE_MFU)
    middle = min(max(statistics.median_low(measured), least), most)
    spread = next(spread for runs, spread in SPREADS if len(measured) >= runs)
    return Speed(
        fast=middle * spread,
        slow=middle / spread,
        runs=len(measured),
        against_model=middle / math.sqrt(fast * slow),
    )


def job_duration(pace: Speed, *, parameters: int, tokens: int, epochs: int) -> Duration:
    """Of a whole job. `tokens`: of one epoch, both sequences of a pair counted."""
    gigabytes = 2 * parameters / 1e9
    moving = (
        DurationPart(name=name, low=gigabytes / quick, high=gigabytes / slowly)
        for name, (quick, slowly) in GIGABYTES_PER_MINUTE.items()
    )
    name = f"training ({pace.how})" if pace.runs else "training"
    in_all = tokens * epochs / 60
    training = DurationPart(name=name, low=in_all / pace.fast, high=in_all / pace.slow)
    first, last = tuple(moving)
    low, high = INSTALLATION_MINUTES
    return Duration(parts=(DurationPart(name="installation", low=low, high=high), first, training, last))
