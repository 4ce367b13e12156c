"""What must be there before a TrainingRun can be prepared: nothing here spends anything."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.plan import Plan, WriteFinalizers
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.effective_spec import base_model_name, training_dataset
from modelops.domain.training.pricing.cluster_hardware import cluster_hardware
from modelops.domain.training.state import State
from modelops.domain.training.status import RETRY_SECONDS, fail_run, wait_in_phase


def ensure_finalizer(state: State) -> TrainingPlan | None:
    """The finalizer is there before anything that would have to be undone."""
    meta = state.run.metadata
    if FINALIZER in meta.finalizers or meta.deletion_timestamp is not None:
        return None
    return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)


def agent_model_is_missing(state: State) -> TrainingPlan | None:
    """Once a submission is intended the record is enough: what bills is followed to its end without it."""
    run, name = state.run, state.run.spec.agent_model_ref.name
    if state.agent_model is None and (run.status.job is None or state.record is None):
        message = (
            f"AgentModel {name} (spec.agentModelRef) does not exist in namespace {run.metadata.namespace}: "
            "create it"
        )
    elif state.record is None:
        message = f"AgentModel {name} (spec.agentModelRef) has no record yet: see its conditions"
    else:
        return None
    return wait_in_phase(
        state, run.status.phase, TrainingReason.AgentModelNotFound, message, after=RETRY_SECONDS
    )


def secret_is_not_usable(state: State) -> TrainingPlan | None:
    """What is to end ends all the same, where there is a token for that; nothing else goes on."""
    ending = state.attempt_must_end and state.run.status.job is not None
    if not state.secret_problem or (ending and state.can_clean_up):
        return None
    return wait_in_phase(
        state,
        state.run.status.phase,
        TrainingReason.SecretNotUsable,
        state.secret_problem,
        after=RETRY_SECONDS,
    )


def jobs_are_disabled(state: State) -> TrainingPlan | None:
    """Those of Hugging Face; what runs in this cluster needs none."""
    if state.settings.jobs_enabled or cluster_hardware(state.run) is not None:
        return None
    return wait_in_phase(
        state,
        TrainingPhase.PENDING,
        TrainingReason.JobsDisabled,
        "HUGGINGFACE_JOBS_ENABLED is false in the operator's environment: set it to true to start this run",
        after=None,
    )


def prompt_contract_is_missing(state: State) -> TrainingPlan | None:
    agent = state.require_agent_model()
    if agent.spec.prompt is not None:
        return None
    return wait_in_phase(
        state,
        TrainingPhase.PENDING,
        TrainingReason.NoPromptContract,
        f"AgentModel {agent.metadata.name} has no spec.prompt: "
        "add the prompt contract that the agent really uses",
        after=None,
    )


def base_model_is_not_named(state: State) -> TrainingPlan | None:
    """Fixed when the dataset is begun; until then the installation's default may still come or change."""
    if base_model_name(state):
        return None
    return wait_in_phase(
        state,
        TrainingPhase.PENDING,
        TrainingReason.NoBaseModel,
        f"no base model: set MODELOPS_DEFAULT_BASE_MODEL in the operator's environment, or create a run with "
        f"spec.baseModel in place of TrainingRun {state.run.metadata.name}",
        after=None,
    )


def dataset_is_not_named(state: State) -> TrainingPlan | None:
    if training_dataset(state):
        return None
    return fail_run(
        state,
        TrainingReason.NoDataset,
        "no dataset: set spec.dataset.langsmith in a new run, or spec.langsmith.trainingDataset of "
        f"AgentModel {state.run.spec.agent_model_ref.name} before it",
        facts={"DatasetReady": False},
    )
