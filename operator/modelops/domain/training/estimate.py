"""What a training will cost, before it starts.

Duration = overhead + tokens / speed. Speed of LoRA with gradient checkpointing is modelled as
`MFU * peak / (6 * parameters)` tokens per second: 4 forward-and-backward FLOP (the frozen weights need no
weight gradients) and 2 of recomputation per parameter and token. MFU between 0.25 and 0.45 brackets published
figures (Qwen-7B on an A100, 3,150 tokens/s, is 0.47). Modelled, not measured: the range says so.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import dollars
from modelops.ports import Flavor

OVERHEAD_MINUTES = (4, 8)
"""Image, installation of packages, download of the base model, upload of the result."""
MFU = (0.45, 0.25)
SAFETY = 1.25
MOST_MICRO_USD = 9_999_999_999_999
"""What the API's money can say; nobody pays that for a training."""

PEAK_TFLOPS: dict[str, float] = {
    "cpu-basic": 0.05,
    "cpu-upgrade": 0.2,
    "cpu-xl": 0.4,
    "cpu-performance": 0.8,
    "t4": 65.0,
    "l4": 60.0,
    "a10g": 70.0,
    "l40s": 362.0,
    "a100": 312.0,
    "rtx-pro-6000": 250.0,
    "h200": 989.0,
}
"""Dense bf16 (fp16 on T4) peak of one device, by the flavor's prefix. More devices add price, not speed."""


class CannotEstimate(ValueError):
    """There is no sensible estimate; the message says why and what to do."""


def parameters_of(repo: str, listed: int | None) -> int:
    """Parameters of the base model: from its safetensors metadata, else from a size in its name such as `7B`.

    Raises:
        CannotEstimate: neither is there.
    """
    if listed:
        return listed
    found = re.search(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)[Bb](?![A-Za-z0-9])", repo)
    if found is None:
        raise CannotEstimate(
            f"the size of spec.baseModel {repo} is unknown: it has no safetensors metadata and no size such "
            "as 7B in its name; choose a model that has one"
        )
    return int(Decimal(found[1]) * 1_000_000_000)


def peak_tflops(flavor: str) -> float:
    """Peak of one device of the flavor.

    Raises:
        CannotEstimate: the flavor's hardware is not in the table.
    """
    fitting = [name for name in PEAK_TFLOPS if flavor == name or flavor.startswith((name + "-", name + "x"))]
    if not fitting:
        raise CannotEstimate(
            f"the speed of spec.backend.huggingFace.flavor {flavor} is unknown; choose one that begins with "
            f"{', '.join(PEAK_TFLOPS)}"
        )
    return PEAK_TFLOPS[max(fitting, key=len)]


def estimate(*, repo: str, parameters: int | None, tokens: int, epochs: int, flavor: Flavor) -> Estimate:
    """Low and high cost and minutes; the high end is what is reserved and, in minutes, the job's timeout.

    Raises:
        CannotEstimate: size or speed is not known, or the cost is beyond reason.
    """
    size = parameters_of(repo, parameters)
    peak = peak_tflops(flavor.name) * 1e12
    seconds = [tokens * epochs * 6 * size / (mfu * peak) for mfu in MFU]
    low = math.ceil(OVERHEAD_MINUTES[0] + seconds[0] / 60)
    high = math.ceil((OVERHEAD_MINUTES[1] + seconds[1] / 60) * SAFETY)
    most = -(-high * flavor.usd_micro_per_hour // 60)
    if most > MOST_MICRO_USD:
        raise CannotEstimate(
            f"{tokens} tokens x {epochs} epochs of a model with {size / 1e9:.3g}B parameters would take "
            f"{high} minutes on spec.backend.huggingFace.flavor {flavor.name}: choose a faster flavor"
        )
    return Estimate(
        low_usd=dollars(low * flavor.usd_micro_per_hour // 60),
        high_usd=dollars(most),
        low_minutes=low,
        high_minutes=high,
        flavor=flavor.name,
        usd_per_hour=dollars(flavor.usd_micro_per_hour),
        source=f"price: the service's list; speed: modelled for {size / 1e9:.3g}B parameters, "
        f"{tokens} tokens x {epochs} epochs",
    )


def billed_micro_usd(running_seconds: int, usd_micro_per_hour: int) -> int:
    """What a job costs: billed by the started minute while it runs."""
    return -(-math.ceil(running_seconds / 60) * usd_micro_per_hour // 60)
