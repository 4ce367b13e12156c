"""Prints a story as a timeline: the time, how long it lasted, what it was, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelops.cli import output

if TYPE_CHECKING:
    from modelops.tools.results import StoryLine

_BAD, _GOOD = "31", "32"
"""ANSI: red and green."""


def print_story(story: Sequence[StoryLine]) -> None:
    """A line for each; a new day has a line of its own."""
    from modelops.tools.durations import duration

    width = max(len(line.what) for line in story)
    indent = 2 + 8 + 3 + 10 + 3 + width + 3
    day, before = "", ""
    for line in story:
        if (today := f"{line.at:%Y-%m-%d}") != day:
            day, before = today, ""
            print(f"  {today}")
        clock = f"{line.at:%H:%M:%S}"
        lasted = duration(line.seconds) if line.seconds is not None and line.seconds >= 0.05 else ""
        shown = clock if clock != before else ""
        text = f"  {shown:<8}   {lasted:>10}   {line.what:<{width}}   {with_numbers(line)}".rstrip()
        first, *more = output.wrapped(text, indent=indent).split("\n")
        print(_coloured(first, line, at=indent - width - 3))
        for rest in more:
            print(rest)
        before = clock


def with_numbers(line: StoryLine) -> str:
    """The text, with the sessions of the canary where it had some."""
    if line.sessions is None or not line.weight or line.reason == "Aborting":
        return line.text
    share = f" ({100 * (line.failed_sessions or 0) / line.sessions:.1f} %)" if line.sessions else ""
    evidence = f", evidence {_evidence(line.evidence)} (100 aborts)" if line.evidence else ""
    sessions = "1 session" if line.sessions == 1 else f"{line.sessions:,} sessions"
    return f"{line.text}; at its end {sessions}, {line.failed_sessions or 0:,} failed{share}{evidence}"


def _coloured(text: str, line: StoryLine, *, at: int) -> str:
    """The line with the word of what happened in colour, where stdout is a terminal that shows it."""
    code = _BAD if line.bad else _GOOD if line.reason in ("Promoted", "EvaluationPassed") else ""
    if not code:
        return text
    return text[:at] + output.styled(line.what, code) + text[at + len(line.what) :]


def _evidence(text: str) -> str:
    """The evidence without an exponent; what is far above the limit is not told exactly."""
    value = float(text)
    return "over 1,000" if value > 1000 else f"{value:.3g}" if value >= 0.01 else "below 0.01"
