"""Money: exact in the code, rounded up for a reservation."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelops.api.v1alpha1.meta import Money
from modelops.domain.money import display_usd, dollars, micro

AMOUNTS = st.integers(0, 9_999_999_999_999)


@given(AMOUNTS)
def test_dollars_and_micro_are_inverse_and_fit_the_api(amount: int) -> None:
    text = dollars(amount)
    assert micro(text) == amount
    assert TypeAdapter(Money).validate_python(text) == text
    assert re.search(r"\.\d\d", text)


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_a_reservation_is_rounded_up_by_less_than_one_micro_usd(usd: Decimal) -> None:
    assert 0 <= micro(usd) - usd * 1_000_000 < 1


@given(AMOUNTS)
def test_displayed_amounts_are_rounded_up_to_cents(amount: int) -> None:
    said = Decimal(display_usd(amount)[1:]) * 1_000_000
    assert 0 <= said - amount < 10_000


@given(AMOUNTS, AMOUNTS)
def test_amounts_add_up_exactly(one: int, other: int) -> None:
    assert micro(Decimal(dollars(one)) + Decimal(dollars(other))) == one + other


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.00"), (1, "0.000001"), (2_375_000, "2.375"), (10_000_000, "10.00")]
)
def test_dollars_have_at_least_two_decimals_and_no_trailing_zeros(amount: int, text: str) -> None:
    assert dollars(amount) == text
