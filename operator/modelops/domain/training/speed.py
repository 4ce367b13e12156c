"""How long a training runs on a flavor: a range, with its parts.

Speed of LoRA with gradient checkpointing is modelled as `MFU * peak / FLOP per token`. Per parameter and token: SFT and
ORPO 6 FLOP (forward 2, recomputation 2, backward 2: the frozen weights need no gradients), DPO 8 (and the reference's
forward). MFU between 0.25 and 0.45 brackets published figures: Qwen-7B with LoRA on an A100 trains 2,700 to 3,200
tokens/s between 512 and 8,192 tokens (QwenLM/Qwen, README, "Profiling of Memory and Speed"), which is 0.41 to 0.48.
Several devices each train their part of a step; a tenth is lost to their synchronisation. Modelled, not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelops.domain.training.hardware import Hardware

MFU = (0.45, 0.25)
FLOP_PER_PARAMETER = {"sft": 6, "dpo": 8, "orpo": 6}
SEVERAL_DEVICES = 0.9
SAFETY = 1.25

INSTALLATION_MINUTES = (2.0, 4.0)
"""Image, and 5.6 GB of packages."""
GIGABYTES_PER_MINUTE = {"download": (24.0, 6.0), "merge and upload": (9.0, 2.5)}
"""Of the weights in bf16: from the Hub; and merged, read back for the last check, and sent to the Hub."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a duration, in minutes at its low and high end."""

    name: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {self.low:.1f} to {self.high:.1f} min"


@dataclass(frozen=True, kw_only=True)
class Duration:
    """Whole minutes; the high end has a quarter more than its parts."""

    parts: tuple[Part, ...]

    @property
    def low(self) -> int:
        return math.ceil(sum(part.low for part in self.parts))

    @property
    def high(self) -> int:
        return math.ceil(sum(part.high for part in self.parts) * SAFETY)


def tokens_per_second(hardware: Hardware, *, parameters: int, method: str) -> tuple[float, float]:
    """High and low speed."""
    peak = hardware.device.peak_tflops * 1e12 * hardware.devices
    share = SEVERAL_DEVICES if hardware.devices > 1 else 1.0
    flop = FLOP_PER_PARAMETER[method] * parameters
    return MFU[0] * share * peak / flop, MFU[1] * share * peak / flop


def duration(hardware: Hardware, *, parameters: int, tokens: int, epochs: int, method: str) -> Duration:
    """Of a whole job. `tokens`: of one epoch, both sequences of a pair counted."""
    fast, slow = tokens_per_second(hardware, parameters=parameters, method=method)
    gigabytes = 2 * parameters / 1e9
    moving = (
        Part(name=name, low=gigabytes / quick, high=gigabytes / slowly)
        for name, (quick, slowly) in GIGABYTES_PER_MINUTE.items()
    )
    training = Part(name="training", low=tokens * epochs / fast / 60, high=tokens * epochs / slow / 60)
    first, last = tuple(moving)
    low, high = INSTALLATION_MINUTES
    return Duration(parts=(Part(name="installation", low=low, high=high), first, training, last))
