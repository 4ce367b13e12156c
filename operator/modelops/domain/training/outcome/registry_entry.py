"""A trained model as an entry of the registry."""

from __future__ import annotations

from typing import Any

from modelops.domain.digest import digest_of
from modelops.domain.money import dollars
from modelops.domain.record import RegistryEntry
from modelops.domain.training.effective_spec import (
    output_repository,
    recipe_lineage,
    training_dataset,
    training_values,
)
from modelops.domain.training.state import State


def registry_entry(
    state: State, *, version: str, revision: str, trained_as: dict[str, Any], cost: int
) -> RegistryEntry:
    """The version's entry with deployment status `trained`.

    The recipe is the one that the job says it used. `cost`: micro-USD of all attempts.
    """
    run, dataset, record = state.run, state.require_dataset(), state.require_record()
    repo = output_repository(state)
    used = trained_as.get("config")
    values = used if isinstance(used, dict) else training_values(state)
    lineage = {
        "run": state.uid,
        "revision": revision,
        "base_revision": run.status.base_revision,
        "dataset": dataset.model_dump(mode="json", include={"repo", "revision", "digest", "as_of"}),
        "prompt": record.allocated.get(version, {}).get("prompt_digest", ""),
        "recipe": recipe_lineage(run.spec.method.value, values),
        "job": run.status.job.id if run.status.job else "",
        "cost_usd": dollars(cost),
    }
    langsmith = training_dataset(state)
    return RegistryEntry(
        version=version,
        model=repo,
        base_model=run.base_model,
        training_method=run.spec.method.value,
        training_dataset=langsmith if langsmith.startswith("ls://") else f"ls://{langsmith}",
        trained_at=state.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        hub_repo=repo,
        deployment_status="trained",
        lineage={**lineage, "digest": digest_of("lineage/v1", lineage)},
    )
