"""Amounts of US dollars that people and models write."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from modelops.tools.errors import ToolRefused


def usd(amount: str | float) -> str:
    """A limit in US dollars in the API's form: "$4.50" and 4.5 give "4.5". Raises ToolRefused where it is no amount."""
    try:
        value = Decimal(str(amount).strip().lstrip("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0 or value >= 10_000_000:
        raise ToolRefused(f"{amount!r} is no amount of US dollars: write a number such as 4.50")
    return format(value.quantize(Decimal("0.000001")).normalize(), "f")
