"""What a TrainingRun needs before it can be prepared. These steps spend nothing."""

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
    """Adds the finalizer before anything is created that a deletion must clean up."""
    meta = state.run.metadata
    if FINALIZER in meta.finalizers or meta.deletion_timestamp is not None:
        return None
    return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)


def agent_model_is_missing(state: State) -> TrainingPlan | None:
    """Once an intent is in the status, the record is enough: a billed job is followed to its end without AgentModel."""
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
    """The run waits for its Secret. An attempt that must end does not wait if a token to stop its job is available."""
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
    """Hugging Face Jobs are disabled; a run in this cluster does not need them."""
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
    """The base model is fixed when the dataset is started; until then the installation's default may be set."""
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


def fail_if_no_dataset(state: State) -> TrainingPlan | None:
    if training_dataset(state):
        return None
    return fail_run(
        state,
        TrainingReason.NoDataset,
        "no dataset: set spec.dataset.langsmith in a new run, or spec.langsmith.trainingDataset of "
        f"AgentModel {state.run.spec.agent_model_ref.name} before it",
        facts={"DatasetReady": False},
    )
