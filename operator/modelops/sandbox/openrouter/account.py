"""Generations and their cost, in SQLite, so that they survive a restart."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

LIMIT_USD = Decimal(100)
"""The total spending limit of the key; beyond it every completion gets a 402."""


class Account:
    """All generations of the only key."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With this, killing the process loses no data; only a crash of the machine may.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS generations "
            "(id TEXT PRIMARY KEY, time TEXT, cost TEXT, document TEXT)"
        )
        self.total = self.spent_since("")
        """Total USD spent."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def record(self, generation: dict[str, Any], *, cost: Decimal) -> None:
        """Save a generation and its cost in USD."""
        self._connection.execute(
            "INSERT INTO generations VALUES (?, ?, ?, ?)",
            (generation["id"], generation["created_at"], str(cost), json.dumps(generation)),
        )
        self.total += cost

    def generation(self, generation_id: str) -> dict[str, Any] | None:
        """Return the generation of that id, or None."""
        query = "SELECT document FROM generations WHERE id = ?"
        row = self._connection.execute(query, (generation_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def spent_since(self, since: str) -> Decimal:
        """Return the USD spent since a time (ISO 8601, UTC)."""
        rows = self._connection.execute("SELECT cost FROM generations WHERE time >= ?", (since,))
        return sum((Decimal(row[0]) for row in rows), Decimal(0))

    def key_json(self, label: str) -> dict[str, object]:
        """Return the `data` of GET /key."""
        now = datetime.now(UTC)
        daily, weekly, monthly = (
            float(self.spent_since((now - timedelta(days=days)).isoformat())) for days in (1, 7, 31)
        )
        return {
            "label": label,
            "limit": float(LIMIT_USD),
            "limit_remaining": float(max(Decimal(0), LIMIT_USD - self.total)),
            "limit_reset": None,
            "usage": float(self.total),
            "usage_daily": daily,
            "usage_weekly": weekly,
            "usage_monthly": monthly,
            "byok_usage": 0,
            "is_free_tier": False,
            "is_management_key": False,
        }
