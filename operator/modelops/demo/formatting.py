"""Money and shares as the demo shows them."""

from __future__ import annotations

from decimal import Decimal


def usd(amount: str | float | Decimal | None) -> str:
    """Format US dollars: two decimals, four below ten cents. None is 0."""
    value = Decimal(str(amount or 0))
    return f"${value:.4f}" if 0 < value < Decimal("0.1") else f"${value:,.2f}"


def percent(share: object) -> str:
    """Format a share, such as 0.1234 as `12 %`."""
    return f"{float(str(share or 0)) * 100:.0f} %"
