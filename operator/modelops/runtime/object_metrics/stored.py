"""Reads single values of stored objects. Whatever has an unexpected form is None: a scrape never fails."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from modelops.ports import Json


def part(item: Json, name: str) -> Json:
    """The object under this key; empty where there is none."""
    found = item.get(name)
    return found if isinstance(found, dict) else {}


def text(item: Json, name: str) -> str:
    """The string under this key; empty where there is none."""
    found = item.get(name)
    return found if isinstance(found, str) else ""


def number(item: Json, name: str) -> float | None:
    """The number under this key, written as a number or as a decimal string."""
    return as_number(item.get(name))


def as_number(found: Any) -> float | None:
    """The finite number; None for anything else."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        value = float(found)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def moment(item: Json, name: str) -> float | None:
    """The time under this key, in Unix seconds."""
    try:
        found = datetime.fromisoformat(text(item, name))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def condition(status: Json, kind: str) -> Json:
    """The condition of this type; empty where there is none."""
    found = status.get("conditions")
    listed = found if isinstance(found, list) else []
    return next((c for c in listed if isinstance(c, dict) and c.get("type") == kind), {})
