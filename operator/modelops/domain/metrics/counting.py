"""What a measurement is, good, failed, inconclusive or an error, and what it counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from modelops.api.v1alpha1.analysis_metrics import AnalysisMetric, MetricPhase, MetricStatus
from modelops.domain.metrics.conditions import ConditionError, parse, uses_stable

WRITE_SECONDS: Final = 60.0
"""Good measurements, and errors above the limit, are written to the status only so often."""


@dataclass(frozen=True, kw_only=True)
class MetricReading:
    """One answer of a provider. `problem` says why there is no value; it is for people and has no secret."""

    at: datetime
    value: float | None = None
    stable: float | None = None
    problem: str = ""


def compares_with_stable(metric: AnalysisMetric) -> bool:
    """Whether the stable model is measured, too."""
    return uses_stable(metric.success_condition) or uses_stable(metric.failure_condition)


def counted(metric: AnalysisMetric, known: MetricStatus, reading: MetricReading) -> MetricStatus:
    """The status after a reading, which counts once: one that is not newer than the last one changes nothing."""
    if known.measured_at is not None and reading.at <= known.measured_at:
        return known
    phase, message = _judged(metric, reading)
    changes = {
        "phase": phase,
        "value": _shown(reading.value),
        "stable": _shown(reading.stable) if compares_with_stable(metric) else "",
        "dry_run": metric.dry_run,
        "message": message,
        "measured_at": reading.at,
        "consecutive_errors": known.consecutive_errors + 1 if phase is MetricPhase.ERROR else 0,
        "failed": known.failed + (phase is MetricPhase.FAILED),
        "inconclusive": known.inconclusive + (phase is MetricPhase.INCONCLUSIVE),
    }
    return known.model_copy(update=changes)


def is_worth_writing(metric: AnalysisMetric, old: MetricStatus, new: MetricStatus) -> bool:
    """Whether the status must have the measurement: what counts always, and the rest once a minute."""
    if new == old:
        return False
    if (old.failed, old.inconclusive, old.phase) != (new.failed, new.inconclusive, new.phase):
        return True
    if new.phase is MetricPhase.ERROR and old.consecutive_errors <= metric.consecutive_error_limit:
        return True
    if old.measured_at is None or new.measured_at is None:
        return True
    return (new.measured_at - old.measured_at).total_seconds() >= WRITE_SECONDS


def _judged(metric: AnalysisMetric, reading: MetricReading) -> tuple[MetricPhase, str]:
    problem = reading.problem or _unusable(reading.value, "the value")
    if not problem and compares_with_stable(metric):
        problem = _unusable(reading.stable, "the value of the stable model")
    if problem or reading.value is None:
        return MetricPhase.ERROR, problem[:512]
    numbers = f"value {_shown(reading.value)}"
    if compares_with_stable(metric):
        numbers += f", stable {_shown(reading.stable)}"
    try:
        good = _holds(metric.success_condition, reading)
        bad = _holds(metric.failure_condition, reading)
    except ConditionError as error:
        return MetricPhase.ERROR, f"{numbers}: {error}"[:512]
    if bad:
        return MetricPhase.FAILED, f"{numbers}: failureCondition `{metric.failure_condition}` holds"
    if good or good is None:  # Without a successCondition what is no failure is good.
        return MetricPhase.SUCCESSFUL, numbers
    unmet = f"{numbers}: successCondition `{metric.success_condition}` does not hold"
    if bad is None:
        return MetricPhase.FAILED, unmet
    return MetricPhase.INCONCLUSIVE, f"{unmet}, nor does failureCondition `{metric.failure_condition}`"


def _holds(condition: str | None, reading: MetricReading) -> bool | None:
    if condition is None or reading.value is None:
        return None
    return parse(condition).holds(reading.value, reading.stable)


def _unusable(value: float | None, what: str) -> str:
    if value is None:
        return f"{what} is missing"
    if math.isnan(value):
        return f"{what} is NaN, which is no number: most often there were no requests in the window"
    return f"{what} is {'+' if value > 0 else '-'}Inf" if math.isinf(value) else ""


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
