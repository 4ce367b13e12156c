"""A TrainingRun before its submission: what is checked, in which order, and that nothing is spent."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.training.states import (
    FLAVOR,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    step_names,
    written_status,
)

from modelops.domain.facts import Outage
from modelops.domain.plan import Plan
from modelops.domain.training.state import TrainingSettings
from modelops.ports import Flavor, ModelInfo, ProgramState

BAD_DATA = {
    "ok": False,
    "reason": "DatasetTooSmall",
    "message": "dataset 'docs' has 3 usable examples",
    "transient": False,
}

DATASETS = {"trainingDataset": "ls://docs-examples"}

DISABLED = TrainingSettings(installation="0a1b2c3d", hub_org="appsmithery", jobs_enabled=False)

STRICT = {"monthlyUSD": "100", "approvalAboveUSD": "0.1"}

SMALL_BUDGET: dict[str, Any] = {"budget": {"monthlyUSD": "0.10", "approvalAboveUSD": "10"}}

FAILS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "no dataset": (
        {"agent_model": agent_model(langsmith=None)},
        "NoDataset",
        ("spec.dataset.langsmith", "AgentModel docs", "set"),
    ),
    "flavor not offered": (
        {"flavors": (Flavor(name="cpu-basic", usd_micro_per_hour=10_000),)},
        "FlavorUnknown",
        (
            "spec.backend.huggingFace.flavor 'a10g-large' of TrainingRun docs-1",
            "choose one of auto, cpu-basic",
        ),
    ),
    "prices refused": (
        {"flavors": Outage(service="hf", message="answered 401: check the Secret", refused=True)},
        "PriceUnknown",
        ("'a10g-large' of TrainingRun docs-1", "401", "check the Secret", "new run"),
    ),
    "base model missing": (
        {"base": None},
        "BaseModelNotFound",
        ("spec.baseModel Qwen/Qwen2.5-Coder-7B of TrainingRun docs-1", "check the name", "terms"),
    ),
    "base model refused": (
        {"base": Outage(service="hf", message="answered 401", refused=True)},
        "BaseModelNotFound",
        ("spec.baseModel", "401", "check the name"),
    ),
    "bad data": (
        {"dataset": ProgramState(result=BAD_DATA)},
        "DatasetRefused",
        (
            "DatasetTooSmall: spec.langsmith.trainingDataset ls://docs-examples of AgentModel docs: ",
            "3 usable examples",
            "new run",
        ),
    ),
    "bad data of its own": (
        {
            "dataset": ProgramState(result=BAD_DATA),
            "of": run(dataset={"langsmith": "ls://other", "asOf": "2025-12-01T00:00:00Z"}),
        },
        "DatasetRefused",
        ("spec.dataset.langsmith ls://other of TrainingRun docs-1: dataset",),
    ),
    "bad data to be judged on": (
        {
            "dataset": ProgramState(result={**BAD_DATA, "about": "evaluation_dataset"}),
            "agent_model": agent_model(langsmith={**DATASETS, "evaluationDataset": "ls://docs-eval"}),
        },
        "DatasetRefused",
        ("spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: dataset",),
    ),
    "data in both": (
        {
            "dataset": ProgramState(result={**BAD_DATA, "reason": "TrainTestOverlap"}),
            "agent_model": agent_model(langsmith={**DATASETS, "evaluationDataset": "ls://docs-eval"}),
        },
        "DatasetRefused",
        (
            "spec.langsmith.trainingDataset ls://docs-examples of AgentModel docs and "
            "spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: ",
        ),
    ),
    "size unknown": (
        {"base": ModelInfo(repo="Qwen/Qwen2.5-Coder", revision="b"), "of": run(baseModel="acme/mystery")},
        "PriceUnknown",
        ("TrainingRun docs-1", "spec.baseModel acme/mystery", "choose", "new run"),
    ),
    "speed unknown": (
        {
            "flavors": (Flavor(name="abacus", usd_micro_per_hour=1),),
            "of": run(backend={"huggingFace": {"flavor": "abacus"}}),
        },
        "PriceUnknown",
        ("TrainingRun docs-1", "spec.backend.huggingFace.flavor abacus", "choose", "new run"),
    ),
    "above its own limit": (
        {"of": run(maxUSD="0.2")},
        "OverMaxUSD",
        ("spec.maxUSD of TrainingRun docs-1 is $0.2", "raise it"),
    ),
    "nobody may approve": (
        {"agent_model": agent_model(budget=STRICT, approvalPolicy={"forbidSelfApproval": True})},
        "SelfApproval",
        ("spec.budget.approvalAboveUSD $0.1", "AgentModel docs", "spec.requestedBy of a new run"),
    ),
    "above the month's budget": (
        {"agent_model": agent_model(**SMALL_BUDGET)},
        "OverBudget",
        ("$0.10", "spec.budget.monthlyUSD", "AgentModel docs", "raise the budget"),
    ),
}

WAITS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "no AgentModel": (
        {"agent_model": None, "record": None},
        "AgentModelNotFound",
        ("AgentModel docs", "spec.agentModelRef", "create it"),
    ),
    "no record": ({"record": None}, "AgentModelNotFound", ("AgentModel docs", "record", "conditions")),
    "Secret": (
        {"secret_problem": "Secret tokens does not exist: create it"},
        "SecretNotUsable",
        ("Secret tokens",),
    ),
    "jobs disabled": ({"settings": DISABLED}, "JobsDisabled", ("HUGGINGFACE_JOBS_ENABLED", "set it to true")),
    "no prompt": (
        {"agent_model": agent_model(prompt=None)},
        "NoPromptContract",
        ("AgentModel docs", "spec.prompt", "add"),
    ),
    "prices away": (
        {"flavors": Outage(service="hf", message="answered 503")},
        "PriceUnknown",
        ("a10g-large", "503", "trying again"),
    ),
    "no price listed": (
        {"flavors": (Flavor(name="a10g-large", usd_micro_per_hour=0),)},
        "PriceUnknown",
        ("'a10g-large' of TrainingRun docs-1", "nothing is spent", "new run"),
    ),
    "Hub away": (
        {"base": Outage(service="hf", message="answered 503")},
        "HubUnavailable",
        ("spec.baseModel", "503", "trying again"),
    ),
    "LangSmith away": (
        {"dataset": ProgramState(result={**BAD_DATA, "reason": "LangSmithUnavailable", "transient": True})},
        "LangSmithUnavailable",
        ("usable",),
    ),
    "Hub away from the program": (
        {"dataset": ProgramState(result={**BAD_DATA, "reason": "HubUnavailable", "transient": True})},
        "HubUnavailable",
        ("usable",),
    ),
    "operator's disk full": (
        {"dataset": ProgramState(result={**BAD_DATA, "reason": "OperatorDiskFull", "transient": True})},
        "OperatorDiskFull",
        ("usable",),
    ),
    "no Pod for the program": (
        {"dataset": ProgramState(result={**BAD_DATA, "reason": "ProgramNotRunning", "transient": True})},
        "ProgramNotRunning",
        ("usable",),
    ),
}


def spends(plan: Plan) -> bool:
    return any(name in ("record", "submit") for name in step_names(plan))


@pytest.mark.parametrize(("changes", "reason", "words"), FAILS.values(), ids=FAILS.keys())
def test_bad_input_ends_the_run_with_object_field_and_remedy(
    changes: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    plan = plan_for(**{**KNOWN_FACTS, **changes})
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", reason)
    assert not [word for word in words if word not in ready_message(plan)], ready_message(plan)
    assert not spends(plan)


@pytest.mark.parametrize(("changes", "reason", "words"), WAITS.values(), ids=WAITS.keys())
def test_a_condition_that_may_change_is_waited_for(
    changes: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    plan = plan_for(**{**KNOWN_FACTS, **changes})
    assert written_status(plan).reason == reason
    assert written_status(plan).finished_at is None
    assert not [word for word in words if word not in ready_message(plan)], ready_message(plan)
    assert not spends(plan)


@pytest.mark.parametrize(("changes", "reason", "words"), WAITS.values(), ids=WAITS.keys())
def test_a_wait_ends_as_soon_as_its_remedy_is_done(
    changes: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    waiting = run(written_status(plan_for(**{**KNOWN_FACTS, **changes})).wire())
    assert written_status(plan_for(waiting, **KNOWN_FACTS)).reason == "Submitting"


@pytest.mark.parametrize(("changes", "reason", "words"), WAITS.values(), ids=WAITS.keys())
def test_the_status_of_a_wait_is_written_once(
    changes: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    first = plan_for(**{**KNOWN_FACTS, **changes})
    waiting = run(written_status(first).wire())
    again = plan_for(waiting, **{**KNOWN_FACTS, **changes})
    assert "status" not in step_names(again)


def test_a_program_whose_job_runs_at_last_no_longer_says_that_it_cannot_run() -> None:
    changes, _, _ = WAITS["no Pod for the program"]
    waiting = run(written_status(plan_for(**{**KNOWN_FACTS, **changes})).wire())
    running = {**KNOWN_FACTS, "dataset": ProgramState(running=True)}
    plan = plan_for(waiting, **running)
    assert written_status(plan).reason == "PreparingDataset"
    assert step_names(plan_for(run(written_status(plan).wire()), **running)) == []


def test_the_finalizer_comes_first() -> None:
    plan = plan_for(run(meta={"finalizers": ["other/one"]}))
    assert step_names(plan) == ["finalizers"]
    assert plan.steps[0].finalizers == ("other/one", "modelops.code-chef.dev/cleanup")  # type: ignore[union-attr]


def test_no_service_is_asked_while_the_dataset_is_being_prepared() -> None:
    plan = plan_for(dataset=ProgramState(running=True))
    assert not plan.needs
    assert plan.empty


def test_price_and_base_model_are_fetched_before_the_dataset_is_read() -> None:
    assert plan_for(dataset=None).needs == "flavors"
    assert plan_for(dataset=None, flavors=(FLAVOR,)).needs == "base"
    assert step_names(plan_for(**{**KNOWN_FACTS, "dataset": None})) == ["status", "start_dataset"]


def test_a_program_that_died_is_restarted_without_a_new_status() -> None:
    first = plan_for(**{**KNOWN_FACTS, "dataset": None})
    again = plan_for(run(written_status(first).wire()), **{**KNOWN_FACTS, "dataset": ProgramState()})
    assert step_names(again) == ["start_dataset"]


def test_dataset_price_and_base_revision_are_fixed_in_one_write() -> None:
    status = written_status(plan_for(**KNOWN_FACTS))
    assert (status.dataset.train, status.base_revision, status.estimate.flavor) == (
        135,
        "b" * 40,
        "a10g-large",
    )
