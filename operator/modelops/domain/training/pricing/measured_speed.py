"""Speeds of finished trainings, kept in the record: the next estimate of the same kind uses them."""

from __future__ import annotations

import math
from typing import Final

from modelops.domain.job_report import JobReport
from modelops.domain.record import Record, TrainingSpeeds
from modelops.domain.training.state import State

MAX_RUNS: Final = 8
"""Newest measurements that are kept of a flavor, method and base model."""
MAX_KINDS: Final = 32
"""Combinations of flavor, method and base model; the ones trained last are kept."""
CREDIBLE_SPEED: Final = (0.01, 1e7)
"""Tokens per second; a value outside this range is an error of the job."""


def with_measured_speed(state: State, record: Record) -> Record:
    """The record with the speed of the attempt that is being settled, if its job reported one."""
    speed = measured_speed(state)
    if speed is None or state.reservation_key in record.settlements:
        return record
    run = state.run
    kind = {
        "flavor": state.require_estimate().flavor,
        "method": run.spec.method.value,
        "base_model": run.base_model,
    }
    old = next((s for s in record.speeds if s.matches(**kind)), None)
    known = old.tokens_per_second if old else ()
    new = TrainingSpeeds(**kind, tokens_per_second=(*known, speed)[-MAX_RUNS:])
    others = tuple(s for s in record.speeds if s is not old)
    return record.with_(speeds=(*others, new)[-MAX_KINDS:])


def measured_speed(state: State) -> float | None:
    """Tokens per second of the training, counted as status.dataset.tokens counts them.

    The next estimate counts in the same way, so it is right even if the tokenizer makes more tokens than were assumed.
    None if the job did not train long enough to measure its speed.
    """
    report, dataset = state.report, state.run.status.dataset
    if not isinstance(report, JobReport) or dataset is None or state.run.status.estimate is None:
        return None
    has_measurement = report.kind == "done" or report.failure == "too_slow"
    seconds = report.metrics.get("seconds_per_step", 0.0)
    if not has_measurement or seconds <= 0 or report.step <= 0:
        return None
    speed = dataset.tokens * report.epoch / report.step / seconds
    return _rounded(speed) if CREDIBLE_SPEED[0] <= speed <= CREDIBLE_SPEED[1] else None


def measured_speeds(record: Record | None, *, method: str, base_model: str) -> dict[str, tuple[float, ...]]:
    """Tokens per second of earlier runs of the method on the base model, by flavor."""
    speeds = record.speeds if record else ()
    return {s.flavor: s.tokens_per_second for s in speeds if s.matches(s.flavor, method, base_model)}


def _rounded(value: float) -> float:
    """Rounded to four digits, the precision of the measurement."""
    return round(value, 3 - math.floor(math.log10(value)))
