"""Reports of a training job: single lines of its stdout. All other lines of the log are ignored.

A line is `@@modelops:<nonce>@@ ` and then a JSON object. A log can be cut, repeated or replayed from its start, so
every line can be read alone, and reading the same lines twice changes nothing.

A line that is not of the documented form is ignored, except that a job's last line always counts: of an end with an odd
field, only that field is left out, because the end must not stay hidden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast, get_args

Kind = Literal["begin", "log", "checkpoint", "error", "done"]
Failure = Literal["", "failed", "out_of_memory", "bad_data", "never_stops", "too_slow", "already_claimed"]

KINDS: Final = frozenset(get_args(Kind))
FAILURES: Final[Mapping[int, Failure]] = {
    1: "failed",
    42: "out_of_memory",
    43: "bad_data",
    44: "never_stops",
    45: "too_slow",
    75: "already_claimed",
}
"""The failure by the exit code of the job."""

OWN_FAILURES: Final = frozenset(FAILURES.values()) - {"failed"}
"""Failures whose exit code only our trainers use, so that it tells the cause without the log."""

CAUSES_WITHOUT_A_REPORT: Final = OWN_FAILURES - {"too_slow"}
"""Those of which the exit code alone tells all that the next attempt depends on. A job that was too slow has measured
how long the next one needs, and only its report has that."""

ENDS: Final = frozenset({"error", "done"})

MAX_LINE_LENGTH: Final = 16_384
"""Characters. A longer line is ignored."""
MAX_TEXT_LENGTH: Final = 500
MAX_METRICS: Final = 64
MAX_STEPS: Final = 10**12


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """The state of a training job after all report lines that are known.

    `t` is the time of the newest line in Unix seconds by the job's clock, `began_at` the time of the first line.
    `metrics` has the newest value of each name; all values are finite. `error` and `failure` are empty unless the
    job reported an error.
    """

    kind: Kind
    t: float
    began_at: float
    step: int = 0
    max_steps: int = 0
    epoch: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    failure: Failure = ""
    repo: str = ""
    revision: str = ""
    checkpoint: int | None = None
    """Step of the last checkpoint on the Hub, 0 before the first one; None where no line says it."""
    warning: str | None = None
    """What a person should change while the job goes on; empty once a checkpoint or the model is on the Hub. None where
    no line says it."""
    warning_reason: str = ""
    """The name of the error that the warning is about, such as HubSilent; empty where the line names none."""

    @property
    def ended(self) -> bool:
        """Whether the job has reported its end."""
        return self.kind in ENDS


def failure_of(exit_code: Any) -> Failure:
    """The failure that an exit code stands for; empty for a code without a meaning of its own, and for None."""
    return FAILURES.get(exit_code, "")


def parse_reports(lines: Iterable[str], nonce: str) -> JobReport | None:
    """The job's state from these lines of its log; None where no line is a report of this run."""
    report: JobReport | None = None
    for line in lines:
        parsed = parse_line(line, nonce)
        if parsed is not None:
            report = parsed if report is None else merge_reports(report, parsed)
    return report


def parse_line(line: str, nonce: str) -> JobReport | None:
    """The report in one line.

    None for every other line: another nonce, no JSON, an unknown kind, NaN, or a value out of range.
    """
    prefix = f"@@modelops:{nonce}@@ "
    line = line.rpartition("\r")[2].strip()  # What stands before it was a progress bar.
    if not nonce or len(line) > MAX_LINE_LENGTH or not line.startswith(prefix):
        return None
    try:
        return _report(json.loads(line[len(prefix) :]))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def merge_reports(old: JobReport, new: JobReport) -> JobReport:
    """Both reports together. The later one counts; an end stays an end, and steps never decrease."""
    first, last = (new, old) if _order(new) < _order(old) else (old, new)
    return replace(
        last,
        began_at=min(first.began_at, last.began_at),
        step=max(first.step, last.step),
        max_steps=last.max_steps or first.max_steps,
        checkpoint=max((at for at in (first.checkpoint, last.checkpoint) if at is not None), default=None),
        epoch=max(first.epoch, last.epoch),
        warning=last.warning if last.warning is not None else first.warning,
        warning_reason=last.warning_reason if last.warning is not None else first.warning_reason,
        metrics={**first.metrics, **last.metrics},
    )


def _order(report: JobReport) -> tuple[bool, float, int]:
    return report.ended, report.t, report.step


def _report(payload: Any) -> JobReport:
    if payload["v"] != 1 or payload["kind"] not in KINDS:
        raise ValueError("unknown version or kind of report")
    kind = cast(Kind, payload["kind"])
    if kind in ENDS:
        payload = {name: value for name, value in payload.items() if _is_readable(name, value)}
    t = _number(payload["t"])
    model = payload.get("model") or {}
    return JobReport(
        kind=kind,
        t=t,
        began_at=t,
        step=_count(payload.get("step", 0)),
        max_steps=_count(payload.get("max_steps", 0)),
        epoch=_number(payload.get("epoch", 0.0)),
        checkpoint=_count(payload["checkpoint"]) if "checkpoint" in payload else None,
        warning=_warning(kind, payload),
        warning_reason=_text(payload.get("reason", "")) if kind == "log" and "warning" in payload else "",
        metrics=_metrics(payload.get("metrics", {})),
        error=_error(payload) if kind == "error" else "",
        failure=failure_of(payload.get("exit_code", 1)) or "failed" if kind == "error" else "",
        repo=_text(model.get("repo", "")),
        revision=_text(model.get("revision", "")),
    )


def _is_readable(name: str, value: Any) -> bool:
    """Whether the value of this optional field has the documented form; true for every other field."""
    read = _OPTIONAL.get(name)
    try:
        if read is not None:
            read(value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True


def _warning(kind: Kind, payload: Mapping[str, Any]) -> str | None:
    if kind in {"checkpoint", "done"}:
        return ""
    return _text(payload["warning"]) if "warning" in payload else None


def _model(value: Any) -> None:
    if not isinstance(value, dict | None):
        raise TypeError("not an object")


def _error(payload: Mapping[str, Any]) -> str:
    reason, message = _text(payload.get("reason", "")), _text(payload.get("message", ""))
    return f"{reason}: {message}" if reason and message else reason or message or "no reason given"


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    if len(values) > MAX_METRICS:
        raise ValueError("too many metrics")
    return {_text(name): _number(value) for name, value in values.items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_STEPS:
        raise ValueError("not a count")
    return value


def _text(value: Any) -> str:
    """Printable and short, because conditions and Events show it."""
    text = str(value)[:MAX_TEXT_LENGTH]
    return "".join(character if character.isprintable() else " " for character in text).strip()


_OPTIONAL: Final[Mapping[str, Callable[[Any], object]]] = {
    "step": _count,
    "max_steps": _count,
    "checkpoint": _count,
    "epoch": _number,
    "metrics": _metrics,
    "exit_code": failure_of,
    "model": _model,
}
