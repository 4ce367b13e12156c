"""How fast trainings were, kept in the record: an estimate against what came of it corrects the next of its kind."""

from __future__ import annotations

import math
from typing import Final

from modelops.domain.job_report import JobReport
from modelops.domain.record import Record, Speeds
from modelops.domain.training.state import State

MAX_RUNS: Final = 8
"""Of a kind: the newest ones count."""
MAX_KINDS: Final = 32
CREDIBLE_SPEED: Final = (0.01, 1e7)
"""Tokens per second; what is outside is a mistake of the job's."""


def with_measured_speed(state: State, record: Record) -> Record:
    """The record with the speed of the attempt that is being settled, where its job told one."""
    speed = measured_speed(state)
    if speed is None or state.reservation_key in record.settlements:
        return record
    run = state.run
    kind = {
        "flavor": state.require_estimate().flavor,
        "method": run.spec.method.value,
        "base_model": run.base_model,
    }
    old = next((s for s in record.speeds if s.is_of(**kind)), None)
    known = old.tokens_per_second if old else ()
    new = Speeds(**kind, tokens_per_second=(*known, speed)[-MAX_RUNS:])
    others = tuple(s for s in record.speeds if s is not old)
    return record.with_(speeds=(*others, new)[-MAX_KINDS:])


def measured_speed(state: State) -> float | None:
    """Tokens per second of the training, in the tokens that the dataset was estimated to have.

    So that the next estimate, which counts the same way, is right also where the tokenizer makes more of a text
    than was assumed. None where the job did not train long enough to say so.
    """
    report, dataset = state.report, state.run.status.dataset
    if not isinstance(report, JobReport) or dataset is None or state.run.status.estimate is None:
        return None
    told = report.kind == "done" or report.failure == "too_slow"
    seconds = report.metrics.get("seconds_per_step", 0.0)
    if not told or seconds <= 0 or report.step <= 0:
        return None
    speed = dataset.tokens * report.epoch / report.step / seconds
    return _rounded(speed) if CREDIBLE_SPEED[0] <= speed <= CREDIBLE_SPEED[1] else None


def measured_speeds(record: Record | None, *, method: str, base_model: str) -> dict[str, tuple[float, ...]]:
    """Tokens per second of earlier runs of the method on the base model, by flavor."""
    speeds = record.speeds if record else ()
    return {s.flavor: s.tokens_per_second for s in speeds if s.is_of(s.flavor, method, base_model)}


def _rounded(value: float) -> float:
    """Four digits: more were never measured."""
    return round(value, 3 - math.floor(math.log10(value)))
