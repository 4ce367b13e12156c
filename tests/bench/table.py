"""The table that `make bench` ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_HEADS = ("what", "measured", "limit", "peer in the same run", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line. `over`: the limit was missed; None where there is no limit. `notes` are printed below."""

    what: str
    measured: str
    limit: str = ""
    peer: str = ""
    over: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`ok`, `over`, or nothing."""
        return {None: "", False: "ok", True: "OVER"}[self.over]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank); NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def milliseconds(seconds: Sequence[float]) -> str:
    """`p50 31 ms, p99 88 ms (200)`."""
    shown = ", ".join(
        f"p{round(share * 100)} {quantile(seconds, share) * 1000:.0f} ms" for share in (0.5, 0.99)
    )
    return f"{shown} ({len(seconds)})"


def rendered(rows: Sequence[Row]) -> str:
    """Columns as wide as they need to be, the notes of a row below it."""
    cells = [_HEADS, *((row.what, row.measured, row.limit, row.peer, row.verdict) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = []
    for number, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths).rstrip())
        else:
            lines += (f"    {note}" for note in rows[number - 1].notes)
    return "\n".join(lines)
