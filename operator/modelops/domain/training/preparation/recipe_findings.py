"""What a person should know about a recipe before it is paid for: findings, never refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MIN_UPDATES = 50
USUAL_LEARNING_RATE = {"sft": 2e-4, "dpo": 5e-6, "orpo": 5e-6}
"""For LoRA: TRL, "PEFT integration", https://huggingface.co/docs/trl/peft_integration."""
UNUSUAL_FACTOR = 5.0


def base_model_findings(base_model: str, *, sibling: str) -> tuple[str, ...]:
    """`sibling`: an -Instruct model that was made from it; empty where there is none."""
    if not sibling:
        return ()
    return (
        f"{base_model} is a base model, which learns to converse and to stop from these examples alone: "
        f"{sibling} can do both already",
    )


def recipe_findings(method: str, values: Mapping[str, Any], *, examples: int) -> tuple[str, ...]:
    """`values`: under their snake_case names. `examples`: that are trained on."""
    found = []
    update = int(values.get("batch_size", 1)) * int(values.get("gradient_accumulation_steps", 1))
    epochs = int(values.get("num_epochs", 1))
    steps = math.ceil(examples / update) * epochs
    if steps < MIN_UPDATES:
        found.append(
            f"{examples} examples in updates of {update} for {epochs} epochs are {steps} updates; below {MIN_UPDATES} "
            "next to nothing is learnt: add examples, or set a smaller spec.config.gradientAccumulationSteps"
        )
    rate, usual = float(values.get("learning_rate", USUAL_LEARNING_RATE[method])), USUAL_LEARNING_RATE[method]
    if not usual / UNUSUAL_FACTOR <= rate <= usual * UNUSUAL_FACTOR:
        found.append(
            f"spec.config.learningRate {rate:g} is far from the usual {usual:g} of {method} with LoRA: "
            + ("little will be learnt" if rate < usual else "the training may not converge")
        )
    return tuple(found)
