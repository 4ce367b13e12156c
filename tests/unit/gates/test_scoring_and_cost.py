"""The score of an answer, and the cost of tokens."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.evaluation.asked import QUESTIONS, request

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.gates.cost import busy_seconds, per_1k_tokens
from modelops.domain.gates.scoring import token_f1
from modelops.evaluation.scorers.choice import scorer_of
from modelops.evaluation.scorers.interface import Score, ToScore
from modelops.trainers import tiny_model


def scored(scorer: ScorerType, answer: str, target: str) -> Score:
    found = scorer_of(request(scorer={"type": scorer.value, "threshold": "1"}))
    return found.scores([ToScore(question=replace(QUESTIONS[0], target=target), text=answer)])[0]


@pytest.mark.parametrize(
    ("scorer", "answer", "target", "expected"),
    [
        (ScorerType.EXACT, " a\n", "a", 1.0),
        (ScorerType.EXACT, "A", "a", 0.0),
        (ScorerType.JSON, '{"b": 1, "a": [2]}', '{"a": [2], "b": 1}', 1.0),
        (ScorerType.JSON, "no json", "{}", None),
        (ScorerType.JSON, '{"ok": 1}', '{"ok": true}', 0.0),
        (ScorerType.JSON, '[{"ok": false}]', '[{"ok": 0}]', 0.0),
        (ScorerType.JSON, '{"ok": true}', '{"ok": true}', 1.0),
        (ScorerType.JSON, '{"n": 1.0}', '{"n": 1}', 1.0),
        (ScorerType.JSON, "[1]", "[1, 2]", 0.0),
        (ScorerType.JSON, '{"a": null}', '{"b": null}', 0.0),
        (ScorerType.JSON, '"1"', "1", 0.0),
        (ScorerType.TOKEN_F1, "Return the size.", "return a size", 2 / 3),
        (ScorerType.TOKEN_F1, "", "a", 0.0),
        (ScorerType.TOKEN_F1, "a a a", "a", 0.5),
        (ScorerType.TOKEN_F1, "返回文件大小", "返回文件的大小", 12 / 13),
        (ScorerType.TOKEN_F1, "ファイルのサイズを返す", "ファイルのサイズを返す。", 1.0),
        (ScorerType.TOKEN_F1, "ขนาดไฟล์", "ขนาดของไฟล์", 16 / 19),
        (ScorerType.TOKEN_F1, "返回", "大小", 0.0),
        (ScorerType.TOKEN_F1, "read 文件", "read file", 2 / 5),
    ],
)
def test_scores(scorer: ScorerType, answer: str, target: str, expected: float | None) -> None:
    assert scored(scorer, answer, target).value == pytest.approx(expected)


@pytest.mark.parametrize(
    "pair",
    [
        ("Get file size.", "Return the size of a file."),
        ("Ä ß", "ä"),
        ("", ""),
        ("返回 size", "返回大小"),
        ("ขนาดไฟล์", "ขนาดของไฟล์"),
    ],
)
def test_trainer_and_gate_mean_the_same_f1(pair: tuple[str, str]) -> None:
    assert tiny_model.token_f1(
        tiny_model.token_counts(pair[0]), tiny_model.token_counts(pair[1])
    ) == token_f1(*pair)


def test_overlapping_calls_are_counted_once() -> None:
    assert busy_seconds([(0, 2), (1, 3), (5, 6), (5.2, 5.4)]) == 4
    assert busy_seconds([]) == 0


def test_cost_is_the_bill_or_the_hour_or_unknown() -> None:
    hour = {"usd_per_hour": Decimal("3.6"), "busy": 10.0, "tokens": 5000}
    assert per_1k_tokens(billed_usd=Decimal("0.5"), **hour) == Decimal("0.1")  # type: ignore[arg-type]
    assert per_1k_tokens(billed_usd=None, **hour) == Decimal("0.002")  # type: ignore[arg-type]
    assert per_1k_tokens(billed_usd=None, usd_per_hour=None, busy=1.0, tokens=10) is None
    assert per_1k_tokens(billed_usd=Decimal(1), usd_per_hour=None, busy=1.0, tokens=0) is None
