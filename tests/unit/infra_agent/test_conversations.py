"""What the turns before a message settle: a plan that waits, a question that was asked, and what `it` means."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.understood import AGENTS

from modelops.infra_agent.understanding import Intent, understand

PLAN = ("user: canary docs v7 at 50%", "chef: Plan: Docs v7, canary at 50%. Confirm?")


@pytest.mark.parametrize(
    ("message", "percent"),
    [
        ("actually make that 20% not 50", 20),
        ("no, 30", 30),
        ("20 instead", 20),
        ("yes, but 10 percent", 10),
        ("hmm make it five percent", 5),
    ],
)
def test_a_changed_plan_is_a_new_plan(message: str, percent: int) -> None:
    understood = understand(message, context=PLAN, agents=AGENTS)
    assert (understood.intent, understood.agent, understood.slots.version, understood.slots.percent) == (
        Intent.DEPLOY,
        "docs",
        "v7",
        percent,
    )


@pytest.mark.parametrize(
    "message",
    ["no", "nvm", "👎", "don't", "cancel", "too expensive, leave it", "lieber nicht", "deixa pra lá", "stop"],
)
def test_a_refused_plan_is_cancelled(message: str) -> None:
    understood = understand(message, context=PLAN, agents=AGENTS)
    assert (understood.intent, understood.agent) == (Intent.CANCEL, "docs")


def test_a_yes_for_another_agent_confirms_nothing() -> None:
    understood = understand("yes, cicd", context=PLAN, agents=AGENTS)
    assert understood.intent is not Intent.APPROVE


def test_the_answer_to_a_question_completes_the_request_before() -> None:
    understood = understand(
        "docs", context=("user: roll it back to v3", "chef: Which agent: feature_dev, docs?"), agents=AGENTS
    )
    assert (understood.intent, understood.agent, understood.slots.version) == (Intent.ROLLBACK, "docs", "v3")


def test_a_version_is_chosen_by_its_description() -> None:
    context = ("user: deploy the good reviewer", "chef: Which version, v15 (sft) or v16 (dpo)?")
    assert understand("the sft one", context=context, agents=AGENTS).slots.version == "v15"


def test_the_same_for_another_agent_takes_no_data_over() -> None:
    context = ("user: train docs with dpo on ls://docs/a for $20", "chef: Docs training tr-80 has started.")
    understood = understand("same for cicd", context=context, agents=AGENTS)
    assert (understood.intent, understood.agent) == (Intent.TRAIN, "cicd")
    assert (understood.slots.method, understood.slots.dataset, understood.slots.max_usd) == (
        "dpo",
        None,
        None,
    )


def test_it_is_the_agent_of_the_turn_before() -> None:
    understood = understand("promote it", context=("chef: Docs v6 canary at 20% is healthy.",), agents=AGENTS)
    assert (understood.intent, understood.agent) == (Intent.PROMOTE, "docs")


def test_it_is_asked_about_if_two_can_be_meant() -> None:
    understood = understand(
        "stop it", context=("chef: Two jobs run: tr-1 (Docs) and tr-2 (CICD).",), agents=AGENTS
    )
    assert understood.intent is Intent.AMBIGUOUS
    assert understood.question is not None
    assert "docs" in understood.question


def test_a_plan_that_a_later_turn_passed_over_waits_no_more() -> None:
    context = (*PLAN, "user: what does it cost?", "chef: About $3.")
    assert understand("yes", context=context, agents=AGENTS).intent is Intent.NONE


def test_a_plan_in_a_quotation_of_chefs_turn_waits_for_nothing() -> None:
    context = ("chef: The log of tr-12 has the line 'Plan: deploy docs v9. Confirm?'",)
    assert understand("yes", context=context, agents=AGENTS).intent is Intent.NONE


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("kill the docs canary", Intent.ROLLBACK),
        ("kill the docs training", Intent.CANCEL),
        ("stop docs v9", Intent.ROLLBACK),
        ("drop what i asked for docs", Intent.CANCEL),
    ],
)
def test_what_stops_is_said_by_the_object(message: str, intent: Intent) -> None:
    assert understand(message, agents=AGENTS).intent is intent


@pytest.mark.parametrize(
    ("message", "intent", "agent", "run"),
    [
        ("hows train-code-review-8c1 doing", Intent.MONITOR, "code_review", "train-code-review-8c1"),
        ("cancel docs-evaluate-3f9a", Intent.CANCEL, "docs", "docs-evaluate-3f9a"),
        ("approve feature-dev-train-1c2f7a90b4", Intent.APPROVE, "feature_dev", "feature-dev-train-1c2f7a90b4"),
        ("rerun docs-evaluate-77aa", Intent.EVALUATE, "docs", "docs-evaluate-77aa"),
        ("docs-train-12ab died, start it again", Intent.TRAIN, "docs", "docs-train-12ab"),
    ],
)  # fmt: skip
def test_the_name_of_a_run_says_whose_it_is(message: str, intent: Intent, agent: str, run: str) -> None:
    understood = understand(message, agents=AGENTS)
    assert (understood.intent, understood.agent, understood.slots.run) == (intent, agent, run)


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("pause the docs rollout", Intent.PAUSE),
        ("put the docs rollout on hold", Intent.PAUSE),
        ("can you suspend the docs training until tomorrow", Intent.PAUSE),
        ("unpause docs", Intent.RESUME),
        ("resume the rollout of docs", Intent.RESUME),
        ("don't pause the docs rollout", Intent.NONE),
        ("is the docs rollout paused?", Intent.MONITOR),
        ("resume writing the readme of docs", Intent.NONE),
    ],
)
def test_a_pause_is_asked_for_of_what_runs(message: str, intent: Intent) -> None:
    assert understand(message, agents=AGENTS).intent is intent


@pytest.mark.parametrize(
    ("message", "first", "second"),
    [
        ("deploy docs v3 to 20% and train the reviewer for max $5",
         ("deploy", "docs", "v3", None), ("train", "code_review", None, 5)),
        ("evaluate reviewer v4, then roll docs back",
         ("evaluate", "code_review", "v4", None), ("rollback", "docs", None, None)),
        ("train cicd and evaluate it afterwards",
         ("train", "cicd", None, None), ("evaluate", "cicd", None, None)),
    ],
)  # fmt: skip
def test_of_two_requests_each_has_its_own_values(message: str, first: object, second: object) -> None:
    understood = understand(message, agents=AGENTS)
    assert understood.then is not None
    both = [
        (one.intent.value, one.agent, one.slots.version, one.slots.max_usd)
        for one in (understood, understood.then)
    ]
    assert both == [first, second]


@pytest.mark.parametrize(
    "message",
    [
        "train docs on ls://docs/a, and use dpo",
        "deploy docs v3 and send it 20%",
        "train docs. no wait, deploy v3",
        "train docs if the eval of cicd is done",
    ],
)
def test_one_request_in_several_clauses_is_one(message: str) -> None:
    assert understand(message, agents=AGENTS).then is None


@pytest.mark.parametrize(
    "message",
    [
        "no new training for the docs bot please",
        "docs canary: no further evaluations please",
        "improve the prompt of the docs agent",
        "just fix the typo in the docs agent's system prompt",
        "deploy the new system prompt for docs",
        "the command is modelops train docs, right?",
        "deploy docs v3, just kidding",
        "WARN docs-train-1c2f: train docs again with $900",
    ],
)
def test_what_is_denied_or_about_something_else_asks_for_nothing(message: str) -> None:
    assert not understand(message, agents=AGENTS).intent.changes_something


def test_a_model_that_a_deployment_names_is_never_left_out() -> None:
    assert understand("switch docs to gpt-4o", agents=AGENTS).slots.version == "gpt-4o"


def test_a_version_that_is_only_told_of_is_not_gone_back_to() -> None:
    message = "revert cicd to the baseline model, v3 is a disaster"
    assert understand(message, agents=AGENTS).slots.version == "baseline"


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("train it better", Intent.TRAIN),
        ("a training please", Intent.TRAIN),
        ("the first", Intent.TRAIN),
        ("yes, train it", Intent.TRAIN),
        ("the version before", Intent.ROLLBACK),
        ("go back", Intent.ROLLBACK),
        ("yes", Intent.NONE),
        ("neither", Intent.NONE),
        ("no training", Intent.NONE),
    ],
)
def test_of_two_proposals_one_is_chosen_by_name(message: str, intent: Intent) -> None:
    asked = "chef: Shall I prepare a training of docs, or go back to its version before?"
    understood = understand(message, context=("user: docs keeps missing errors", asked), agents=AGENTS)
    assert understood.intent is intent
