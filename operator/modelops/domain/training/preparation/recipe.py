"""A run's training values. Order of precedence: run, AgentModel, defaults of the method, general defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_snake

from modelops.api.v1alpha1.training_config import TrainingConfig, TrainingRecipe

_FRACTIONS = frozenset({"beta", "learning_rate", "warmup_ratio"})


def snake_case_values(config: TrainingConfig | None) -> dict[str, Any]:
    """The values that are set, under the snake_case names of training_defaults.yaml, fractions as numbers."""
    if config is None:
        return {}
    values = {to_snake(key): value for key, value in config.wire().items()}
    return {key: float(value) if key in _FRACTIONS else value for key, value in values.items()}


def merged_training_values(
    *, method: str, run: TrainingConfig | None, agent: TrainingConfig | None, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Every training value under its snake_case name."""
    merged: dict[str, Any] = dict(defaults.get("default_training_config", {}))
    merged.update(defaults.get("methods", {}).get(method, {}))
    merged.update(snake_case_values(agent))
    merged.update(snake_case_values(run))
    return merged


def recipe_of_values(values: Mapping[str, Any]) -> TrainingRecipe:
    """The training values as status.recipe keeps them: a float as the shortest text that reads as the same float."""
    return TrainingRecipe.model_validate(
        {key: str(float(value)) if key in _FRACTIONS else value for key, value in values.items()}
    )


def values_of_recipe(fixed: TrainingRecipe) -> dict[str, Any]:
    """The training values of status.recipe under their snake_case names, sorted, fractions as numbers."""
    values = fixed.model_dump(mode="json", exclude_none=True)
    return {key: float(value) if key in _FRACTIONS else value for key, value in sorted(values.items())}
