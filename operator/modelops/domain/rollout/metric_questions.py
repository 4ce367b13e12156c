"""What is asked of a provider for one metric: for the canary and, where a condition compares, for the stable model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelops.api.v1alpha1.analysis_metrics import AnalysisMetric
from modelops.domain.metrics.promql import QueryError, query_of
from modelops.domain.rollout.state import State
from modelops.ports import LangSmithQuestion, MetricQuestion, PrometheusQuestion, Refused

Track = Literal["canary", "stable"]


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the providers are asked, and with which tokens. A problem says why one cannot be asked."""

    prometheus_url: str = ""
    prometheus_token: str = ""
    prometheus_problem: str = ""
    langsmith_key: str = ""


def question_of(state: State, metric: AnalysisMetric, track: Track, access: Access) -> MetricQuestion:
    """Raises Refused where nothing can be asked; the message says what to correct."""
    if metric.prometheus is not None:
        if access.prometheus_problem:
            raise Refused(access.prometheus_problem)
        try:
            query = query_of(metric.prometheus, variables(state, track))
        except QueryError as error:
            raise Refused(f"the query: {error}") from None
        return PrometheusQuestion(url=access.prometheus_url, token=access.prometheus_token, query=query)
    asked = metric.langsmith
    assert asked is not None  # The API takes exactly one provider.
    settings = state.require_agent_model().spec.langsmith
    if settings is None or not settings.project:
        raise Refused("the AgentModel names no LangSmith project: set spec.langsmith.project")
    if not access.langsmith_key:
        raise Refused("the AgentModel has no usable LangSmith key: set spec.secretRefs.langsmith")
    version = variables(state, track)["version"]
    if not version:
        raise Refused(f"the {track} model has no version, by which its runs are found")
    return LangSmithQuestion(
        key=access.langsmith_key,
        project=settings.project,
        measure=asked.measure.value,
        feedback_key=asked.feedback_key or "",
        version_key=asked.version_key,
        version=version,
        window_seconds=asked.window_seconds,
        min_runs=asked.min_runs,
    )


def variables(state: State, track: Track) -> dict[str, str]:
    """The variables of a query."""
    metadata, record = state.rollout.metadata, state.require_record()
    canary = state.rollout.status.candidate.version if state.rollout.status.candidate else ""
    return {
        "agent": record.agent,
        "namespace": metadata.namespace,
        "rollout": metadata.name,
        "track": track,
        "version": canary if track == "canary" else record.stable.version or "",
    }
