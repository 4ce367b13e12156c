"""The input of the dataset program, and the names of its parts for messages."""

from __future__ import annotations

from typing import Any

from modelops.domain.refusals import RefusalContext
from modelops.domain.training.effective_spec import (
    base_model_name,
    training_dataset,
    training_values,
)
from modelops.domain.training.naming import dataset_repository
from modelops.domain.training.state import State


def refusal_context(state: State, reason: str) -> RefusalContext:
    """The fields and objects that the program's input came from, for its refusals."""
    run, agent = state.run, state.run.spec.agent_model_ref.name
    settings, selection = state.agent_model.spec.langsmith if state.agent_model else None, run.spec.dataset
    dataset = f"spec.langsmith.trainingDataset {training_dataset(state)} of AgentModel {agent}"
    if selection.langsmith:
        dataset = f"spec.dataset.langsmith {selection.langsmith} of TrainingRun {run.metadata.name}"
    if selection.as_of and reason == "DatasetVersionNotFound":
        dataset = f"spec.dataset.asOf of TrainingRun {run.metadata.name}"
    held_out = (settings.evaluation_dataset if settings else None) or ""
    return RefusalContext(
        agent_model=agent,
        dataset=dataset,
        evaluation_dataset=f"spec.langsmith.evaluationDataset {held_out} of AgentModel {agent}",
        new_object="a new run",
    )


def dataset_input(state: State) -> dict[str, Any]:
    """`input.json` of the dataset program."""
    run, agent = state.run, state.require_agent_model()
    settings = agent.spec.langsmith
    selection = run.spec.dataset
    as_of = selection.as_of
    repo = dataset_repository(
        org=state.settings.hub_org,
        agent=agent.spec.agent,
        created=state.require_created_at(),
        uid=run.metadata.uid,
    )
    return {
        "v": 1,
        "run": run.metadata.uid,
        "agent": agent.spec.agent,
        "langsmith": {
            "dataset": training_dataset(state),
            "field": dataset_field(state),
            "as_of": as_of.isoformat() if as_of else None,
            "splits": list(selection.splits),
        },
        "evaluation_dataset": settings.evaluation_dataset if settings else None,
        "prompt": state.require_prompt().wire(),
        "method": run.spec.method.value,
        "hub": {"repo": repo},
        "min_examples": state.settings.min_examples,
        "split": {"test_fraction": 0.1, "seed": run.metadata.uid},
        "max_seq_length": training_values(state).get("max_seq_length"),
        "base_model": {"repo": base_model_name(state)},
        "include_failures": selection.include_failures,
        "feedback_key": selection.feedback_key,
        "group_key": selection.group_key,
        "source": selection.source,
        "allowed_licences": list(agent.spec.allowed_licences),
        "allow_sensitive": [kind.value for kind in selection.allow_sensitive],
        "leave_out_sensitive": [kind.value for kind in selection.leave_out_sensitive],
        "project": settings.project if settings else None,
    }


def dataset_field(state: State) -> str:
    """The field that names the dataset, for messages."""
    if state.run.spec.dataset.langsmith:
        return "spec.dataset.langsmith"
    return "the AgentModel's spec.langsmith.trainingDataset"
