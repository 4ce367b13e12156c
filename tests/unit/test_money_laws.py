"""Money: exact inside, rounded up where it is cover."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelops.api.v1alpha1.meta import Money
from modelops.domain.money import dollars, micro, shown

AMOUNTS = st.integers(0, 9_999_999_999_999)


@given(AMOUNTS)
def test_dollars_and_micro_are_inverse_and_fit_the_api(amount: int) -> None:
    text = dollars(amount)
    assert micro(text) == amount
    assert TypeAdapter(Money).validate_python(text) == text
    assert re.search(r"\.\d\d", text)


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_cover_is_never_too_small_and_never_a_micro_too_large(usd: Decimal) -> None:
    assert 0 <= micro(usd) - usd * 1_000_000 < 1


@given(AMOUNTS)
def test_what_people_are_shown_is_rounded_up_to_cents(amount: int) -> None:
    said = Decimal(shown(amount)[1:]) * 1_000_000
    assert 0 <= said - amount < 10_000


@given(AMOUNTS, AMOUNTS)
def test_amounts_add_up_exactly(one: int, other: int) -> None:
    assert micro(Decimal(dollars(one)) + Decimal(dollars(other))) == one + other


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.00"), (1, "0.000001"), (2_375_000, "2.375"), (10_000_000, "10.00")]
)
def test_dollars_have_two_decimals_and_no_noise(amount: int, text: str) -> None:
    assert dollars(amount) == text
