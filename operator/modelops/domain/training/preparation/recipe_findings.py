"""Findings about a recipe for the person who pays for it. They never refuse a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MIN_UPDATES = 50
"""With fewer optimizer updates, a finding says that the model learns almost nothing."""
USUAL_LEARNING_RATE = {"sft": 2e-4, "dpo": 5e-6, "orpo": 5e-6}
"""For LoRA: TRL, "PEFT integration", https://huggingface.co/docs/trl/peft_integration."""
UNUSUAL_FACTOR = 5.0
"""A learning rate is unusual if it differs from the usual one by more than this factor."""


def base_model_findings(base_model: str, *, sibling: str) -> tuple[str, ...]:
    """The finding about a base model. `sibling`: its -Instruct model on the Hub; empty if there is none."""
    if not sibling:
        return ()
    return (
        f"{base_model} is a base model: it learns to converse and to end its answers only from these examples. "
        f"{sibling} can do both already",
    )


def recipe_findings(method: str, values: Mapping[str, Any], *, examples: int) -> tuple[str, ...]:
    """Findings about training values under their snake_case names. `examples`: number of training examples."""
    found = []
    update = int(values.get("batch_size", 1)) * int(values.get("gradient_accumulation_steps", 1))
    epochs = int(values.get("num_epochs", 1))
    steps = math.ceil(examples / update) * epochs
    if steps < MIN_UPDATES:
        found.append(
            f"training makes {steps} update{'s' * (steps != 1)} (examples: {examples}, examples per update: {update}, "
            f"epochs: {epochs}); with fewer than {MIN_UPDATES} the model learns almost nothing: add examples, or set a "
            "smaller spec.config.gradientAccumulationSteps"
        )
    rate, usual = float(values.get("learning_rate", USUAL_LEARNING_RATE[method])), USUAL_LEARNING_RATE[method]
    if not usual / UNUSUAL_FACTOR <= rate <= usual * UNUSUAL_FACTOR:
        found.append(
            f"spec.config.learningRate {rate:g} is far from the usual {usual:g} of {method} with LoRA: "
            + ("the model may learn little" if rate < usual else "the training may not converge")
        )
    return tuple(found)
