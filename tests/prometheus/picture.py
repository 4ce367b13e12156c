"""Draws a dashboard from Prometheus' answers as SVG: titles, axes with units, and lines. It is not Grafana's look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tests.prometheus.server import Series

WIDTH, COLUMNS, ROW_HEIGHT = 1200, 24, 30
COLORS = ("#3274d9", "#e0752d", "#299c46", "#a352cc", "#c4162a", "#8f6d00", "#1f78c1", "#666666")
LEGEND_ENTRIES = 4
_FONT = 'font-family="sans-serif"'


def draw(board: Mapping[str, Any], answers: Mapping[tuple[str, str], Sequence[tuple[str, Series]]]) -> str:
    """The picture. `answers`: by title of the panel and expression, each series with its name."""
    parts, bottom = [], 0
    for panel in board["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * WIDTH / COLUMNS, place["y"] * ROW_HEIGHT + 40
        width, height = place["w"] * WIDTH / COLUMNS, place["h"] * ROW_HEIGHT
        bottom = max(bottom, y + height)
        if panel["type"] == "row":
            parts.append(_text(8, y + 20, panel["title"], size=15, weight="bold"))
            continue
        series = [s for target in panel["targets"] for s in answers.get((panel["title"], target["expr"]), ())]
        parts.append(_panel(panel, series, x + 4, y + 4, width - 8, height - 8))
    title = _text(8, 26, board["title"], size=20, weight="bold")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 8}" {_FONT}>\n'
        f'<rect width="100%" height="100%" fill="#f4f5f5"/>\n{title}\n' + "\n".join(parts) + "\n</svg>\n"
    )


def shown(value: float, unit: str) -> str:
    """The value in the panel's unit."""
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "currencyUSD":
        return f"${value:.3g}"
    if unit == "bytes":
        return f"{value / 2**20:.4g} MiB"
    if unit == "s":
        return f"{value:.3g} s" if value < 120 else f"{value / 60:.3g} min"
    return f"{value:.4g}" + {"reqps": " req/s", "ops": " /s"}.get(unit, "")


def _panel(
    panel: Mapping[str, Any],
    series: list[tuple[str, Series]],
    x: float,
    y: float,
    width: float,
    height: float,
) -> str:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    frame = (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" fill="#fff" stroke="#ccc"/>'
        + _text(x + 8, y + 18, panel["title"], size=13, weight="bold")
    )
    kept = [(name, [point for point in found.points if math.isfinite(point[1])]) for name, found in series]
    kept = [(name, points) for name, points in kept if points]
    if not kept:
        return frame + _text(x + width / 2 - 24, y + height / 2 + 6, "no data", size=13, color="#888")
    if panel["type"] == "stat":
        return frame + _text(
            x + 12, y + height / 2 + 22, shown(kept[0][1][-1][1], unit), size=30, color="#299c46"
        )
    return frame + _lines(kept, unit, x + 78, y + 30, width - 92, height - 88)


def _lines(
    series: list[tuple[str, list[tuple[float, float]]]],
    unit: str,
    x: float,
    y: float,
    width: float,
    height: float,
) -> str:
    times = [at for _, points in series for at, _ in points]
    values = [value for _, points in series for _, value in points]
    first, last = min(times), max(max(times), min(times) + 1)
    low, high = min(0.0, *values), max(*values, 0.0)
    high = high if high > low else low + 1
    parts = []
    for share in (0.0, 0.5, 1.0):
        level, value = y + height * (1 - share), low + (high - low) * share
        parts.append(
            f'<line x1="{x:.0f}" x2="{x + width:.0f}" y1="{level:.1f}" y2="{level:.1f}" stroke="#e4e4e4"/>'
            + _text(x - 6, level + 4, shown(value, unit), size=10, color="#555", anchor="end")
        )
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        seconds = f"{(last - first) * share:.0f} s"
        parts.append(_text(x + width * share, y + height + 15, seconds, size=10, color="#555", anchor=anchor))
    for number, (_, points) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        places = [
            (x + (at - first) / (last - first) * width, y + height - (value - low) / (high - low) * height)
            for at, value in points
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2" fill="{color}"/>' for px, py in places[-1:]]
    for number, (name, _) in enumerate(series[:LEGEND_ENTRIES]):
        lx, ly = x - 60 + (number % 2) * (width + 60) / 2, y + height + 32 + number // 2 * 15
        parts.append(
            f'<rect x="{lx:.0f}" y="{ly - 8:.0f}" width="9" height="9" fill="{COLORS[number % len(COLORS)]}"/>'
            + _text(lx + 14, ly, _short(name), size=10, color="#333")
        )
    if len(series) > LEGEND_ENTRIES:
        more = f"and {len(series) - LEGEND_ENTRIES} more"
        parts.append(_text(x + width, y - 18, more, size=10, color="#888", anchor="end"))
    return "".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= 44 else f"{name[:43]}…"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    weight: str = "normal",
    color: str = "#222",
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
