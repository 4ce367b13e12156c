"""The decision by a judge's preferences, without any service: which pairs are asked, and when nothing follows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.evaluation.asked import answer, request

from modelops.domain.gates import tango
from modelops.domain.gates.exact_bound import exact_bound
from modelops.domain.gates.kappa import Kappa
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.judge.answers import JUDGE_KEY
from modelops.evaluation.judge.deciding import asked_pairs, distrust, scores_of
from modelops.evaluation.judge.fitness import require_fit_judge
from modelops.evaluation.judge.pairs import Judgement
from modelops.evaluation.outcome import Outcome, compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.request import Request
from modelops.evaluation.result import explain
from modelops.workdir import ProgramFailure

QUESTIONS = [Question(example=str(n), inputs={}, messages=(), target="yes") for n in range(150)]
GOOD = Kappa(agreement=0.9, value=0.8, low=0.6, high=1.0)


def asked(**changes: Any) -> Request:
    return request(
        **{
            "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
            "scorer": {"type": "judge", "threshold": "1"},
            "judge": {"model": "judges/strict"},
            "margin_points": "10",
            **changes,
        }
    )


def outcome(preferred: list[int | None], *, why: str = "", **changes: Any) -> tuple[Request, Outcome]:
    one = asked(**changes)
    questions = QUESTIONS[: len(preferred)]
    answers = [answer(arm, n, "x") for n in range(len(preferred)) for arm in ("baseline", "candidate")]
    judgements = {str(n): Judgement(preferred=value) for n, value in enumerate(preferred)}
    scores = scores_of(answers, judgements)
    return one, compare_arms(one, questions, answers, scores, distrust=why)


def test_the_preferences_decide_by_the_exact_interval_of_the_gate() -> None:
    one, found = outcome([1] * 60 + [-1] * 40 + [0] * 50)
    assert found.verdict is Verdict.PASS
    assert found.difference == pytest.approx(20 / 150)
    assert found.arms["candidate"].success == pytest.approx((60 + 25) / 150)
    assert "the judge prefers v1.1.0-rc.1 on 60 and v1.0.0 on 40, with 50 ties" in explain(one, found)
    assert "judge judges/strict" in explain(one, found)


def test_a_candidate_that_loses_by_the_margin_passes_at_most_as_often_as_any_other() -> None:
    """Preferences are pairs of which one model, the other one or neither is better, so the gate's exact bound holds for
    them. Student's interval would let such a candidate pass in up to 11 % of evaluations with 50 examples."""
    _, lost = outcome([-1] * 5 + [0] * 45)
    assert lost.interval.low < -0.1
    _, same = outcome([1] * 20 + [-1] * 20 + [0] * 110)
    assert same.interval.low == pytest.approx(
        tango.interval(
            tango.Pairs(n=150, gained=20, lost=20),
            alpha=0.05,
            low_bound=exact_bound(150, margin=0.1, alpha=0.05),
        ).low
    )


@pytest.mark.parametrize(
    ("preferred", "verdict"),
    [
        ([-1] * 100 + [1] * 20 + [0] * 30, Verdict.FAIL),
        ([-1] * 50 + [1] * 40 + [0] * 60, Verdict.INCONCLUSIVE),
        ([0] * 150, Verdict.INCONCLUSIVE),
        ([1] * 10 + [0] * 140, Verdict.INCONCLUSIVE),
        ([1] * 12 + [-1] * 11 + [0] * 127, Verdict.PASS),
    ],
)
def test_few_preferences_prove_nothing(preferred: list[int | None], verdict: Verdict) -> None:
    _, found = outcome(preferred)
    assert found.verdict is verdict


def test_two_models_that_both_fail_never_pass() -> None:
    """Their calls fail, their answers are empty or cannot be read: nothing is asked, and every judgement is missing."""
    one = asked()
    answers = {}
    for n, text in enumerate([None, "", "  "]):
        for arm in ("baseline", "candidate"):
            made = answer(arm, n, text)
            answers[made.key] = made
    settled, pairs = asked_pairs(one, QUESTIONS[:3], answers)
    assert not pairs
    assert [judgement.preferred for judgement in settled.values()] == [None] * 3
    why = distrust(settled, kappa=GOOD, controlled=50, first_missing="neither model")
    assert "3 of 3 judgements are missing, most often because of: neither model" in why


def test_an_answer_that_cannot_be_read_is_worse_than_one_that_can() -> None:
    one = asked(
        prompt={
            "user": "{{ inputs.task }}",
            "assistant": "{{ outputs.text }}",
            "parse": {"type": "regex", "pattern": "<(.*)>"},
        }
    )
    given = [
        answer("baseline", 0, "<a>"),
        answer("candidate", 0, "a"),
        answer("baseline", 1, None),
        answer("candidate", 1, "<b>"),
    ]
    settled, pairs = asked_pairs(one, QUESTIONS[:2], {one.key: one for one in given})
    assert not pairs
    assert [settled[key].preferred for key in ("0", "1")] == [-1, 1]


def test_missing_judgements_count_for_neither_model() -> None:
    _, found = outcome([1] * 60 + [-1] * 40 + [0] * 40 + [None] * 10)
    assert (found.n, found.pairs and found.pairs.gained) == (140, 60)
    assert found.difference == pytest.approx(20 / 140)


def test_without_any_judgement_nothing_is_claimed() -> None:
    one, found = outcome([None] * 20, why="20 of 20 judgements are missing")
    assert (found.verdict, found.n, found.difference) == (Verdict.INCONCLUSIVE, 0, 0.0)
    assert (found.interval.low, found.interval.high) == (-1.0, 1.0)
    assert "20 of 20 judgements are missing" in explain(one, found)


@pytest.mark.parametrize("preferred", [[1] * 150, [-1] * 150])
def test_a_judge_that_is_distrusted_proves_neither(preferred: list[int | None]) -> None:
    one, found = outcome(preferred, why="the judge does not agree with people any more")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "That proves nothing: the judge does not agree with people any more." in explain(one, found)


def judgements(*, missing: int, of: int = 100) -> dict[str, Judgement]:
    return {str(n): Judgement(preferred=None if n < missing else 1) for n in range(of)}


@pytest.mark.parametrize(
    ("missing", "kappa", "controlled", "says"),
    [
        (10, GOOD, 50, ""),
        (11, GOOD, 50, "11 of 100 judgements are missing"),
        (0, GOOD, 29, "answered only 29 labelled pairs again"),
        (0, None, 50, "one and the same answer"),
        (0, Kappa(agreement=1, value=None, low=None, high=None), 50, "one and the same answer"),
        (0, Kappa(agreement=0.6, value=0.3, low=0.1, high=0.5), 50, "does not agree with people any more"),
        (0, Kappa(agreement=0.7, value=0.5, low=0.3, high=0.7), 50, ""),
    ],
)
def test_when_a_judge_is_distrusted(missing: int, kappa: Kappa | None, controlled: int, says: str) -> None:
    found = distrust(judgements(missing=missing), kappa=kappa, controlled=controlled, first_missing="")
    assert bool(found) is bool(says)
    assert says in found


def test_a_goal_to_be_better_needs_no_number_of_preferences() -> None:
    _, found = outcome([1] * 12 + [0] * 138, goal="superior")
    assert found.verdict is Verdict.PASS


def test_a_first_look_whose_judge_is_distrusted_is_not_said_to_decide() -> None:
    one, found = outcome([1] * 20, why="the judge does not agree with people any more")
    look = {"errorPercent": "1.89"}
    assert explain(one, found, looks=[look]).startswith(
        "After the first of two looks the judge is not asked any more. Of 20"
    )
    _, trusted = outcome([1] * 20)
    assert explain(one, trusted, looks=[look]).startswith("The first of two looks decides. Of 20")


def test_the_message_about_a_judge_that_decides_names_the_agentmodels_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The Rollout names none, so there is nothing in spec.evaluation.judge to correct or to leave out."""
    monkeypatch.delenv(JUDGE_KEY, raising=False)
    calibration = {
        **{"model": "judges/strict", "labels": "ls://l", "labels_as_of": "2026-01-01T00:00:00Z"},
        **{"said": "a" * 50, "prompt_digest": "0" * 64, "digest": "0" * 64},
        "field": "spec.langsmith.judge of AgentModel docs",
    }
    with pytest.raises(ProgramFailure, match="or choose another scorer"):
        require_fit_judge(asked(calibration=calibration))
    with pytest.raises(ProgramFailure, match=r"spec\.langsmith\.judge of AgentModel docs openrouter/auto"):
        require_fit_judge(asked(calibration=calibration, judge={"model": "openrouter/auto"}))
    with pytest.raises(ProgramFailure, match=r"or leave spec\.evaluation\.judge out"):
        require_fit_judge(request(judge={"model": "judges/strict"}))
