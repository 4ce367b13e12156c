"""A run's training values: their precedence and their names."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.training_config import TrainingConfig, TrainingRecipe
from modelops.domain.training.effective_spec import recipe_digest
from modelops.domain.training.preparation.recipe import (
    merged_training_values,
    recipe_of_values,
    values_of_recipe,
)
from modelops.runtime.training_defaults import Values

DEFAULTS = {
    "default_training_config": {"learning_rate": 2e-5, "num_epochs": 3, "lora_rank": 32, "batch_size": 4},
    "methods": {"sft": {"learning_rate": 2e-4, "num_epochs": 4, "batch_size": 8}},
}


def test_the_order_is_run_agent_method_defaults() -> None:
    found = merged_training_values(
        method="sft",
        run=TrainingConfig(num_epochs=1),
        agent=TrainingConfig(num_epochs=2, batch_size=2, learning_rate="1e-4"),
        defaults=DEFAULTS,
    )
    assert found == {"learning_rate": 1e-4, "num_epochs": 1, "lora_rank": 32, "batch_size": 2}


def test_another_method_has_only_the_defaults() -> None:
    assert (
        merged_training_values(method="dpo", run=None, agent=None, defaults=DEFAULTS)["learning_rate"] == 2e-5
    )


def test_every_name_is_that_of_the_file_and_fractions_are_numbers() -> None:
    every = TrainingConfig(
        learning_rate="2e-4",
        num_epochs=1,
        batch_size=1,
        gradient_accumulation_steps=1,
        warmup_ratio="0.1",
        lora_rank=8,
        lora_alpha=16,
        target_modules=("q_proj",),
        max_seq_length=512,
        beta="0.1",
    )
    found = merged_training_values(method="sft", run=every, agent=None, defaults={})
    assert set(found) == set(TrainingConfig.model_fields)
    assert (found["learning_rate"], found["warmup_ratio"]) == (2e-4, 0.1)


def test_the_spelling_of_a_fraction_makes_no_other_recipe() -> None:
    spelt = [
        merged_training_values(method="sft", run=TrainingConfig(learning_rate=t), agent=None, defaults={})
        for t in ("2e-4", "0.0002")
    ]
    assert recipe_digest("sft", spelt[0]) == recipe_digest("sft", spelt[1])
    assert recipe_digest("sft", {"num_epochs": 1}) != recipe_digest("sft", {"num_epochs": 2})


RATES = st.floats(min_value=0, max_value=1, exclude_min=True)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": RATES,
        "num_epochs": st.integers(1, 50),
        "batch_size": st.integers(1, 512),
        "gradient_accumulation_steps": st.integers(1, 1024),
        "warmup_ratio": st.floats(min_value=0, max_value=1),
        "lora_rank": st.integers(1, 512),
        "lora_alpha": st.integers(1, 1024),
        "target_modules": st.lists(st.text(min_size=1, max_size=64), max_size=32),
        "max_seq_length": st.integers(16, 262144),
        "beta": RATES,
    },
)


@given(values=VALUES)
def test_status_recipe_gives_back_the_same_values_and_digest(values: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(recipe_of_values(values).wire()))
    again = values_of_recipe(TrainingRecipe.model_validate(stored))
    assert json.dumps(again) == json.dumps(values, sort_keys=True)
    assert recipe_digest("dpo", again) == recipe_digest("dpo", values)


def test_status_recipe_has_the_names_of_the_config_and_of_the_defaults() -> None:
    assert set(TrainingRecipe.model_fields) == set(TrainingConfig.model_fields) == set(Values.model_fields)
