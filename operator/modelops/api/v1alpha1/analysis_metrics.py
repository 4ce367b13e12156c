"""Metrics of Prometheus and LangSmith that a canary is analysed by, beside the agents' reports: spec and status."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, exactly_one, matches, rules
from modelops.api.v1alpha1.meta import ApiModel, Measured, ObjectName, StatusModel

VARIABLES: Final = ("agent", "namespace", "version", "track", "rollout", "window")
"""What a query may have in double braces."""
MOST_METRICS: Final = 8

_NUMBER = r"-?[0-9]+([.][0-9]+)?([eE]-?[0-9]{1,3})?"
_OPERAND = rf"(value|stable|{_NUMBER})"
_SUM = rf"{_OPERAND}( *[-+*/] *{_OPERAND}){{0,8}}"
_COMPARISON = rf"{_SUM} *(<=|>=|==|!=|<|>) *{_SUM}"
CONDITION: Final = rf"^ *{_COMPARISON}( *(&&|[|][|]) *{_COMPARISON}){{0,4}} *$"
"""The whole grammar of a condition: it has no brackets, so a regular expression says all of it."""
_QUERY = r"^([^{]|[{][^{]|[{][{] ?(" + "|".join(VARIABLES) + r") ?[}][}])*$"
_URL = r"^https?://[^\s@?#]+$"
_KEY = r"^[A-Za-z_][A-Za-z0-9_.-]*$"


class PrometheusTemplate(StrEnum):
    """Queries over the operator's own metrics of a canary, from the agents' reports."""

    ERROR_RATIO = "errorRatio"
    LATENCY = "latency"
    COST_PER_REQUEST = "costPerRequest"
    FALLBACK_RATIO = "fallbackRatio"


class PrometheusMetric(
    ApiModel, json_schema_extra=rules(exactly_one("query", "template", where="a metric of prometheus"))
):
    """A number that Prometheus computes; exactly one of query and template is set."""

    query: (
        Annotated[
            str,
            matches(
                _QUERY,
                f"write only these in double braces: {', '.join(VARIABLES)}, such as {{{{version}}}}",
            ),
        ]
        | None
    ) = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="PromQL whose result is one number. {{agent}}, {{namespace}}, {{version}}, {{track}} (canary or "
        "stable) and {{rollout}} are replaced inside quotes, and {{window}} by windowSeconds, such as `300s`.",
    )
    template: PrometheusTemplate | None = Field(
        default=None,
        description="Query over the operator's own metrics, which Prometheus must scrape: errorRatio (0 to 1), latency "
        "(95th percentile, in milliseconds), costPerRequest (US dollars) or fallbackRatio (0 to 1), of the canary's "
        "requests.",
    )
    window_seconds: int = Field(
        default=300,
        ge=10,
        le=86400,
        description="Seconds that a template looks back, and the value of {{window}}. It should have at least four "
        "scrapes.",
    )


class LangSmithMeasure(StrEnum):
    """What is measured of an agent's production runs."""

    ERROR_RATE = "errorRate"
    LATENCY_P50 = "latencyP50"
    LATENCY_P95 = "latencyP95"
    FEEDBACK = "feedback"
    COST_PER_RUN = "costPerRun"


class LangSmithMetric(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "has(self.feedbackKey) == (self.measure == 'feedback')",
            "feedbackKey is required with measure feedback, and has no meaning with another measure",
            field="feedbackKey",
        )
    ),
):
    """A number of the canary's root runs in the AgentModel's langsmith.project."""

    measure: LangSmithMeasure = Field(
        description="What is measured: errorRate (0 to 1), latencyP50 or latencyP95 (in milliseconds), feedback (the "
        "mean score of feedbackKey, from people or from LangSmith's evaluators), or costPerRun (US dollars)."
    )
    feedback_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=180,
        description="Key of the feedback, as LangSmith names it. Empty with another measure.",
    )
    version_key: Annotated[
        str, matches(_KEY, "write the key of a run's metadata, such as `modelops_version`")
    ] = Field(
        default="modelops_version",
        pattern=_KEY,
        max_length=63,
        description="Key of the runs' metadata whose value is the version that answered: the router's "
        "`route.version`.",
    )
    window_seconds: int = Field(
        default=3600,
        ge=60,
        le=604800,
        description="Age of the oldest run that counts, in seconds. The newest 1,000 runs of it are read.",
    )
    min_runs: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Number of runs, with feedback those that have it, below which nothing is known: the rollout "
        "holds.",
    )


def _condition(what: str) -> tuple[Any, ...]:
    return (
        matches(
            CONDITION,
            "write comparisons of value, stable and numbers, such as `value < 0.05` or `value - stable < 0.02`, joined "
            "by && or ||, without brackets",
        ),
        Field(min_length=1, max_length=256, description=what),
    )


SuccessCondition = Annotated[str, *_condition("Comparison that must hold for a measurement to be good.")]
FailureCondition = Annotated[str, *_condition("Comparison that makes a measurement a failure.")]


def _stable_is_asked_for(name: str) -> Rule:
    return Rule(
        f"!has(self.{name}) || !self.{name}.contains('stable') || !has(self.prometheus) || "
        "!has(self.prometheus.query) || self.prometheus.query.matches('[{][{] ?(version|track) ?[}][}]')",
        f"{name} compares with stable, so the query must have {{{{version}}}} or {{{{track}}}}: it is asked once for "
        "each of both models",
        field=name,
    )


class AnalysisMetric(
    ApiModel,
    json_schema_extra=rules(
        exactly_one("prometheus", "langsmith", where="a metric of the analysis"),
        Rule(
            "has(self.successCondition) || has(self.failureCondition) || (has(self.dryRun) && self.dryRun)",
            "a metric needs successCondition or failureCondition, or dryRun: true, which only reports it",
        ),
        _stable_is_asked_for("successCondition"),
        _stable_is_asked_for("failureCondition"),
    ),
):
    """One number that is measured while the canary has traffic, and what follows from it.

    A measurement is a failure where failureCondition holds, good where successCondition holds, and otherwise
    inconclusive. With one condition alone the other one is its opposite. No data, NaN or no answer is an error.
    """

    name: ObjectName = Field(description="Name of the metric, unique in the list.")
    prometheus: PrometheusMetric | None = Field(
        default=None,
        description="Asks Prometheus: that of the AgentModel's analysis.prometheus, otherwise the installation's.",
    )
    langsmith: LangSmithMetric | None = Field(
        default=None, description="Asks LangSmith about the runs of production."
    )
    success_condition: SuccessCondition | None = Field(
        default=None,
        description="Comparison that must hold for a measurement to be good, such as `value < 0.05` or "
        "`value - stable < 0.02`. The weight is raised, and the candidate promoted, only after a good measurement in "
        "the current step.",
    )
    failure_condition: FailureCondition | None = Field(
        default=None,
        description="Comparison that makes a measurement a failure, such as `value > 0.10`. If it is empty, a "
        "measurement that is not good is a failure.",
    )
    interval_seconds: int = Field(
        default=60, ge=10, le=86400, description="Seconds between two measurements."
    )
    initial_delay_seconds: int = Field(
        default=0,
        ge=0,
        le=86400,
        description="Seconds from the canary's first traffic until the first measurement.",
    )
    failure_limit: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Number of failures that are allowed. With one more the rollout is aborted.",
    )
    inconclusive_limit: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Number of inconclusive measurements that are allowed. With one more the rollout holds its weight "
        "and asks a person.",
    )
    consecutive_error_limit: int = Field(
        default=4,
        ge=0,
        le=1000,
        description="Number of errors in a row from which on the rollout says so with the reason MetricUnavailable, "
        "after one more. It holds its weight from the first error on; errors alone never abort.",
    )
    dry_run: bool = Field(
        default=False,
        description="True only reports the metric: nothing waits for it, and it aborts nothing.",
    )


class MetricPhase(StrEnum):
    """What the last measurement of a metric was."""

    PENDING = "Pending"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


class MetricStatus(StatusModel):
    """The last measurement of one metric, and the counts that decide."""

    name: str = Field(max_length=63, description="Name of the metric.")
    phase: MetricPhase = Field(
        default=MetricPhase.PENDING,
        description="What the last measurement was: Pending before the first one, Successful, Failed, Inconclusive or "
        "Error.",
    )
    value: Measured = Field(default="", description="Last value of the canary. Empty before the first one.")
    stable: Measured = Field(
        default="", description="Last value of the stable model. Empty if no condition compares with it."
    )
    failed: int = Field(default=0, ge=0, description="Number of failures since the canary got traffic.")
    inconclusive: int = Field(
        default=0,
        ge=0,
        description="Number of inconclusive measurements since the canary got traffic, or since the rollout was "
        "paused and resumed.",
    )
    consecutive_errors: int = Field(
        default=0, ge=0, description="Number of errors since the last measurement that had a value."
    )
    dry_run: bool = Field(default=False, description="Whether the metric is only reported.")
    message: str = Field(
        default="", max_length=512, description="Value and condition, or what went wrong, for people."
    )
    started_at: datetime | None = Field(
        default=None, description="Time from which initialDelaySeconds counts: the canary's first traffic."
    )
    measured_at: datetime | None = Field(
        default=None,
        description="Time of the last measurement that is written down; good ones are written every minute. Empty "
        "before the first.",
    )


METRICS_LIST: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}


class PrometheusAddress(ApiModel):
    """The Prometheus that this agent's metrics are asked from."""

    url: Annotated[
        str,
        matches(
            _URL,
            "write an http or https URL without user, password, query and fragment; a token goes into a Secret",
        ),
    ] = Field(
        pattern=_URL,
        max_length=512,
        description="Address of a Prometheus, Mimir, Thanos or VictoriaMetrics, before `/api/v1/query`, such as "
        "`http://prometheus.code-chef.svc:9090`: a Service of the same namespace, or a host of MODELOPS_MODEL_HOSTS. "
        "It is sent the token in secretRefs.prometheus, if there is one.",
    )


class AgentAnalysis(ApiModel):
    """What every canary of this agent is analysed by."""

    prometheus: PrometheusAddress | None = Field(
        default=None,
        description="Prometheus of this agent. If it is empty, metrics are asked from the installation's "
        "(MODELOPS_PROMETHEUS_URL).",
    )
    metrics: tuple[AnalysisMetric, ...] = Field(
        default=(),
        max_length=MOST_METRICS,
        json_schema_extra=METRICS_LIST,
        description="Metrics of every Rollout with a canary. One of the same name in the Rollout's analysis.metrics "
        "takes its place.",
    )
