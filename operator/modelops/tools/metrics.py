"""The metrics of a rollout in words for a person."""

from __future__ import annotations

from modelops.api.v1alpha1.analysis_metrics import MetricPhase, MetricStatus
from modelops.api.v1alpha1.rollout import Rollout
from modelops.grammar import counted


def metric_lines(rollout: Rollout) -> tuple[str, ...]:
    """One sentence for each metric of Prometheus and LangSmith; empty without any."""
    analysis = rollout.status.analysis
    return tuple(f"{one.name}: {metric_words(one)}" for one in (analysis.metrics if analysis else ()))


def metric_words(metric: MetricStatus) -> str:
    """What was measured last, and what counted so far."""
    counts = [
        counted(number, noun)
        for number, noun in (
            (metric.failed, "failure"),
            (metric.inconclusive, "inconclusive measurement"),
            (metric.consecutive_errors, "error"),
        )
        if number
    ]
    in_a_row = " in a row" if metric.consecutive_errors else ""
    said = metric.message if metric.phase is not MetricPhase.PENDING else "not measured yet"
    known = f"{metric.phase.value}, {said}" if metric.phase is not MetricPhase.PENDING else said
    all_counts = f" ({', '.join(counts)}{in_a_row})" if counts else ""
    return f"{known}{all_counts}{'; only reported (dryRun)' if metric.dry_run else ''}"
