"""Conditions of metrics: what the CRD's pattern takes is read, and arithmetic without a result is an error."""

from __future__ import annotations

import random
import re

import pytest

from modelops.api.v1alpha1.analysis_metrics import CONDITION
from modelops.domain.metrics.conditions import ConditionError, parse


@pytest.mark.parametrize(
    ("text", "value", "stable", "holds"),
    [
        ("value < 0.05", 0.04, None, True),
        ("value < 0.05", 0.05, None, False),
        ("value<=5e-2", 0.05, None, True),
        ("value - stable < 0.02", 0.06, 0.05, True),
        ("value - stable < 0.02", 0.08, 0.05, False),
        ("value <= stable * 1.1 + 50", 160.0, 100.0, True),
        ("value - 2 * stable + 1 > 0", 1.0, 1.0, False),
        ("value > -1", -0.5, None, True),
        ("value > 1 && value < 3", 2.0, None, True),
        ("value > 1 && value < 3", 4.0, None, False),
        ("value < 1 || value > 3 && value < 5", 4.0, None, True),
        ("value < 1 || value > 3 && value < 5", 0.0, None, True),
        ("value / stable >= 0.5", 1.0, 2.0, True),
        ("10 - 3 - 2 == value", 5.0, None, True),
    ],
)
def test_a_condition_holds(text: str, value: float, stable: float | None, holds: bool) -> None:
    assert re.match(CONDITION, text)
    assert parse(text).holds(value, stable) is holds


@pytest.mark.parametrize(
    "text",
    [
        "", "value", "0.05", "value <", "value < 0.05 and value > 1", "result[0] < 1", "__import__('os')", "(value) < 1",
        "value = 1", "value < 1 &&", "value < 1; value > 2", "value ** 2 < 1", "values < 1", "value < 1 < 2",
        "value\n< 1", "value < .5", "-value < 1", "value < NaN",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_by_pattern_and_reader(text: str) -> None:
    assert not re.fullmatch(CONDITION, text)
    with pytest.raises(ConditionError):
        parse(text)


def test_pattern_and_reader_agree_on_random_texts() -> None:
    chance = random.Random(7)
    parts = ["value", "stable", "0.5", "-2", "1e-3", "<", ">=", "==", "+", "-", "*", "/", "&&", "||", " "]
    for _ in range(400):
        text = "".join(chance.choice(parts) for _ in range(chance.randint(1, 9)))
        try:
            parse(text)
            read = True
        except ConditionError:
            read = False
        assert read == bool(re.match(CONDITION, text)), text


@pytest.mark.parametrize(
    ("text", "value", "stable", "why"),
    [
        ("value / stable < 2", 1.0, 0.0, "divides by zero"),
        ("value < stable", 1.0, None, "no value of the stable model"),
        ("value * 1e300 < 2", 1e300, None, "gives inf"),
    ],
)
def test_arithmetic_without_a_result_is_an_error(
    text: str, value: float, stable: float | None, why: str
) -> None:
    with pytest.raises(ConditionError, match=why):
        parse(text).holds(value, stable)
