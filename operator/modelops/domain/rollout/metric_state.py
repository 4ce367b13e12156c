"""The metrics of a rollout as the decision knows them: which there are, their counts, and what is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelops.api.v1alpha1.analysis_metrics import AnalysisMetric, MetricStatus
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.metrics.counting import MetricReading, counted
from modelops.domain.metrics.schedule import due_since
from modelops.domain.rollout.state import State

MetricReadings = Mapping[str, MetricReading | None]
"""By the metric's name; None where the provider was asked and has not answered yet."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A metric, its counts in the status, and with what was read since."""

    metric: AnalysisMetric
    written: MetricStatus
    now: MetricStatus
    rollout: str
    """Namespace and name."""

    def due_since(self, known: MetricStatus, now: datetime) -> datetime | None:
        """As `schedule.due_since`, of one of the two counts."""
        return due_since(self.metric, known, now, rollout=self.rollout)


def metrics_of(state: State) -> tuple[AnalysisMetric, ...]:
    """The Rollout's metrics, and those of the AgentModel that have another name."""
    own = state.rollout.spec.analysis.metrics
    agent = state.agent_model.spec.analysis if state.agent_model is not None else None
    names = {metric.name for metric in own}
    return (*own, *(metric for metric in (agent.metrics if agent else ()) if metric.name not in names))


def canary_has_traffic(state: State) -> bool:
    """Whether the metrics are measured: never before the canary, nor once a promotion was decided."""
    intent = state.rollout.status.intent
    return (
        intent is not None
        and intent.weight > 0
        and intent.state != "Promoting"
        and not state.rollout.status.promoting
        and state.holds_agent_lock
    )


def watched_metrics(state: State) -> tuple[Watched, ...]:
    """Each metric with its counts; empty while none is measured."""
    metrics = metrics_of(state)
    if not metrics or not canary_has_traffic(state):
        return ()
    analysis = state.rollout.status.analysis
    known = {status.name: status for status in (analysis.metrics if analysis else ())}
    readings: MetricReadings = (
        {} if state.metrics is UNSEEN or isinstance(state.metrics, Outage) else state.metrics
    )
    return tuple(_watched(state, metric, known.get(metric.name), readings) for metric in metrics)


def _watched(
    state: State, metric: AnalysisMetric, known: MetricStatus | None, readings: MetricReadings
) -> Watched:
    written = known or MetricStatus(
        name=metric.name, dry_run=metric.dry_run, started_at=state.now.replace(microsecond=0)
    )
    reading = readings.get(metric.name)
    return Watched(
        metric=metric,
        written=written,
        now=counted(metric, written, reading) if reading is not None else written,
        rollout=f"{state.rollout.metadata.namespace}/{state.rollout.metadata.name}",
    )


def metrics_in_status(state: State) -> tuple[MetricStatus, ...]:
    """What the next write of the status says of the metrics: the newest counts, or those of before."""
    watched = watched_metrics(state)
    if watched:
        return tuple(one.now for one in watched)
    analysis = state.rollout.status.analysis
    return analysis.metrics if analysis is not None else ()


def due_metrics(state: State) -> tuple[Watched, ...]:
    """Those whose next measurement is due, by what the status has."""
    return tuple(one for one in watched_metrics(state) if one.due_since(one.written, state.now) is not None)
