"""Whatever a model answers, the evaluation ends with a verdict; what is no answer is no success."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.evaluation.asked import QUESTIONS, TEXT_SCORERS, answer, request

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.evaluate import require_answers_of_candidate
from modelops.evaluation.outcome import Outcome, compare_arms
from modelops.evaluation.request import ARMS
from modelops.evaluation.result import result_document
from modelops.evaluation.scored_answers import NO_SCORE, is_success, score_answers
from modelops.workdir import ProgramFailure

PARSES = ({"type": "text"}, {"type": "json"}, {"type": "regex", "pattern": "<(.*)>"})
DIGITS, NESTED = '{"n": ' + "9" * 5000 + "}", "[" * 1500 + "]" * 1500


def outcome(baseline: str | None, candidate: str | None, **changes: Any) -> Outcome:
    """Every example is answered alike: None is a failed call."""
    asked = request(**changes)
    texts = {"baseline": baseline, "candidate": candidate}
    answers = [answer(arm, n, texts[arm]) for n in range(100) for arm in ARMS]
    return compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))


@given(
    text=st.one_of(
        st.none(),
        st.text(),
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr),
    ),
    parse=st.sampled_from(PARSES),
    scorer=st.sampled_from(TEXT_SCORERS),
    threshold=st.sampled_from(["0", "0.5", "1"]),
)
@example(text=DIGITS, parse=PARSES[1], scorer=ScorerType.JSON, threshold="1")
@example(text=DIGITS, parse=PARSES[0], scorer=ScorerType.JSON, threshold="0")
@example(text=NESTED, parse=PARSES[1], scorer=ScorerType.EXACT, threshold="0")
@example(text=NESTED, parse=PARSES[0], scorer=ScorerType.JSON, threshold="0")
@example(text=f"```json\n{NESTED}\n```", parse=PARSES[1], scorer=ScorerType.JSON, threshold="0")
def test_any_text_is_one_answer_with_a_score_or_none(
    text: str | None, parse: dict[str, str], scorer: ScorerType, threshold: str
) -> None:
    asked = request(
        prompt={**request().prompt.wire(), "parse": parse},
        scorer={"type": scorer.value, "threshold": threshold},
    )
    one = answer("candidate", 0, text)
    score = score_answers(asked, QUESTIONS[:1], [one])[one.key]
    assert score.value is None or 0 <= score.value <= 1
    assert score.value is not None or not is_success(asked, score)


@pytest.mark.parametrize("threshold", ["0", "0.35", "1"])
def test_failed_call_is_no_success_at_any_threshold(threshold: str) -> None:
    found = outcome("<yes>", None, scorer={"type": "tokenF1", "threshold": threshold})
    assert (found.arms["candidate"].success, found.verdict) == (0.0, "fail")


@pytest.mark.parametrize("threshold", ["0", "1"])
def test_answer_that_cannot_be_read_is_no_success_at_any_threshold(threshold: str) -> None:
    found = outcome("<yes>", "yes", scorer={"type": "exact", "threshold": threshold})
    assert (found.arms["candidate"].success, found.verdict) == (0.0, "fail")


@pytest.mark.parametrize("threshold", ["0", "1"])
@pytest.mark.parametrize("scorer", TEXT_SCORERS)
@pytest.mark.parametrize(
    ("parse", "text"),
    [
        ({"type": "text"}, ""),
        ({"type": "text"}, " \n"),
        ({"type": "json"}, " "),
        ({"type": "regex", "pattern": "<(.*)>"}, "<>"),
        ({"type": "regex", "pattern": "x*"}, ""),
    ],
)
def test_an_empty_answer_is_no_success_even_where_it_equals_the_target(
    parse: dict[str, str], text: str, scorer: ScorerType, threshold: str
) -> None:
    asked = request(
        prompt={**request().prompt.wire(), "parse": parse},
        scorer={"type": scorer.value, "threshold": threshold},
    )
    one = answer("candidate", 0, text)
    scores = score_answers(asked, [replace(QUESTIONS[0], target="")], [one])
    assert scores == {one.key: NO_SCORE}


@pytest.mark.parametrize("scorer", TEXT_SCORERS)
def test_two_models_without_any_success_are_inconclusive_with_the_reason(scorer: ScorerType) -> None:
    asked = request(scorer={"type": scorer.value, "threshold": "1"})
    found = outcome("<no>", "<no>", scorer={"type": scorer.value, "threshold": "1"})
    document = result_document(asked, found)
    assert (document["verdict"], document["recommendation"]) == ("inconclusive", "review")
    assert "Neither model succeeds on any example" in document["explain"]
    assert "spec.evaluation.scorer" in document["explain"] or "scorer json" in document["explain"]


@pytest.mark.parametrize(
    ("right_of_baseline", "right_of_candidate", "verdict"),
    [
        (20, 0, "inconclusive"),
        (20, 20, "inconclusive"),
        (20, 500, "pass"),
        (500, 500, "pass"),
        (500, 0, "fail"),
    ],
)
def test_rare_successes_of_the_baseline_let_no_candidate_without_success_pass(
    right_of_baseline: int, right_of_candidate: int, verdict: str
) -> None:
    asked = request()
    right = {"baseline": right_of_baseline, "candidate": right_of_candidate}
    questions = [replace(QUESTIONS[0], example=str(n), target="yes") for n in range(1000)]
    answers = [answer(arm, n, "<yes>" if n < right[arm] else "<no>") for n in range(1000) for arm in ARMS]
    found = compare_arms(asked, questions, answers, score_answers(asked, questions, answers))
    assert found.verdict == verdict
    if verdict == "inconclusive":
        assert "a model that solves none of them would be within" in result_document(asked, found)["explain"]


def test_candidate_that_answers_no_call_is_refused_where_the_numbers_do_not_reject_it() -> None:
    asked = request()
    answers = [answer(arm, n, "<no>" if arm == "baseline" else None) for n in range(100) for arm in ARMS]
    found = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    with pytest.raises(
        ProgramFailure, match="does not answer: all 100 calls failed, the first with HTTP 500"
    ) as failure:
        require_answers_of_candidate(asked, found, answers)
    assert (failure.value.reason, failure.value.transient) == ("CandidateUnavailable", False)


def test_candidate_that_answers_one_call_is_compared() -> None:
    asked = request()
    answers = [
        answer(arm, n, None if n and arm == "candidate" else "<no>") for n in range(100) for arm in ARMS
    ]
    found = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    require_answers_of_candidate(asked, found, answers)
    assert found.verdict == "inconclusive"


def test_an_agent_that_fails_is_not_called_a_model_that_does_not_answer() -> None:
    asked = request(target="agent", asked_agent={"url": "http://docs.team.svc/evaluate"})
    answers = [answer(arm, n, "<yes>" if arm == "baseline" else None) for n in range(100) for arm in ARMS]
    found = replace(
        compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers)),
        verdict=Verdict.INCONCLUSIVE,
    )
    with pytest.raises(ProgramFailure, match=r"^the agent with the candidate v1") as failure:
        require_answers_of_candidate(asked, found, answers)
    assert str(failure.value).endswith("Read the log of the agent, and that of its model")
