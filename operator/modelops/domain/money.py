"""Money: an integer of micro-USD in the code, a decimal string of US dollars in the API."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import NewType

MicroUSD = NewType("MicroUSD", int)
ZERO = MicroUSD(0)


def micro(usd: str | Decimal) -> MicroUSD:
    """US dollars as micro-USD, rounded up so that a reservation is never too small."""
    return MicroUSD(int((Decimal(usd) * 1_000_000).to_integral_value(rounding=ROUND_CEILING)))


def dollars(amount: int) -> str:
    """The API's decimal string with at least two decimals and no further trailing zeros: 2375000 gives "2.375"."""
    text = f"{Decimal(amount) / 1_000_000:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"


def display_usd(amount: int) -> str:
    """For people: dollars and cents, rounded up, such as $0.38; below a cent up to four decimals, such as $0.0013."""
    step = 100 if 0 < amount < 10_000 else 10_000
    return f"${dollars(-(-amount // step) * step)}"
