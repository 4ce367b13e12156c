"""The dataset of a TrainingRun: a separate program prepares it, and resumes by itself after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.api.v1alpha1.trainingrun import PreparedDataset, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.refusals import NEXT_TOKEN, refusal_message
from modelops.domain.training.actions import (
    RetryDataset,
    StartDataset,
    StopDataset,
    TrainingFact,
    TrainingPlan,
)
from modelops.domain.training.effective_spec import (
    base_model_name,
    current_prompt_digest,
    training_dataset,
    training_values,
)
from modelops.domain.training.preparation.dataset_input import dataset_input, refusal_context
from modelops.domain.training.preparation.end_token import sibling_name
from modelops.domain.training.preparation.recipe_findings import base_model_findings, recipe_findings
from modelops.domain.training.pricing.offer import price_and_submit
from modelops.domain.training.state import State
from modelops.domain.training.status import RETRY_SECONDS, fail_run, wait_in_phase, with_status
from modelops.ports import ProgramState

PROGRAM_POLL_SECONDS = 0.25
START_SECONDS = 1.0

LANGSMITH_REASONS = frozenset(
    {"LangSmithError", "LangSmithRefused", "LangSmithUnauthorized", "LangSmithUnavailable"}
)
"""Reasons of the dataset program that mean LangSmith."""
OWN_REASONS = {
    "OperatorDiskFull": TrainingReason.OperatorDiskFull,
    "ProgramNotRunning": TrainingReason.ProgramNotRunning,
    "HubStorageFull": TrainingReason.HubRefused,
}
"""Transient reasons of the dataset program that mean no outage of a service, and what the run says for each."""


def dataset_is_prepared(state: State) -> bool:
    dataset = state.run.status.dataset
    return dataset is not None and bool(dataset.revision)


def await_dataset_program(state: State) -> TrainingPlan | None:
    """Waits while the program runs; no service is asked meanwhile."""
    if dataset_is_prepared(state):
        return None
    if state.dataset is UNSEEN:
        return Plan(needs=TrainingFact.DATASET)
    if not isinstance(state.dataset, ProgramState) or not state.dataset.running:
        return None
    if state.run.status.reason != TrainingReason.ProgramNotRunning.value:
        return Plan(requeue_after=PROGRAM_POLL_SECONDS)
    # It can run again: the status must not go on to say that it cannot.
    return wait_in_phase(
        state,
        TrainingPhase.PREPARING,
        TrainingReason.PreparingDataset,
        f"reading {training_dataset(state)}",
        after=PROGRAM_POLL_SECONDS,
        facts={"DatasetReady": False},
    )


def ensure_dataset_prepared(state: State) -> TrainingPlan | None:
    """Starts the program, restarts it if it stopped without a result, and accepts a result of the current contract."""
    if dataset_is_prepared(state):
        return None
    result = state.dataset.result if isinstance(state.dataset, ProgramState) else None
    if result is None:
        return start_program(state, f"reading {training_dataset(state)}")
    if not result.get("ok"):
        return retry_or_refuse_dataset(state, result)
    if prompt_contract_was_edited(state, result):
        return restart_program(state)
    return accept_dataset(state, result)


def prompt_contract_was_edited(state: State, result: Mapping[str, Any]) -> bool:
    """Whether spec.prompt was edited after the program started; unknown, and False, for an older program's result."""
    rendered_with = result.get("prompt_digest")
    return rendered_with is not None and rendered_with != current_prompt_digest(state)


def restart_program(state: State) -> TrainingPlan:
    name = state.run.spec.agent_model_ref.name
    message = f"spec.prompt of AgentModel {name} was edited: reading {training_dataset(state)} again"
    return start_program(state, message, StopDataset())


def start_program(state: State, message: str, *before: StopDataset) -> TrainingPlan:
    plan = wait_in_phase(
        state,
        TrainingPhase.PREPARING,
        TrainingReason.PreparingDataset,
        message,
        after=START_SECONDS,
        facts={"DatasetReady": False},
        base_model=base_model_name(state),
    )
    start = StartDataset(input=dataset_input(state))
    return Plan(steps=(*plan.steps, *before, start), requeue_after=START_SECONDS)


def accept_dataset(state: State, result: Mapping[str, Any]) -> TrainingPlan:
    """Prices the run with its new dataset. One write fixes the dataset together with the intent, offer or end."""
    eos = state.require_prompt().eos or ""
    dataset = with_recipe_findings(state, dataset_from_result(result)).model_copy(update={"eos": eos})
    return price_and_submit(with_status(state, state.run.status.model_copy(update={"dataset": dataset})))


def with_recipe_findings(state: State, dataset: PreparedDataset) -> PreparedDataset:
    """The dataset with the findings about the recipe and the base model added to those about the data."""
    findings = (
        *recipe_findings(state.run.spec.method.value, training_values(state), examples=dataset.train),
        *base_model_findings(base_model_name(state), sibling=sibling_name(state)),
    )
    return dataset.model_copy(update={"findings": (*dataset.findings, *findings)[:32]})


def dataset_from_result(result: Mapping[str, Any]) -> PreparedDataset:
    """The program's `result.json` as status.dataset."""
    return PreparedDataset(
        langsmith_id=str(result.get("dataset_id", "")),
        as_of=str(result.get("as_of", "")),
        rows=int(result["rows"]),
        train=int(result["train"]),
        test=int(result["test"]),
        tokens=int(result.get("tokens", 0)),
        longest_tokens=int(result.get("max_tokens", result.get("p99_tokens", 0))),
        digest=str(result["digest"]),
        prompt_digest=str(result.get("prompt_digest", "")),
        repo=str(result["repo"]),
        revision=str(result["revision"]),
        findings=tuple(str(finding)[:512] for finding in result.get("findings", ()))[:32],
    )


def retry_or_refuse_dataset(state: State, result: Mapping[str, Any]) -> TrainingPlan:
    """If a service was unavailable, the program is started again later; if the data are unfit, the run fails."""
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    facts = {"DatasetReady": False}
    waiting_for = TrainingReason.HubUnavailable
    if result.get("token_refused"):
        waiting_for = TrainingReason.TokenRefused
        message = refusal_message(result, refusal_context(state, reason), remedy=NEXT_TOKEN)
    elif not result.get("transient"):
        return check_replaced_keys(state) or fail_run(
            state,
            TrainingReason.DatasetRefused,
            refusal_message(result, refusal_context(state, reason)),
            facts=facts,
        )
    elif reason in LANGSMITH_REASONS:
        waiting_for = TrainingReason.LangSmithUnavailable
    elif reason in OWN_REASONS:
        waiting_for = OWN_REASONS[reason]
    plan = wait_in_phase(
        state, TrainingPhase.PREPARING, waiting_for, message, after=RETRY_SECONDS, facts=facts
    )
    retry = RetryDataset(after=RETRY_SECONDS)
    return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)


def check_replaced_keys(state: State) -> TrainingPlan | None:
    """A refusal is about the keys that the program was started with: if a person has replaced one since, it runs again.

    Not for ever: after each run the keys must have been replaced once more.
    """
    if state.keys_replaced is UNSEEN:
        return Plan(needs=TrainingFact.KEYS_REPLACED)
    if isinstance(state.keys_replaced, Outage):
        return Plan(requeue_after=RETRY_SECONDS)
    if not state.keys_replaced:
        return None
    message = f"a key was replaced in its Secret: reading {training_dataset(state)} again"
    return start_program(state, message, StopDataset())
