"""Reading the three kinds as kubectl shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def status_of(item: Json) -> Json:
    """The status, or an empty one."""
    found: Json = item.get("status") or {}
    return found


def condition(item: Json, type_: str) -> Json:
    """The condition of that type, or an empty one."""
    return next((c for c in status_of(item).get("conditions") or () if c["type"] == type_), {})


def is_complete(item: Json) -> bool:
    """What `kubectl wait --for=condition=Finished` waits for."""
    return bool(condition(item, "Finished").get("status") == "True")


def message_of(item: Json) -> str:
    """Why it is where it is, in the operator's words."""
    return str(condition(item, "Ready").get("message", ""))


def usd(amount: str | float | Decimal | None) -> str:
    """Money for people: at least two decimals, four below ten cents."""
    value = Decimal(str(amount or 0))
    return f"${value:.4f}" if 0 < value < Decimal("0.1") else f"${value:,.2f}"


def percent(share: object) -> str:
    """0.1234 as 12 %."""
    return f"{float(str(share or 0)) * 100:.0f} %"


def gate(rollout: Json) -> str:
    """The gate's verdict with its numbers, in the operator's words."""
    evaluation = status_of(rollout).get("evaluation") or {}
    return f"gate: {evaluation.get('verdict')}. {condition(rollout, 'Evaluated').get('message', '')}"
