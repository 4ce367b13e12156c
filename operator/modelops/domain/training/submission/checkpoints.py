"""How often a job writes a checkpoint to the Hub, so that a lost machine does not cost the whole training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

STEPS_KEY: Final = "checkpoint_steps"
"""Key in the job's config. It is not part of the recipe, since the model is the same with and without checkpoints."""
NO_CHECKPOINT_MINUTES: Final = 20
"""A shorter job writes no checkpoints: it is cheaper to repeat. A checkpoint of a 7B model's adapter is about 1 GB."""
CHECKPOINT_MINUTES: Final = 10
"""Between two checkpoints, unless they are large."""
LARGEST_SHARE: Final = 0.05
"""Of the time, for which a job may do nothing but send checkpoints."""
BYTES_PER_ADAPTER_PARAMETER: Final = 12
"""The weight and two Adam moments, in fp32."""
GIGABYTES_PER_MINUTE: Final = (9.0, 2.5)
"""Fast and slow, from the job to the Hub, as for the finished model."""


def checkpoint_minutes(gigabytes: float) -> int:
    """Minutes between two checkpoints of this size: ten, or more where sending them would take too large a share."""
    return max(CHECKPOINT_MINUTES, math.ceil(gigabytes / GIGABYTES_PER_MINUTE[1] / LARGEST_SHARE))


def checkpoint_steps(
    *, examples: int, values: Mapping[str, Any], high_minutes: int, minutes: int = CHECKPOINT_MINUTES
) -> int:
    """Optimizer steps between two checkpoints: about `minutes` by the high estimate; 0 for a short job."""
    if high_minutes < NO_CHECKPOINT_MINUTES:
        return 0
    batch = int(values.get("batch_size", 1)) * int(values.get("gradient_accumulation_steps", 1))
    steps = int(values.get("num_epochs", 3)) * math.ceil(examples / batch)
    return max(1, steps * minutes // high_minutes)
