"""What a training job says on its stdout: one line per report, everything else in a log is noise.

A line is `@@modelops:<nonce>@@ ` and then a JSON object. A log may be cut, repeated or replayed from its
start, so every line stands alone and folding the same lines twice changes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn, cast, get_args

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
"""By the exit code that the job is about to end with."""

LONGEST_LINE: Final = 16_384
"""Characters; a longer line is noise."""
LONGEST_TEXT: Final = 500
MOST_METRICS: Final = 64
MOST_STEPS: Final = 10**12


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """The state of a training job as its lines add up.

    `t` is Unix seconds by the job's clock, `began_at` the `t` of the first line known. `metrics` are the
    newest value of each name; all are finite. `error` and `failure` are empty unless the job reported one.
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

    @property
    def ended(self) -> bool:
        """Whether the job said its last word."""
        return self.kind in {"error", "done"}


def parse_reports(lines: Iterable[str], nonce: str) -> JobReport | None:
    """The state that these lines of a log add up to; None where none of them is a report of this run."""
    report: JobReport | None = None
    for line in lines:
        said = parse_line(line, nonce)
        if said is not None:
            report = said if report is None else merged(report, said)
    return report


def parse_line(line: str, nonce: str) -> JobReport | None:
    """One line; None where it is noise: another nonce, no JSON, an unknown kind, NaN, impossible values."""
    prefix = f"@@modelops:{nonce}@@ "
    line = line.strip()
    if not nonce or len(line) > LONGEST_LINE or not line.startswith(prefix):
        return None
    try:
        said = json.loads(line[len(prefix) :], parse_constant=_refused)
        return _report(said)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def merged(old: JobReport, new: JobReport) -> JobReport:
    """Both together: the later one is the state, a last word stays the last word, and steps never go back."""
    first, last = (new, old) if _order(new) < _order(old) else (old, new)
    return replace(
        last,
        began_at=min(first.began_at, last.began_at),
        step=max(first.step, last.step),
        max_steps=last.max_steps or first.max_steps,
        epoch=max(first.epoch, last.epoch),
        metrics={**first.metrics, **last.metrics},
    )


def _order(report: JobReport) -> tuple[bool, float, int]:
    return report.ended, report.t, report.step


def _report(said: Any) -> JobReport:
    if said["v"] != 1 or said["kind"] not in KINDS:
        raise ValueError("a form or kind that is not known")
    kind = cast(Kind, said["kind"])
    t = _number(said["t"])
    model = said.get("model") or {}
    return JobReport(
        kind=kind,
        t=t,
        began_at=t,
        step=_count(said.get("step", 0)),
        max_steps=_count(said.get("max_steps", 0)),
        epoch=_number(said.get("epoch", 0.0)),
        metrics=_metrics(said.get("metrics", {})),
        error=_error(said) if kind == "error" else "",
        failure=FAILURES.get(said.get("exit_code", 1), "failed") if kind == "error" else "",
        repo=_text(model.get("repo", "")),
        revision=_text(model.get("revision", "")),
    )


def _error(said: Mapping[str, Any]) -> str:
    reason, message = _text(said.get("reason", "")), _text(said.get("message", ""))
    return f"{reason}: {message}" if reason and message else reason or message or "no reason given"


def _metrics(given: Mapping[str, Any]) -> dict[str, float]:
    if len(given) > MOST_METRICS:
        raise ValueError("too many metrics")
    return {_text(name): _number(value) for name, value in given.items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_STEPS:
        raise ValueError("not a count")
    return value


def _text(value: Any) -> str:
    """Printable and short: it ends up in conditions and events."""
    text = str(value)[:LONGEST_TEXT]
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
