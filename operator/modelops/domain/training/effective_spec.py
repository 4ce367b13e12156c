"""The effective values of a training, from the run, its AgentModel and the installation's settings."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.trainingrun import PreparedDataset
from modelops.domain.digest import digest_of
from modelops.domain.prompt import digest as prompt_digest
from modelops.domain.training.account import account_of
from modelops.domain.training.naming import model_repository
from modelops.domain.training.preparation.recipe import merged_training_values, values_of_recipe
from modelops.domain.training.state import State
from modelops.domain.training.submission.checkpoints import STEPS_KEY
from modelops.domain.versions import Inputs


def training_values(state: State) -> dict[str, Any]:
    """The run's training values under their snake_case names: once submitted, those of the first submission."""
    if state.run.status.recipe is not None:
        return values_of_recipe(state.run.status.recipe)
    agent = state.agent_model
    return merged_training_values(
        method=state.run.spec.method.value,
        run=state.run.spec.config,
        agent=agent.spec.training_defaults if agent else None,
        defaults=state.settings.defaults,
    )


def longest_example_tokens(state: State, dataset: PreparedDataset) -> int:
    """Tokens of the longest prepared example, for which a step needs memory; if unknown, the most that is allowed."""
    return dataset.longest_tokens or int(training_values(state).get("max_seq_length", 8192))


def recipe_digest(method: str, values: dict[str, Any]) -> str:
    """Digest of the values; fractions as text, so that another spelling of a float makes no other recipe."""
    recipe_values = {key: value for key, value in values.items() if key != STEPS_KEY}
    text = {key: str(value) if isinstance(value, float) else value for key, value in recipe_values.items()}
    return digest_of("recipe/v1", {"method": method, **text})


def recipe_lineage(method: str, values: dict[str, Any]) -> dict[str, str | list[str]]:
    """The digest and the values as the registry shows them: texts, and lists of texts."""
    shown = {
        key: [str(one) for one in value] if isinstance(value, list | tuple) else str(value)
        for key, value in values.items()
    }
    return {"digest": recipe_digest(method, values), **shown}


def base_model_name(state: State) -> str:
    """The base model: the run's, else the installation's default; empty if neither names one."""
    return state.run.base_model or state.settings.default_base_model


def describe_base_model(state: State) -> str:
    """The base model with the field or setting that names it, for messages."""
    name = base_model_name(state)
    if state.run.spec.base_model:
        return f"spec.baseModel {name}"
    return f"base model {name} (MODELOPS_DEFAULT_BASE_MODEL)"


def training_dataset(state: State) -> str:
    """The LangSmith dataset: the run's, else the agent's, else the one that was read; empty if there is none."""
    of_run = state.run.spec.dataset.langsmith
    settings = state.agent_model.spec.langsmith if state.agent_model else None
    of_status = state.run.status.dataset.langsmith_id if state.run.status.dataset else ""
    return of_run or (settings.training_dataset if settings else None) or of_status


def agent_name(state: State) -> str:
    """The agent's name in agents.yaml; from the record if the AgentModel was deleted."""
    if state.agent_model is not None:
        return state.agent_model.spec.agent
    return state.require_record().agent


def recorded_placement(state: State) -> tuple[str, str]:
    """Repository and account of this attempt or of the newest one before it; empty before the first reservation.

    Once they are on record, a change of the installation's settings does not move a run: its job, its claims and its
    checkpoints are where they are.
    """
    if state.record is None:
        return "", ""
    earlier = [f"{state.uid}/{past.attempt}" for past in reversed(state.run.status.attempts)]
    found = (state.record.placement(key) for key in (state.reservation_key, *earlier))
    return next(((repo, account) for repo, account in found if repo and account), ("", ""))


def hub_organisation(state: State) -> str:
    """The installation's organisation; of a submitted run whose record was lost, the one that its dataset is in."""
    status = state.run.status
    if status.dataset is not None and (status.job is not None or status.attempts):
        return status.dataset.repo.partition("/")[0] or state.settings.hub_org
    return state.settings.hub_org


def output_repository(state: State) -> str:
    """The model repository on the Hub."""
    repo, _ = recorded_placement(state)
    return repo or model_repository(
        org=hub_organisation(state),
        agent=agent_name(state),
        created=state.require_created_at(),
        uid=state.uid,
    )


def billed_namespace(state: State) -> str:
    """The account that the job runs in."""
    _, account = recorded_placement(state)
    return account or account_of(state.run, hub_org=hub_organisation(state))


def current_prompt_digest(state: State) -> str:
    """Digest of the AgentModel's current prompt contract; after the first attempt, of the one that attempt used."""
    dataset = state.run.status.dataset
    if state.run.status.attempts and dataset is not None and dataset.prompt_digest:
        return dataset.prompt_digest
    return prompt_digest(state.require_prompt())


def version_inputs(state: State) -> Inputs:
    """The inputs of the version. Its prompt contract is the one with which the data were rendered.

    A status that an older operator wrote does not name that contract: then the current one is taken.
    """
    run, dataset = state.run, state.require_dataset()
    return Inputs(
        base_model=base_model_name(state),
        prompt_digest=dataset.prompt_digest or current_prompt_digest(state),
        dataset_digest=dataset.digest,
        recipe_digest=recipe_digest(run.spec.method.value, training_values(state)),
    )
