"""A TrainingRun before its submission: what is checked, what it says, and that nothing is spent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.training.objects import NOW, ORG, empty_record, prepared_status
from tests.unit.training.observation import (
    DATASET_RESULT,
    FLAVOR,
    KEY,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    state,
    step_names,
    submitted_job,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.datasets.request import Request
from modelops.domain.facts import Outage
from modelops.domain.plan import Plan
from modelops.domain.prompt import digest as prompt_digest
from modelops.domain.record import Reservation
from modelops.domain.training.actions import StartDataset
from modelops.domain.training.preparation.dataset_input import dataset_input
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
def test_the_status_of_a_wait_is_written_once(
    changes: dict[str, Any], reason: str, words: tuple[str, ...]
) -> None:
    first = plan_for(**{**KNOWN_FACTS, **changes})
    waiting = run(written_status(first).wire())
    again = plan_for(waiting, **{**KNOWN_FACTS, **changes})
    assert "status" not in step_names(again)


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


AUTO = {"backend": {"huggingFace": {}}}
OFFERED = (
    FLAVOR,
    Flavor(name="l40sx1", usd_micro_per_hour=1_800_000, devices=1),
    Flavor(name="t4-small", usd_micro_per_hour=400_000, devices=1),
)


def test_auto_submits_to_the_cheapest_fitting_flavor_and_says_why() -> None:
    plan = plan_for(run(**AUTO), **{**KNOWN_FACTS, "flavors": OFFERED})
    estimate = written_status(plan).estimate
    assert estimate.flavor == "l40sx1"
    assert [line.split(":")[0] for line in estimate.considered] == ["a10g-large", "t4-small is too small"]
    assert submitted_job(plan).flavor == "l40sx1"


def test_without_a_fitting_flavor_the_run_fails_with_every_reason() -> None:
    plan = plan_for(run(**AUTO), **{**KNOWN_FACTS, "flavors": OFFERED[2:]})
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "NoFlavorFits")
    assert "t4-small is too small" in ready_message(plan)
    assert step_names(plan) == ["status"]


def test_a_named_flavor_that_is_too_small_ends_the_run_with_the_arithmetic() -> None:
    small = {"backend": {"huggingFace": {"flavor": "t4-small"}}}
    plan = plan_for(run(**small), **{**KNOWN_FACTS, "flavors": OFFERED})
    assert written_status(plan).reason == "DoesNotFit"
    assert "30.4 weights" in ready_message(plan)  # A T4 has no bf16.


def test_a_runs_own_reservation_does_not_count_against_it() -> None:
    before = written_record(plan_for(**KNOWN_FACTS))
    high = before.reservations[KEY].usd_micro
    rest = {"other/1": Reservation(usd_micro=100_000_000 - high - 1, month="2025-12", name="o")}
    tight = before.with_(reservations={**before.reservations, **rest})
    assert step_names(plan_for(**KNOWN_FACTS, record=tight)) == ["status", "submit"]


def test_the_base_models_own_shape_is_used_if_the_hub_has_it() -> None:
    config = {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "intermediate_size": 18944,
        "vocab_size": 10**7,
        "num_attention_heads": 28,
    }
    plan = plan_for(**{**KNOWN_FACTS, "base_config": config})
    assert written_status(plan).reason == "DoesNotFit"
    assert "the model's config.json" in ready_message(plan)


def test_a_recipe_that_learns_little_is_a_finding() -> None:
    findings = written_status(plan_for(**KNOWN_FACTS)).dataset.findings
    assert any("the model may learn little" in finding for finding in findings), findings


AGENT_WITH_EDITED_PROMPT = agent_model(
    prompt={"user": "edited: {{ inputs.task }}", "assistant": "{{ outputs.docstring }}"}
)


def dataset_rendered_by(contract: AgentModel) -> ProgramState:
    assert contract.spec.prompt is not None
    return ProgramState(result={**DATASET_RESULT, "prompt_digest": prompt_digest(contract.spec.prompt)})


def test_the_prompt_contract_is_fixed_together_with_the_data() -> None:
    status = written_status(plan_for(**{**KNOWN_FACTS, "dataset": dataset_rendered_by(agent_model())}))
    assert status.dataset.prompt_digest == prompt_digest(agent_model().spec.prompt)


def test_the_versions_inputs_have_the_contract_of_its_data() -> None:
    prepared = prepared_status()
    prepared["dataset"]["promptDigest"] = prompt_digest(agent_model().spec.prompt)
    plan = plan_for(run(prepared), agent_model=AGENT_WITH_EDITED_PROMPT)
    inputs = written_record(plan).allocated["v1.1.0-rc.1"]
    assert inputs["prompt_digest"] == prompt_digest(agent_model().spec.prompt)


def test_a_status_without_a_contract_counts_as_rendered_by_the_current_one() -> None:
    plan = plan_for(run(prepared_status()))
    inputs = written_record(plan).allocated["v1.1.0-rc.1"]
    assert inputs["prompt_digest"] == prompt_digest(agent_model().spec.prompt)


def test_data_of_an_edited_contract_are_prepared_again() -> None:
    plan = plan_for(
        **{
            **KNOWN_FACTS,
            "dataset": dataset_rendered_by(agent_model()),
            "agent_model": AGENT_WITH_EDITED_PROMPT,
        }
    )
    assert step_names(plan) == ["status", "stop_dataset", "start_dataset"]
    assert "spec.prompt" in ready_message(plan)
    given = next(s for s in plan.steps if isinstance(s, StartDataset)).input
    assert given["prompt"] == AGENT_WITH_EDITED_PROMPT.spec.prompt.wire()
    assert written_status(plan).dataset is None


def test_the_program_and_the_operator_digest_the_contract_alike() -> None:
    given = json.loads(json.dumps(dataset_input(state(agent_model=AGENT_WITH_EDITED_PROMPT))))
    assert prompt_digest(Request.of(given).prompt) == prompt_digest(AGENT_WITH_EDITED_PROMPT.spec.prompt)


def submitted_run(plan: Plan) -> dict[str, Any]:
    return dict(submitted_job(plan).run)


def test_a_submission_is_reserved_then_written_as_intent_then_posted() -> None:
    plan = plan_for(run(prepared_status()))
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_record(plan).reservations[KEY] == Reservation(
        usd_micro=375_000,
        month="2025-12",
        name="docs-1",
        version="v1.1.0-rc.1",
        reserved_at=NOW.isoformat(timespec="seconds"),
        repo=submitted_run(plan)["output"]["repo"],
        account=ORG,
    )
    job = written_status(plan).job
    assert (job.submissions, job.id, job.timeout_seconds) == (1, "", 900)
    sent = submitted_job(plan)
    assert (sent.label, sent.run["version"]) == (job.label, "v1.1.0-rc.1")


def test_a_job_knows_its_agent_model() -> None:
    sent = submitted_run(plan_for(run(prepared_status())))
    told = (sent["name"], sent["identity"], sent["agent_model"])
    assert told == ("docs-1", state(run(prepared_status())).identity, "team/docs")


def test_an_existing_reservation_is_used_after_a_crash() -> None:
    before = written_record(plan_for(run(prepared_status())))
    assert step_names(plan_for(run(prepared_status()), record=before)) == ["status", "submit"]


def test_a_reservation_is_raised_if_the_price_rose_before_the_intent() -> None:
    before = written_record(plan_for(run(prepared_status())))
    dearer = prepared_status()
    dearer["estimate"]["highUSD"] = "0.5"
    plan = plan_for(run(dearer), record=before)
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_record(plan).reservations[KEY].usd_micro == 500_000
    rest = {"other/1": Reservation(usd_micro=100_000_000 - 400_000, month="2025-12", name="o")}
    tight = before.with_(reservations={**before.reservations, **rest})
    assert (
        written_record(plan_for(run(dearer), record=tight)).completed[state(run(dearer)).identity].outcome
        == "OverBudget"
    )


def test_data_read_again_after_the_reservation_get_a_new_version() -> None:
    before = written_record(plan_for(run(prepared_status())))
    other = prepared_status()
    other["dataset"]["digest"] = "sha256:" + "e" * 64
    after = written_record(plan_for(run(other), record=before))
    assert after.reservations[KEY].version == "v1.2.0-rc.1"
    assert after.allocated["v1.2.0-rc.1"]["dataset_digest"] == other["dataset"]["digest"]


def test_the_dataset_is_fixed_by_the_write_of_the_intent() -> None:
    plan = plan_for(**KNOWN_FACTS)
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_status(plan).dataset is not None
    assert written_status(plan).job is not None


def test_a_budget_that_was_spent_meanwhile_ends_the_run() -> None:
    others = {f"other-{n}/1": Reservation(usd_micro=10**7, month="2025-12", name="o") for n in range(10)}
    plan = plan_for(run(prepared_status()), record=empty_record().with_(reservations=others))
    ended = written_record(plan)
    assert step_names(plan) == ["record"]
    assert ended.completed[state(run(prepared_status())).identity].outcome == "OverBudget"
    assert KEY not in ended.reservations


def test_last_month_does_not_count() -> None:
    old = {"other/1": Reservation(usd_micro=10**8, month="2025-11", name="o")}
    assert (
        step_names(plan_for(run(prepared_status()), record=empty_record().with_(reservations=old)))[-1]
        == "submit"
    )
