"""When a metric is due: at times that all rollouts with the same query and interval share, so one answer serves all.

Times of different queries are spread over the interval: a thousand rollouts do not ask at the same moment.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zlib import crc32

from modelops.api.v1alpha1.analysis_metrics import AnalysisMetric, MetricStatus

OVERDUE_SECONDS = 60.0
"""So long after it was due a measurement counts as one that does not come: the provider, or the way to it, is stuck."""


def due_since(metric: AnalysisMetric, known: MetricStatus, now: datetime, *, rollout: str) -> datetime | None:
    """The time from which on the measurement that is due now may be made; None where none is due.

    `rollout`: its namespace and name.
    """
    began = (known.started_at or now) + timedelta(seconds=metric.initial_delay_seconds)
    if now < began:
        return None
    slot = max(began, _slot(metric, now, rollout))
    return slot if known.measured_at is None or known.measured_at < slot else None


def is_overdue(metric: AnalysisMetric, known: MetricStatus, now: datetime) -> bool:
    """Whether no measurement came for an interval and a minute more."""
    began = (known.started_at or now) + timedelta(seconds=metric.initial_delay_seconds)
    last = max(began, known.measured_at) if known.measured_at else began
    return (now - last).total_seconds() > metric.interval_seconds + OVERDUE_SECONDS


def _slot(metric: AnalysisMetric, now: datetime, rollout: str) -> datetime:
    """The last of the shared times that is not after now. Only a query without variables is the same elsewhere."""
    query = metric.prometheus.query if metric.prometheus is not None else None
    asked = query if query is not None and "{{" not in query else f"{rollout}/{metric.name}"
    spread = crc32(asked.encode()) % (metric.interval_seconds * 1000) / 1000
    past = (now.timestamp() - spread) % metric.interval_seconds
    return now - timedelta(seconds=past)
