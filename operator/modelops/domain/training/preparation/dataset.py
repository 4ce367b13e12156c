"""The dataset of a TrainingRun: a separate program prepares it, and resumes by itself after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.api.v1alpha1.trainingrun import PreparedDataset, TrainingPhase
from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.refusals import told
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
from modelops.domain.training.preparation.dataset_input import dataset_input, given
from modelops.domain.training.preparation.end_token import sibling_name
from modelops.domain.training.preparation.recipe_findings import advice, base_advice
from modelops.domain.training.pricing.offer import fixed
from modelops.domain.training.state import State
from modelops.domain.training.status import RETRY_SECONDS, as_if, failed, wait
from modelops.ports import ProgramState

LOOK_SECONDS = 0.25

START_SECONDS = 1.0


def is_prepared(state: State) -> bool:
    dataset = state.run.status.dataset
    return dataset is not None and bool(dataset.revision)


def await_dataset_program(state: State) -> TrainingPlan | None:
    """Asked before the services are: while the program runs, nobody else needs to be."""
    if is_prepared(state):
        return None
    if state.dataset is UNSEEN:
        return Plan(needs=TrainingFact.DATASET)
    running = isinstance(state.dataset, ProgramState) and state.dataset.running
    return Plan(requeue_after=LOOK_SECONDS) if running else None


def ensure_dataset_prepared(state: State) -> TrainingPlan | None:
    """Starts the program, starts it again where it died, and takes its result if it follows the contract of now."""
    if is_prepared(state):
        return None
    result = state.dataset.result if isinstance(state.dataset, ProgramState) else None
    if result is None:
        return started(state, f"reading {training_dataset(state)}")
    if not result.get("ok"):
        return unusable(state, result)
    if rendered_by_another(state, result):
        return started_anew(state)
    return prepared(state, result)


def rendered_by_another(state: State, result: Mapping[str, Any]) -> bool:
    """Whether the prompt contract was edited since the program was given it; an older program does not say."""
    used = result.get("prompt_digest")
    return used is not None and used != current_prompt_digest(state)


def started_anew(state: State) -> TrainingPlan:
    name = state.run.spec.agent_model_ref.name
    message = (
        f"spec.prompt of AgentModel {name} was edited meanwhile: reading {training_dataset(state)} again"
    )
    return started(state, message, StopDataset())


def started(state: State, message: str, *before: StopDataset) -> TrainingPlan:
    plan = wait(
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


def prepared(state: State, result: Mapping[str, Any]) -> TrainingPlan:
    """The dataset is fixed by the same write as what follows: the intent, the offer, or the end."""
    eos = state.require_prompt().eos or ""
    dataset = with_advice(state, dataset_of(result)).model_copy(update={"eos": eos})
    return fixed(as_if(state, state.run.status.model_copy(update={"dataset": dataset})))


def with_advice(state: State, dataset: PreparedDataset) -> PreparedDataset:
    """What the recipe makes of so many examples is a finding like those about the data."""
    findings = (
        *advice(state.run.spec.method.value, training_values(state), examples=dataset.train),
        *base_advice(base_model_name(state), sibling=sibling_name(state)),
    )
    return dataset.model_copy(update={"findings": (*dataset.findings, *findings)[:32]})


def dataset_of(result: Mapping[str, Any]) -> PreparedDataset:
    """The program's `result.json` as the status shows it."""
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


def unusable(state: State, result: Mapping[str, Any]) -> TrainingPlan:
    """A service was away: again later. The data are not fit: the run ends, unpaid."""
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    facts = {"DatasetReady": False}
    if not result.get("transient"):
        return failed(state, TrainingReason.DatasetRefused, told(result, given(state, reason)), facts=facts)
    why = (
        TrainingReason.LangSmithUnavailable
        if reason.startswith("LangSmith")
        else TrainingReason.HubUnavailable
    )
    plan = wait(state, TrainingPhase.PREPARING, why, message, after=RETRY_SECONDS, facts=facts)
    retry = RetryDataset(after=RETRY_SECONDS)
    return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)
