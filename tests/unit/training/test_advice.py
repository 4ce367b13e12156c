"""Findings about a recipe: too few updates, an unusual learning rate."""

from __future__ import annotations

import pytest

from modelops.domain.training.preparation.recipe_findings import recipe_findings

SIXTEEN_PER_UPDATE = {
    "batch_size": 1,
    "gradient_accumulation_steps": 16,
    "num_epochs": 3,
    "learning_rate": 2e-4,
}


def test_few_updates_are_a_finding() -> None:
    (said,) = recipe_findings("sft", SIXTEEN_PER_UPDATE, examples=120)
    assert "training makes 24 updates" in said
    assert "gradientAccumulationSteps" in said
    assert recipe_findings("sft", SIXTEEN_PER_UPDATE, examples=267) == ()


@pytest.mark.parametrize(
    ("method", "rate", "words"),
    [
        ("sft", 2e-5, "the model may learn little"),
        ("sft", 4e-5, None),
        ("sft", 1e-3, None),
        ("sft", 2e-3, "may not converge"),
        ("dpo", 5e-6, None),
        ("dpo", 2e-4, "may not converge"),
        ("orpo", 5e-7, "the model may learn little"),
    ],
)
def test_an_unusual_learning_rate_is_a_finding(method: str, rate: float, words: str | None) -> None:
    found = recipe_findings(method, {**SIXTEEN_PER_UPDATE, "learning_rate": rate}, examples=10_000)
    assert (words in found[0]) if words else found == ()
