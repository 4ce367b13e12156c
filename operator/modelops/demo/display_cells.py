"""Cells of the live view: bars, a sparkline, and short texts made from a status."""

from __future__ import annotations

from rich.text import Text

from modelops.demo.display_state import Json
from modelops.demo.formatting import percent

_PHASE_STYLES = {"Succeeded": "green", "Rejected": "red", "Aborted": "red", "Failed": "red"}
_SPARKLINE_CHARACTERS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 24


def phase_text(status: Json) -> Text:
    """Phase and reason, in the colour of the phase."""
    phase, reason = str(status.get("phase", "")), str(status.get("reason", ""))
    shown = phase if reason == phase else f"{phase} {reason}"
    return Text(shown, _PHASE_STYLES.get(phase, "bold"))


def bar(done: int) -> str:
    """A progress bar. `done`: percent."""
    full = round(_BAR_WIDTH * done / 100)
    return "█" * full + "░" * (_BAR_WIDTH - full)


def sparkline(losses: tuple[float, ...]) -> str:
    """The last losses as block characters, the lowest loss as the lowest block."""
    shown = losses[-_BAR_WIDTH:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(
        _SPARKLINE_CHARACTERS[round((loss - low) / span * (len(_SPARKLINE_CHARACTERS) - 1))] for loss in shown
    )


def gate_summary(evaluation: Json) -> Text:
    """The gate's verdict, both success rates and the interval of their difference in percentage points.

    Before the verdict: how probable a pass is.
    """
    plan = evaluation.get("plan")
    if not evaluation.get("verdict"):
        return Text(f"an equal model passes with {percent(plan['passIfEqual'])}" if plan else "")
    passed = evaluation.get("verdict") == "pass"
    base, candidate = evaluation.get("baseline") or {}, evaluation.get("candidate") or {}
    interval = ", ".join(evaluation.get("intervalPoints") or ())
    change = f"{percent(base.get('success'))} -> {percent(candidate.get('success'))}"
    return Text(f"{evaluation.get('verdict')}: {change}  [{interval}]", "green" if passed else "red")


def analysis_summary(status: Json) -> str:
    """How long the canary has been healthy, and the analysis' message."""
    analysis = status.get("analysis") or {}
    healthy = analysis.get("healthySeconds")
    message = str(analysis.get("message") or "")
    return f"{healthy} s healthy  {message}" if healthy else message


def request_count(agent: Json, version: str, style: str) -> Text:
    """Requests of an agent to a version, with the failed ones in red."""
    count, errors = agent["requests"].get(version, 0), agent["errors"].get(version, 0)
    text = Text(f"{count:,}" if count else "", style)
    if errors:
        text.append(f" ({errors} failed)", "red")
    return text
