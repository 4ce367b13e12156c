"""What holds for every message: quoted text does nothing, a yes without a plan does nothing, unknown agents stay unknown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.infra_agent.understood import AGENTS, FILES, Case, cases

from modelops.infra_agent.understanding import Intent, ModelAnswer, identities, settle, understand
from modelops.infra_agent.understanding.lexicon import known_words
from modelops.infra_agent.understanding.spelling import distance

ALL = [case for file in FILES for case in cases(file)]
WORDS = sorted({word for case in ALL for word in case.message.split()})
PLAN = "chef: Plan: CICD v14, canary at 10%. Confirm?"
CONTEXTS = (
    (),
    (PLAN,),
    ("chef: CICD v14 canary at 25%: healthy.",),
    ("user: roll it back", "chef: Which agent?"),
)

messages = st.sampled_from(ALL)
contexts = st.sampled_from(CONTEXTS)


def _lines_quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


WRAPPED = {
    "double quotes": lambda text: '"' + text.replace('"', "") + '"',
    "curly quotes": lambda text: "“" + text.replace("”", "").replace("“", "") + "”",
    "german quotes": lambda text: "„" + text.replace("“", "").replace("”", "") + "“",
    "guillemets": lambda text: "«" + text.replace("»", "") + "»",
    "a fence": lambda text: "```\n" + text.replace("```", "") + "\n```",
    "an open fence": lambda text: "```\n" + text.replace("```", ""),
    "code": lambda text: "`" + " ".join(text.replace("`", "").split()) + "`",
    "quoted lines": _lines_quoted,
    "a mail": lambda text: "got this in a mail: " + text,
    "a log": lambda text: "[14:02:11] INFO " + " ".join(text.split()),
}


@pytest.mark.parametrize("how", WRAPPED)
@given(case=messages, context=contexts)
@settings(max_examples=80, deadline=None)
def test_quoted_and_pasted_text_is_nothing(how: str, case: Case, context: tuple[str, ...]) -> None:
    understood = understand(WRAPPED[how](case.message), context=context, agents=AGENTS)
    assert (understood.intent, understood.may_act) == (Intent.NONE, False)


@given(
    case=messages,
    how=st.sampled_from(sorted(WRAPPED)),
    intent=st.sampled_from(Intent),
    agent=st.sampled_from([a.name for a in AGENTS]),
)
@settings(max_examples=80, deadline=None)
def test_no_models_answer_makes_quoted_text_act(case: Case, how: str, intent: Intent, agent: str) -> None:
    message = WRAPPED[how](case.message)
    understood = understand(message, agents=AGENTS)
    settled = settle(understood, ModelAnswer(intent=intent, agent=agent), message=message, agents=AGENTS)
    assert not settled.intent.changes_something


@given(case=messages, context=contexts, agent=st.sampled_from([a.name for a in AGENTS]))
@settings(max_examples=80, deadline=None)
def test_no_models_answer_confirms_a_plan(case: Case, context: tuple[str, ...], agent: str) -> None:
    understood = understand(case.message, context=context, agents=AGENTS)
    answer = ModelAnswer(intent=Intent.APPROVE, agent=agent)
    settled = settle(understood, answer, message=case.message, context=context, agents=AGENTS)
    assert settled == understood


YES = (
    "yes",
    "Yes!",
    "ok",
    "go ahead",
    "👍",
    "✅",
    "sure, do it",
    "yep go",
    "ja mach",
    "si, dale",
    "sim, pode",
    "oui vas-y",
    "lgtm",
    "confirmed",
    "y",
    "approved",
    "yes please and quickly",
)


@given(
    yes=st.sampled_from(YES),
    context=st.sampled_from(
        [
            (),
            ("chef: CICD v14 canary at 25%: healthy.",),
            ("user: status?", "chef: All is quiet."),
            (PLAN, "user: hm"),
            (PLAN, "user: no", "chef: The plan was dropped."),
        ]
    ),
)
def test_a_yes_without_a_plan_does_nothing(yes: str, context: tuple[str, ...]) -> None:
    assert understand(yes, context=context, agents=AGENTS).intent is Intent.NONE


@pytest.mark.parametrize("yes", YES)
def test_a_yes_with_a_plan_approves_it(yes: str) -> None:
    understood = understand(yes, context=(PLAN,), agents=AGENTS)
    assert (understood.intent, understood.agent) == (Intent.APPROVE, "cicd")


@pytest.mark.parametrize(
    "message",
    [
        "yes if lena agrees",
        "yes but only for docs",
        "ok, 50% though",
        "yes, docs v3",
        "yes? or should we wait",
        "yes i know what that means",
        "ok wait",
        "yes, unless the eval failed",
        "sure, after the eval is done",
        "no yes",
        "yes, at 25",
        "go to bed",
        "don't do it",
        "yes, not that one",
        "is that a yes or a no?",
        "yes, but v13",
    ],
)
def test_a_yes_with_more_confirms_nothing(message: str) -> None:
    assert understand(message, context=(PLAN,), agents=AGENTS).intent is not Intent.APPROVE


@given(
    case=messages,
    change=st.sampled_from(
        [
            str.upper,
            str.lower,
            lambda t: "  " + t.replace(" ", "   ") + "  ",
            lambda t: t + "\n",
            lambda t: "\n" + t,
        ]
    ),
)
@settings(max_examples=200, deadline=None)
def test_case_and_spacing_change_nothing(case: Case, change: object) -> None:
    changed = understand(change(case.message), context=case.context, agents=AGENTS)  # type: ignore[operator]
    before = case.understood()
    assert (changed.intent, changed.agent) == (before.intent, before.agent)


FAR = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=12).filter(
    lambda word: (
        word not in known_words()
        and all(
            distance(word, known) > 2 for known in sorted(known_words()) if abs(len(known) - len(word)) <= 2
        )
        and all(distance(word, part) > 2 for agent in AGENTS for call in agent.calls for part in call)
    )
)


@given(
    word=FAR,
    order=st.sampled_from(
        [
            "train the {} agent on ls://x/y",
            "roll back the {} bot",
            "deploy {} agent v9 at 10%",
            "evaluate the {} agent",
        ]
    ),
)
@settings(max_examples=60, deadline=None)
def test_an_unknown_agent_is_asked_about(word: str, order: str) -> None:
    understood = understand(order.format(word), agents=AGENTS)
    assert understood.agent is None
    assert not understood.intent.spends_or_moves


@given(message=st.text(max_size=200), context=st.lists(st.text(max_size=80), max_size=3))
@settings(max_examples=80, deadline=None)
def test_any_text_is_understood_or_not_without_an_error(message: str, context: list[str]) -> None:
    understand(message, context=context, agents=AGENTS)


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), context=contexts)
@settings(max_examples=80, deadline=None)
def test_what_acts_has_an_agent_and_what_is_ambiguous_a_question(
    words: list[str], context: tuple[str, ...]
) -> None:
    understood = understand(" ".join(words), context=context, agents=AGENTS)
    if understood.intent.spends_or_moves and understood.intent is not Intent.APPROVE:
        assert understood.agents
        assert understood.may_act
    assert (understood.question is not None) == (understood.intent is Intent.AMBIGUOUS)


@given(case=messages)
@settings(max_examples=200, deadline=None)
def test_without_agents_nothing_acts(case: Case) -> None:
    understood = understand(case.message, context=case.context, agents=identities([]))
    assert understood.agent is None
    assert not understood.intent.spends_or_moves or understood.intent is Intent.APPROVE


LEFT = (
    "leave {} as it is",
    "hands off {} please",
    "dont touch {}",
    "and keep {} where it is",
    "lass {} wie es ist",
)


@given(
    case=messages,
    left=st.sampled_from([agent.name for agent in AGENTS]),
    clause=st.sampled_from(LEFT),
    first=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_an_agent_that_is_left_as_it_is_is_not_acted_on(
    case: Case, left: str, clause: str, first: bool
) -> None:
    if case.agent in (None, left) or case.context or left in case.understood().agents:
        return
    both = [clause.format(left), case.message] if first else [case.message, clause.format(left)]
    understood = understand(". ".join(both), agents=AGENTS)
    assert not understood.intent.spends_or_moves or left not in understood.agents, understood.why
