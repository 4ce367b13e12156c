"""The values that a message names, each of its kind, and the words by which agents are called."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.understood import AGENTS

from modelops.infra_agent.understanding import Intent, identities, identity_of, understand


@pytest.mark.parametrize(
    ("message", "name", "value"),
    [
        ("train docs on ls://docs/a, max $30", "max_usd", 30),
        ("train docs on ls://docs/a, max 1,500 dollars", "max_usd", 1500),
        ("train docs on ls://docs/a, up to two hundred fifty dollars", "max_usd", 250),
        ("train docs on ls://docs/a, höchstens fünfundzwanzig Dollar", "max_usd", 25),
        ("train docs on ls://docs/a at 3 pm", "max_usd", None),
        ("train docs on ls://docs/a, it has 200 rows", "max_usd", None),
        ("train docs on ls://docs/a, 20 euros", "max_usd", None),
        ("train docs on ls://docs/a, dpo, not sft", "method", "dpo"),
        ("train docs with llama-3.1-8b on ls://docs/v3", "base_model", "llama-3.1-8b"),
        ("train docs with base model my-org/docs-base, 1 epoch", "base_model", "my-org/docs-base"),
        ("train docs with another base model and/or method", "base_model", None),
        ("train docs on ls://docs/v3", "version", None),
        ("deploy docs v9 at a quarter of the traffic", "percent", 25),
        ("deploy docs v9 to 1 in 20 users", "percent", 5),
        ("deploy docs v9 at fünfzehn Prozent", "percent", 15),
        ("deploy docs v9 at 10% if the eval is above 80%", "percent", 10),
        ("deploy docs v9 at 30%, no sorry, 10", "percent", 10),
        ("deploy docs v9 right away", "strategy", "immediate"),
        ("deploy docs v9, small canary first", "strategy", "canary"),
        ("switch docs from v8 to v9", "version", "v9"),
        ("evaluate docs v8 and v9", "version", ("v8", "v9")),
        ("deploy docs v9 if the eval is green", "condition", "if the eval is green"),
        ("cancel tr-77", "run", "tr-77"),
    ],
)
def test_a_value_is_read_as_its_kind(message: str, name: str, value: object) -> None:
    assert getattr(understand(message, agents=AGENTS).slots, name) == value


@pytest.mark.parametrize(
    ("call", "agent"),
    [
        ("feature_dev", "feature_dev"), ("feature-dev", "feature_dev"), ("featuredev", "feature_dev"), ("FeatureDev", "feature_dev"),
        ("feature dev", "feature_dev"), ("fd", "feature_dev"), ("the feature agent", "feature_dev"), ("codereview", "code_review"),
        ("code_review", "code_review"), ("the code reviewer", "code_review"), ("the review agent", "code_review"), ("CICD", "cicd"),
        ("ci/cd", "cicd"), ("the ci bot", "cicd"), ("the build agent", "cicd"), ("the pipeline agent", "cicd"), ("docs", "docs"),
        ("the docs agent", "docs"), ("the documentation agent", "docs"),
    ],
)  # fmt: skip
def test_an_agent_is_known_by_what_people_call_it(call: str, agent: str) -> None:
    assert understand(f"roll back {call}", agents=AGENTS).agent == agent


@pytest.mark.parametrize(
    "call",
    ["sql_helper", "sql-helper", "sqlhelper", "SqlHelper", "the sql helper agent", "sql helper bot", "sh"],
)
def test_another_agent_is_known_by_words_derived_from_its_name(call: str) -> None:
    agents = identities(["docs", "sql_helper"])
    assert understand(f"roll back {call}", agents=agents).agent == "sql_helper"


def test_a_word_that_two_agents_share_names_neither() -> None:
    agents = identities(["test_writer", "tool_watcher"])
    assert all(("tw",) not in one.calls for one in agents)


def test_initials_that_are_a_word_are_no_call() -> None:
    assert ("it",) not in identity_of("issue_triage").calls


def test_an_agent_named_like_a_verb_is_meant_only_with_its_role() -> None:
    agents = identities(["deploy", "docs"])
    assert understand("deploy docs v9 at 10%", agents=agents).agent == "docs"
    assert understand("roll back the deploy agent", agents=agents).agent == "deploy"


@pytest.mark.parametrize(
    "message",
    [
        "update the docs for the rollback endpoint",
        "deploy the docs website",
        "read the docs",
        "ci is green",
        "restart the ci runner",
    ],
)
def test_a_thing_with_an_agents_name_is_not_the_agent(message: str) -> None:
    understood = understand(message, agents=AGENTS)
    assert (understood.agent, understood.intent.spends_or_moves) == (None, False)


def test_two_agents_are_both_named() -> None:
    understood = understand("train docs and cicd on ls://shared/style", agents=AGENTS)
    assert (understood.intent, understood.agent, understood.agents) == (Intent.TRAIN, None, ("docs", "cicd"))


def test_one_of_two_agents_is_asked_about() -> None:
    assert understand("train docs or cicd", agents=AGENTS).intent is Intent.AMBIGUOUS
