"""Which calls count for the latency, and what a limit of it does to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.evaluation.asked import QUESTIONS, answer, request

from modelops.evaluation.evaluate import require_answers_of_candidate
from modelops.evaluation.journal import Answer
from modelops.evaluation.outcome import Outcome, compare_arms
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.result import result_document, unclear_ceiling
from modelops.evaluation.scored_answers import score_answers
from modelops.workdir import ProgramFailure

Milliseconds = Callable[[str, int], float]


def answers_of(milliseconds: Milliseconds, *, n: int = 100, failed: int = 0) -> list[Answer]:
    """Both models solve all; the candidate's last calls fail."""
    return [
        replace(
            answer(arm, k, None if arm == "candidate" and k >= n - failed else "<yes>"),
            latency_ms=milliseconds(arm, k),
        )
        for k in range(n)
        for arm in ARMS
    ]


def compared(asked: Request, answers: list[Answer], *, n: int = 100) -> Outcome:
    return compare_arms(asked, QUESTIONS[:n], answers, score_answers(asked, QUESTIONS[:n], answers))


def test_the_first_calls_of_each_model_are_warm_up() -> None:
    outcome = compared(request(concurrency=8), answers_of(lambda _, k: 30_000.0 if k < 8 else 100.0 + k % 2))
    assert {outcome.arms[arm].p95_ms for arm in ARMS} == {101}
    assert outcome.latency_p95 is not None
    assert outcome.latency_p95.value == pytest.approx(1.0)
    assert outcome.arms["candidate"].calls == 100


def test_few_examples_lose_a_tenth_at_most() -> None:
    outcome = compared(
        request(concurrency=64), answers_of(lambda _, k: 9000.0 if k < 2 else 100.0, n=20), n=20
    )
    assert outcome.arms["candidate"].p95_ms == 100


def test_a_candidate_that_is_too_slow_is_rejected_with_the_reason() -> None:
    asked = request(max_p95_ms=500)
    outcome = compared(asked, answers_of(lambda arm, k: 900.0 + k if arm == "candidate" else 100.0))
    result = result_document(asked, outcome)
    assert (result["verdict"], result["recommendation"], result["p95_ceiling"]) == (
        "fail",
        "reject",
        "breached",
    )
    assert "too slow" in result["explain"]
    assert "maxP95Milliseconds is 500" in result["explain"]


@pytest.mark.parametrize(
    ("limit", "n", "ceiling", "says"),
    [
        (1000, 100, "within", ""),
        (195, 100, "unclear", "between 191 ms and 199 ms"),
        (1000, 60, "unclear", "54 calls after the warm-up are too few, it takes 59"),
    ],
)
def test_a_limit_that_is_kept_or_open_leaves_the_verdict(limit: int, n: int, ceiling: str, says: str) -> None:
    asked = request(max_p95_ms=limit, concurrency=8)
    outcome = compared(asked, answers_of(lambda _, k: 100.0 + k, n=n), n=n)
    result = result_document(asked, outcome)
    assert (result["verdict"], result["p95_ceiling"]) == ("pass", ceiling)
    assert says in unclear_ceiling(asked, outcome)
    assert bool(says) == bool(unclear_ceiling(asked, outcome))


def test_a_failed_call_is_slower_than_any_limit() -> None:
    asked = request(max_p95_ms=500, margin_points="45")
    outcome = compared(asked, answers_of(lambda _, __: 50.0, failed=20))
    assert outcome.verdict == "fail"
    assert "more than 5 % of them failed" in result_document(asked, outcome)["explain"]


def test_a_candidate_that_answers_nothing_is_not_called_slow() -> None:
    asked = request(max_p95_ms=500, margin_points="100")
    answers = answers_of(lambda _, __: 50.0, failed=100)
    outcome = compared(asked, answers)
    assert outcome.p95_ceiling is None
    with pytest.raises(ProgramFailure, match="does not answer"):
        require_answers_of_candidate(asked, outcome, answers)
