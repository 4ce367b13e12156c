"""Retry-After in both of its forms, and in none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.domain.retry_after import retry_after_seconds

NOW = datetime(2025, 12, 10, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 10 Dec 2025 09:01:30 GMT", 90.0),
        ("Wed, 10 Dec 2025 10:01:30 +0100", 90.0),
        ("Wed, 10 Dec 2025 08:00:00 GMT", 0.0),
        ("Wednesday, 10-Dec-25 09:01:30 GMT", 90.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_seconds_and_dates_are_read(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds


@given(st.text())
def test_no_header_is_an_error(header: str) -> None:
    found = retry_after_seconds(header, now=NOW)
    assert found is None or found >= 0
