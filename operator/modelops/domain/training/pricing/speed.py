"""How long a training takes on a flavor: a range, with its parts.

Speed of LoRA with gradient checkpointing is modelled as `MFU * peak / FLOP per token`. Per parameter and token: SFT and
ORPO 6 FLOP (forward 2, recomputation 2, backward 2: the frozen weights need no gradients), DPO 8 (and the reference's
forward). MFU between 0.25 and 0.45 brackets published figures: Qwen-7B with LoRA on an A100 trains 2,700 to 3,200
tokens/s between 512 and 8,192 tokens (QwenLM/Qwen, README, "Profiling of Memory and Speed"), which is 0.41 to 0.48.
Several devices each train their part of a step; a tenth is lost to their synchronisation.

If trainings with the same flavor, method and base model were measured, the median of their speeds replaces the model.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from modelops.domain.training.pricing.hardware import Hardware
from modelops.domain.training.submission.checkpoints import (
    GIGABYTES_PER_MINUTE as CHECKPOINT_GIGABYTES_PER_MINUTE,
)
from modelops.domain.training.submission.checkpoints import (
    NO_CHECKPOINT_MINUTES,
    checkpoint_minutes,
)

MFU_RANGE = (0.45, 0.25)
FLOP_PER_PARAMETER = {"sft": 6, "dpo": 8, "orpo": 6}
MULTI_DEVICE_EFFICIENCY = 0.9
SAFETY_FACTOR = 1.25
CREDIBLE_MFU = (0.03, 0.6)
"""A measured speed outside this range counts as the nearest end of it."""
SPREADS = ((3, 1.15), (1, 1.25))
"""Number of measured runs, and the factor of the range around their median. The model's own factor is 1.34."""
INSTALLATION_MINUTES = (2.0, 4.0)
"""Low and high: the image, and 5.6 GB of packages."""
FORWARD_FLOP = {"sft": 2, "dpo": 4, "orpo": 2}
EVALUATIONS = 5
"""Evaluations of the held-out part in a training: after each fifth of its steps (trainers/trl_trainer.py)."""
STOP_CHECK_BATCHES = 2
"""Eight prompts in batches of four (trainers/trl_merged.py)."""
SECONDS_PER_ANSWER_TOKEN = (0.005, 0.06)
"""Of a batch: most answers end long before the bound, or all run to it. Assumed; not measured on a GPU."""
GIGABYTES_PER_MINUTE = {"download": (24.0, 6.0), "merge and upload": (9.0, 2.5)}
"""Fast and slow, of the weights in bf16: from the Hub; and merged, read back for the check, and sent to the Hub."""


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
    """Whole minutes; the high end is a quarter more than the sum of its parts."""

    parts: tuple[DurationPart, ...]

    @property
    def low(self) -> int:
        return math.ceil(sum(part.low for part in self.parts))

    @property
    def high(self) -> int:
        return math.ceil(sum(part.high for part in self.parts) * SAFETY_FACTOR)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Tokens per second at the high and the low end, and whether they were measured."""

    fast: float
    slow: float
    runs: int = 0
    """Number of measured runs; 0 if the speed is modelled."""
    against_model: float = 1.0
    """Ratio of the measured speed to the middle of the model's range."""

    def __str__(self) -> str:
        if not self.runs:
            return "modelled"
        return f"{self.how}, {self.against_model:.2g} times the modelled speed"

    @property
    def how(self) -> str:
        """In how many runs the speed was measured, for messages."""
        return f"measured in {self.runs} run{'s' * (self.runs > 1)}"


def modelled_speed(hardware: Hardware, *, parameters: int, method: str) -> tuple[float, float]:
    """High and low tokens per second of the model."""
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
    """The measured speed, else the modelled one. `measured`: tokens per second of earlier runs."""
    fast, slow = modelled_speed(hardware, parameters=parameters, method=method)
    if not measured:
        return Speed(fast=fast, slow=slow)
    slowest, fastest = (mfu * peak_speed(hardware, parameters, method) for mfu in CREDIBLE_MFU)
    median = min(max(statistics.median_low(measured), slowest), fastest)
    spread = next(spread for runs, spread in SPREADS if len(measured) >= runs)
    return Speed(
        fast=median * spread,
        slow=median / spread,
        runs=len(measured),
        against_model=median / math.sqrt(fast * slow),
    )


def checks_duration(speed: Speed, *, method: str, held_out_tokens: int, longest: int) -> DurationPart | None:
    """The evaluations during the training and the check that the model stops; None where nothing is held out.

    An evaluation is the forward pass alone: 2 FLOP per parameter and token (with the reference's, 4 for DPO). The check
    answers prompts in batches, a token at a time; at most as many tokens as the longest example has.
    """
    if not held_out_tokens:
        return None
    share = FORWARD_FLOP[method] / FLOP_PER_PARAMETER[method]
    tokens = EVALUATIONS * held_out_tokens * share / 60
    quick, slowly = (STOP_CHECK_BATCHES * seconds * longest / 60 for seconds in SECONDS_PER_ANSWER_TOKEN)
    return DurationPart(
        name="evaluations and checks", low=tokens / speed.fast + quick, high=tokens / speed.slow + slowly
    )


def job_duration(
    speed: Speed,
    *,
    parameters: int,
    tokens: int,
    epochs: int,
    checks: DurationPart | None = None,
    checkpoint_gigabytes: float = 0.0,
) -> Duration:
    """Duration of a whole job. `tokens`: of one epoch; both sequences of a pair count.

    `checkpoint_gigabytes` is the size of one checkpoint.
    """
    gigabytes = 2 * parameters / 1e9
    transfers = (
        DurationPart(name=name, low=gigabytes / quick, high=gigabytes / slowly)
        for name, (quick, slowly) in GIGABYTES_PER_MINUTE.items()
    )
    name = f"training ({speed.how})" if speed.runs else "training"
    token_minutes = tokens * epochs / 60
    training = DurationPart(name=name, low=token_minutes / speed.fast, high=token_minutes / speed.slow)
    first, last = tuple(transfers)
    low, high = INSTALLATION_MINUTES
    known = (DurationPart(name="installation", low=low, high=high), first, training, checks, last)
    time = Duration(parts=tuple(part for part in known if part is not None))
    return with_checkpoints(time, gigabytes=checkpoint_gigabytes)


def with_checkpoints(time: Duration, *, gigabytes: float) -> Duration:
    """The duration with the minutes in which the job sends checkpoints of this size, and does not train.

    Their number follows from the high end, like the steps between them (submission/checkpoints.py); a short job has
    none.
    """
    if time.high < NO_CHECKPOINT_MINUTES or not gigabytes:
        return time
    size = gigabytes * time.high / checkpoint_minutes(gigabytes)
    low, high = (size / speed for speed in CHECKPOINT_GIGABYTES_PER_MINUTE)
    return Duration(parts=(*time.parts, DurationPart(name="checkpoints", low=low, high=high)))
