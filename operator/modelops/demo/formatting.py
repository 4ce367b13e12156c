"""Money and shares as the demo shows them."""

from __future__ import annotations

from decimal import Decimal

from modelops.domain.money import display_usd, micro


def usd(amount: str | float | Decimal | None) -> str:
    """Format US dollars as the operator's messages do. None is 0."""
    return display_usd(micro(str(amount or 0)))


def percent(share: object) -> str:
    """Format a share, such as 0.1234 as `12 %`."""
    return f"{float(str(share or 0)) * 100:.0f} %"
