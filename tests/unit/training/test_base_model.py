"""The base model of a run, and whether it can learn to end its answers: both are known before anything is spent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.training.objects import DEFAULTS, INSTALLATION, ORG, agent_model_json
from tests.unit.training.states import (
    BASE,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    state,
    step_names,
    submitted_job,
    submitted_status,
    written_status,
)

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.training.effective_spec import version_inputs
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.domain.training.state import TrainingSettings
from modelops.ports import ModelInfo

DEFAULT = "Qwen/Qwen2.5-Coder-7B-Instruct"
CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}"
    "{%- endfor %}"
)
ADDED = {"151643": {"content": "<|endoftext|>"}, "151645": {"content": "<|im_end|>"}}
SIBLING = ModelInfo(repo=f"{BASE.repo}-Instruct", revision="s" * 40)


def installation(default: str = DEFAULT) -> TrainingSettings:
    return TrainingSettings(
        installation=INSTALLATION, hub_org=ORG, default_base_model=default, defaults=DEFAULTS
    )


def unnamed(status: Any = None) -> Any:
    return run(status, baseModel=None)


def files(*, generation: Any = None, template: str = "", **config: Any) -> TokenizerFiles:
    return TokenizerFiles.of(
        config=json.dumps(config), generation=json.dumps(generation or {}), template=template
    )


QWEN_BASE = files(
    eos_token="<|endoftext|>",
    chat_template=CHATML,
    added_tokens_decoder=ADDED,
    generation={"eos_token_id": 151643},
)
NO_TEMPLATE = files(eos_token="<|endoftext|>", added_tokens_decoder=ADDED)


def contract(eos: str) -> Any:
    return agent_model(prompt={**agent_model_json()["spec"]["prompt"], "eos": eos})


def test_run_that_names_none_trains_the_installations_default() -> None:
    plan = plan_for(unnamed(), settings=installation(), **KNOWN_FACTS)
    assert submitted_job(plan).run["base_model"] == DEFAULT
    assert written_status(plan).base_model == DEFAULT


def test_message_says_where_the_model_was_named() -> None:
    lost = plan_for(unnamed(), settings=installation("nobody/nothing"), **{**KNOWN_FACTS, "base": None})
    assert ready_message(lost).startswith(
        "base model nobody/nothing (MODELOPS_DEFAULT_BASE_MODEL) of TrainingRun docs-1 is not on the Hub"
    )


def test_the_base_model_is_fixed_when_the_dataset_starts() -> None:
    begun = plan_for(unnamed(), settings=installation(), **{**KNOWN_FACTS, "dataset": None})
    assert step_names(begun) == ["status", "start_dataset"]
    assert begun.steps[-1].input["base_model"] == {"repo": DEFAULT}  # type: ignore[union-attr]
    later = unnamed(written_status(begun).wire())
    plan = plan_for(later, settings=installation("another/default"), **KNOWN_FACTS)
    assert submitted_job(plan).run["base_model"] == written_status(plan).base_model == DEFAULT


def test_run_of_an_older_operator_keeps_the_model_of_its_spec() -> None:
    assert (
        version_inputs(state(run(submitted_status(id="job1")), settings=installation())).base_model
        == BASE.repo
    )


def test_a_run_without_a_base_model_waits_and_says_where_to_name_one() -> None:
    plan = plan_for(unnamed(), **KNOWN_FACTS)
    assert (
        written_status(plan).reason,
        written_status(plan).finished_at,
        written_status(plan).base_model,
    ) == ("NoBaseModel", None, "")
    assert "MODELOPS_DEFAULT_BASE_MODEL" in ready_message(plan)
    assert "spec.baseModel" in ready_message(plan)
    assert step_names(plan) == ["status"]


ENDINGS: dict[str, tuple[TokenizerFiles, bool]] = {
    "Qwen2.5, base": (QWEN_BASE, False),
    "Qwen2.5-Instruct": (files(eos_token="<|im_end|>", chat_template=CHATML), True),
    "Llama 3.1-Instruct": (
        files(
            eos_token="<|eot_id|>", chat_template="{{ '<|eot_id|>' }}", generation={"eos_token_id": [1, 9]}
        ),
        True,
    ),
    "Gemma 2, whose template's end is in generation_config only": (
        files(
            eos_token="<eos>",
            chat_template="{{ '<end_of_turn>' }}",
            added_tokens_decoder={"1": {"content": "<eos>"}, "107": {"content": "<end_of_turn>"}},
            generation={"eos_token_id": [1, 107]},
        ),
        True,
    ),
    "Mistral-Instruct, which writes the variable": (
        files(eos_token={"content": "</s>"}, chat_template="{{ m + eos_token }}"),
        True,
    ),
    "a template in a file of its own": (files(eos_token="<|im_end|>", template=CHATML), True),
    "several templates": (
        files(eos_token="<|im_end|>", chat_template=[{"name": "default", "template": CHATML}]),
        True,
    ),
    "an end that is an unlisted id": (
        files(eos_token="<eos>", chat_template=CHATML, generation={"eos_token_id": 7}),
        True,
    ),
    "no JSON at all": (TokenizerFiles.of(config="<html>", generation="[]", template=CHATML), False),
}


@pytest.mark.parametrize(("tokenizer", "stops"), ENDINGS.values(), ids=ENDINGS.keys())
def test_a_models_files_say_whether_it_stops_at_its_templates_end(
    tokenizer: TokenizerFiles, stops: bool
) -> None:
    assert tokenizer.template
    assert tokenizer.stops_at_its_end is stops


@pytest.mark.parametrize(
    ("tokenizer", "lacks"),
    [
        (NO_TEMPLATE, "it has no chat template"),
        (QWEN_BASE, "its chat template ends answers with no token at which it stops"),
    ],
)
def test_base_model_without_eos_is_refused_and_its_sibling_named(
    tokenizer: TokenizerFiles, lacks: str
) -> None:
    plan = plan_for(**{**KNOWN_FACTS, "tokenizer": tokenizer, "sibling": SIBLING})
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "NoEndToken")
    words = (
        BASE.repo,
        "TrainingRun docs-1",
        lacks,
        f"use {SIBLING.repo}",
        "spec.prompt.eos of AgentModel docs",
    )
    assert not [word for word in (*words, "<|im_end|>") if word not in ready_message(plan)], ready_message(
        plan
    )
    assert step_names(plan) == ["status"]


@pytest.mark.parametrize("sibling", [None, Outage(service="hf", message="answered 503")])
def test_a_base_model_without_a_sibling_is_refused_too(sibling: Any) -> None:
    plan = plan_for(**{**KNOWN_FACTS, "tokenizer": NO_TEMPLATE, "sibling": sibling})
    assert written_status(plan).reason == "NoEndToken"
    assert "-Instruct" not in ready_message(plan)


def test_eos_is_given_to_the_job_and_fixed_with_the_data() -> None:
    given = {**KNOWN_FACTS, "tokenizer": QWEN_BASE, "sibling": SIBLING, "agent_model": contract("<|im_end|>")}
    plan = plan_for(**given)
    assert submitted_job(plan).run["eos"] == "<|im_end|>"
    assert written_status(plan).dataset.eos == "<|im_end|>"
    assert any(SIBLING.repo in finding for finding in written_status(plan).dataset.findings)


def test_model_that_can_stop_asks_for_no_sibling_and_no_eos() -> None:
    instruct = files(eos_token="<|im_end|>", chat_template=CHATML)
    plan = plan_for(**{**KNOWN_FACTS, "tokenizer": instruct})
    assert "eos" not in submitted_job(plan).run
    assert not any("-Instruct" in finding for finding in written_status(plan).dataset.findings)


def test_an_eos_that_is_not_a_special_token_is_refused() -> None:
    plan = plan_for(
        **{**KNOWN_FACTS, "tokenizer": QWEN_BASE, "sibling": None, "agent_model": contract("</s>")}
    )
    assert written_status(plan).reason == "NoEndToken"
    for word in ("spec.prompt.eos </s> of AgentModel docs", "<|endoftext|>, <|im_end|>", "correct it"):
        assert word in ready_message(plan)


def test_the_tokenizer_is_read_before_the_dataset() -> None:
    before: dict[str, Any] = {**KNOWN_FACTS, "dataset": None, "tokenizer": UNSEEN}
    assert plan_for(**before).needs == "tokenizer"
    assert plan_for(**{**before, "tokenizer": QWEN_BASE}).needs == "sibling"
    away = plan_for(**{**before, "tokenizer": Outage(service="hf", message="answered 503")})
    assert written_status(away).reason == "HubUnavailable"
    assert "503" in ready_message(away)
