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
