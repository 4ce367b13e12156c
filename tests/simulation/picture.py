"""The picture of design 007: what the canary's judgement catches by when, and how often it is wrong.

`python -m tests.simulation.picture` writes docs/images/canary-evidence.svg; with `--check` it compares the file with
what it would write, and exits with 1 where they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tests.simulation.rollouts import aborts, false_aborts, late, looks, quantile
from tests.simulation.sessions import Model, laws, one_request

FILE = Path(__file__).parents[2] / "docs/images/canary-evidence.svg"
NATURAL = (0.0, 0.01, 0.02, 0.03, 0.05)
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1")
FORMER = {0.5: 7, 0.8: 24, 1.0: 37}
"""Percent of equal canaries that the rule of before aborted, by sigma: measured on that build."""
WIDTH, HEIGHT, TOP, LEFT, PLOT = 860, 330, 50, 60, 360


def series() -> dict[str, list[float]]:
    """Sessions by which 90 % of canaries are aborted of which half of the requests fail, by stable's own rate."""
    found = {
        f"{history:,} sessions before": [
            quantile(
                aborts(
                    np.random.default_rng(8),
                    1000,
                    [1] * 60,
                    canary=one_request(0.5),
                    stable=one_request(natural),
                    history=history,
                    weight=0.2,
                ),
                0.9,
            )
            for natural in NATURAL
        ]
        for history in (100, 1000, 10_000)
    }
    found["after 10,000 good ones"] = [
        quantile(late(np.random.default_rng(3), 200, natural=natural, good=10_000), 0.9)
        for natural in NATURAL
    ]
    return found


def equal_aborted() -> dict[float, float]:
    """Percent of equal canaries that are aborted now, by sigma."""
    found = {}
    for sigma in FORMER:
        rng = np.random.default_rng(round(10 * sigma))
        model = Model(requests=(1, 1), sigma=sigma)
        canary, stable = laws(rng, model, model)
        stopped = aborts(
            rng,
            500,
            looks(5000),
            canary=canary,
            stable=stable,
            history=1000,
            weight=0.2,
            near=True,
        )
        found[sigma] = 100 * false_aborts(stopped)
    return found


def text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "400") -> str:
    """A line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'


def picture() -> str:
    """The SVG."""
    most, bottom = 45.0, HEIGHT - 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#444">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 22, "Half of the requests fail: sessions to an abort (90 %)", weight="600"),
    ]
    for level in (0, 10, 20, 30, 40):
        y = bottom - (bottom - TOP) * level / most
        parts += [
            f'<line x1="{LEFT}" x2="{LEFT + PLOT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            text(LEFT - 8, y + 4, str(level), anchor="end"),
        ]
    for natural in NATURAL:
        x = LEFT + PLOT * natural / NATURAL[-1]
        parts.append(text(x, bottom + 18, f"{100 * natural:.0f} %", anchor="middle"))
    parts.append(
        text(LEFT + PLOT / 2, bottom + 36, "sessions of stable that fail by themselves", anchor="middle")
    )
    for place, (name, values) in enumerate(series().items()):
        colour = COLOURS[place]
        points = [
            (LEFT + PLOT * natural / NATURAL[-1], bottom - (bottom - TOP) * value / most)
            for natural, value in zip(NATURAL, values, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, y = LEFT + 10 + 190 * (place % 2), 42 + 16 * (place // 2)
        parts += [
            f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>',
            text(x + 15, y, name),
        ]
    parts.append(text(LEFT + PLOT + 60, 22, "Equal models that are aborted", weight="600"))
    parts += _bars(equal_aborted(), x=LEFT + PLOT + 60, bottom=bottom)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bars(now: dict[float, float], *, x: float, bottom: float) -> list[str]:
    parts = []
    for place, (sigma, before) in enumerate(FORMER.items()):
        left = x + 120 * place
        for offset, value, colour in ((0, float(before), "#bbb"), (45, now[sigma], COLOURS[0])):
            height = (bottom - TOP - 20) * value / 40
            parts += [
                f'<rect x="{left + offset:.0f}" y="{bottom - height:.1f}" width="38" height="{max(height, 1):.1f}" '
                f'fill="{colour}"/>',
                text(left + offset + 19, bottom - height - 5, f"{value:.3g} %", anchor="middle"),
            ]
        parts.append(text(left + 41, bottom + 18, f"sigma {sigma}", anchor="middle"))
    parts.append(text(x, bottom + 36, "grey: the rule of before; blue: now, 500 rollouts each"))
    return parts


def main() -> int:
    """Writes the file, or compares it."""
    made = picture()
    if "--check" in sys.argv[1:]:
        if FILE.read_text() == made:
            return 0
        print(f"{FILE} is not current: run python -m tests.simulation.picture")
        return 1
    FILE.write_text(made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
