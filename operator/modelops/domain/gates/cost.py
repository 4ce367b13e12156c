"""The price of 1,000 tokens, from bills or from an hourly price."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal


def busy_seconds(calls: Iterable[tuple[float, float]]) -> float:
    """Seconds during which at least one of the calls (start, end) was running."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(calls):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def per_1k_tokens(
    *, billed_usd: Decimal | None, usd_per_hour: Decimal | None, busy: float, tokens: int
) -> Decimal | None:
    """US dollars per 1,000 tokens; None where neither a bill nor an hourly price is known.

    With a bill, the price is the bill divided by the tokens. Without one, an endpoint costs its hourly price for the
    `busy` seconds. That price holds at the load of this evaluation; an endpoint that is idle at times costs more.
    """
    if tokens <= 0:
        return None
    if billed_usd is not None:
        return billed_usd * 1000 / tokens
    if usd_per_hour is not None:
        return usd_per_hour * Decimal(repr(busy)) / 3600 * 1000 / tokens
    return None
