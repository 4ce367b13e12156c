"""The table that `make bench` ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_HEADS = ("what", "measured", "limit", "peer in the same run", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `limit_missed` is None where there is no limit. `notes` are printed below the line."""

    name: str
    measured: str
    limit: str = ""
    peer: str = ""
    limit_missed: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`ok`, `OVER`, or nothing where there is no limit."""
        return {None: "", False: "ok", True: "OVER"}[self.limit_missed]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); NaN if there are no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def milliseconds(seconds: Sequence[float]) -> str:
    """`p50 31 ms, p99 88 ms (200)`."""
    shown = ", ".join(
        f"p{round(share * 100)} {quantile(seconds, share) * 1000:.0f} ms" for share in (0.5, 0.99)
    )
    return f"{shown} ({len(seconds)})"


def render_table(rows: Sequence[Row]) -> str:
    """The table as text; the notes of a row are below it."""
    cells = [_HEADS, *((row.name, row.measured, row.limit, row.peer, row.verdict) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = []
    for number, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths).rstrip())
        else:
            lines += (f"    {note}" for note in rows[number - 1].notes)
    return "\n".join(lines)
