"""The confidence interval as a picture (SVG): where the margin is, where zero is, and where the candidate is."""

from __future__ import annotations

from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.report.content import Report

WIDTH, HEIGHT, BORDER = 640, 132, 40
COLOURS = {Verdict.PASS: "#1a7f37", Verdict.FAIL: "#cf222e", Verdict.INCONCLUSIVE: "#9a6700"}
TICKS = (1, 2, 5, 10, 20, 25, 50)
"""Distances between the axis' numbers, in points: the first that gives at most nine of them."""


def interval_picture(report: Report) -> str:
    """A whole SVG document, on a white ground, so that it can be read on a dark page, too."""
    lowest = min(report.low, -report.margin, 0.0)
    highest = max(report.high, 0.0)
    space = max(1.0, (highest - lowest) * 0.12)
    low, high = lowest - space, highest + space

    def x(points: float) -> float:
        return round(BORDER + (points - low) / (high - low) * (WIDTH - 2 * BORDER), 1)

    colour, middle = COLOURS[report.verdict], 62
    step = next((tick for tick in TICKS if (high - low) / tick <= 9), 50)
    first = int(low // step) + 1
    ticks = "".join(
        f'<line x1="{x(at)}" y1="94" x2="{x(at)}" y2="99"/>'
        f'<text x="{x(at)}" y="114" text-anchor="middle" stroke="none">{at:+d}</text>'
        for at in range(first * step, int(high) + 1, step)
    ).replace("+0<", "0<")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">'
        f"<title>{_sentence(report)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<g stroke="#57606a" fill="#57606a"><line x1="{BORDER}" y1="94" x2="{WIDTH - BORDER}" y2="94"/>'
        f"{ticks}</g>"
        f'<line x1="{x(0)}" y1="34" x2="{x(0)}" y2="94" stroke="#57606a"/>'
        f'<text x="{x(0)}" y="26" text-anchor="middle" fill="#24292f">equal</text>'
        f"{_margin_line(report, x(-report.margin), beside=abs(x(-report.margin) - x(0)))}"
        f'<line x1="{x(report.low)}" y1="{middle}" x2="{x(report.high)}" y2="{middle}" stroke="{colour}" '
        f'stroke-width="6" stroke-linecap="round"/>'
        f'<circle cx="{x(report.difference)}" cy="{middle}" r="8" fill="{colour}" stroke="#fff" stroke-width="2"/>'
        f'<text x="{x(report.difference)}" y="{middle + 24}" text-anchor="middle" fill="{colour}" '
        f'font-weight="600">{report.difference:+.1f} points</text>'
        "</svg>\n"
    )


def _margin_line(report: Report, at: float, *, beside: float) -> str:
    """The dashed line of the margin, with its name above, or below that of zero where the two are close."""
    if report.margin == 0:
        return ""
    anchor = "middle" if beside > 60 else "end"
    return (
        f'<line x1="{at}" y1="34" x2="{at}" y2="94" stroke="#cf222e" stroke-dasharray="5 4"/>'
        f'<text x="{at}" y="26" text-anchor="{anchor}" fill="#cf222e">margin -{report.margin:g}</text>'
    )


def _sentence(report: Report) -> str:
    return (
        f"Difference {report.difference:+.1f} points, interval {report.low:+.1f} to {report.high:+.1f}, "
        f"margin {report.margin:g}: {report.verdict.value}"
    )
