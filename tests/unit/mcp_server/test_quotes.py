"""A quote is for one thing, expires, and cannot be made by anybody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from modelops.mcp_server.quotes import VALID, Quotes
from modelops.tools.errors import QuoteRefused

SECRET = b"k" * 32
SUBJECT = {"tool": "evaluate_model_vs_baseline", "agent": "docs", "caller": "alice"}


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2025, 12, 9, 22, 0, 0, 500_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quotes(clock: Clock) -> Quotes:
    return Quotes(SECRET, now=clock)


def test_a_quote_holds_for_its_subject_until_it_expires(quotes: Quotes, clock: Clock) -> None:
    quote = quotes.issue(SUBJECT)
    assert quote.valid_until == datetime(2025, 12, 9, 22, 15, tzinfo=UTC)
    clock.time += VALID - timedelta(seconds=1)
    quotes.ensure_valid(quote.quote_id, dict(reversed(SUBJECT.items())))
    clock.time += timedelta(seconds=1)
    with pytest.raises(QuoteRefused, match="expired: nothing was done"):
        quotes.ensure_valid(quote.quote_id, SUBJECT)


@pytest.mark.parametrize("change", [{"caller": "bob"}, {"agent": "review"}, {"more": 1}])
def test_a_quote_for_something_else_is_refused(quotes: Quotes, change: dict[str, object]) -> None:
    quote = quotes.issue(SUBJECT)
    with pytest.raises(QuoteRefused, match="for something else"):
        quotes.ensure_valid(quote.quote_id, SUBJECT | change)


def test_another_process_with_the_same_secret_takes_it_and_one_with_another_does_not(
    quotes: Quotes, clock: Clock
) -> None:
    quote = quotes.issue(SUBJECT)
    Quotes(SECRET, now=clock).ensure_valid(quote.quote_id, SUBJECT)
    with pytest.raises(QuoteRefused):
        Quotes(b"o" * 32, now=clock).ensure_valid(quote.quote_id, SUBJECT)


@pytest.mark.parametrize(
    "spoil", [lambda q: "", lambda q: "yes", lambda q: q[3:], lambda q: q[:-2], lambda q: q + "ä"]
)
def test_what_is_no_quote_is_refused(quotes: Quotes, spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(QuoteRefused):
        quotes.ensure_valid(spoil(quotes.issue(SUBJECT).quote_id), SUBJECT)


def test_the_expiry_cannot_be_moved(quotes: Quotes, clock: Clock) -> None:
    early = quotes.issue(SUBJECT).quote_id
    clock.time += timedelta(days=1)
    late = quotes.issue(SUBJECT).quote_id
    with pytest.raises(QuoteRefused):
        quotes.ensure_valid(late[:9] + early[9:], SUBJECT)
