"""Whether the canary is healthy: what its sessions show, beside absolute limits and what agents can reach.

The comparison with stable is in `domain.analysis`. "Not shown to be worse" and "shown to be at most so much worse" are
two statements: the first lets a pause go on, and the second is asked for by `spec.analysis.excludePoints`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.analysis import CanaryJudge, Evidence, Judgement
from modelops.domain.analysis.health import excludes, rate_below
from modelops.domain.analysis.metrics import METRICS, TOUCHED, Counts, Metric
from modelops.domain.reasons import RolloutReason
from modelops.ports import AgentReports, LatencyLimits

_TOUCHED = METRICS[TOUCHED]


class Health(StrEnum):
    HEALTHY = "Healthy"
    WAITING = "Waiting"
    BOTH_ILL = "BothIll"
    BREACHED = "Breached"


@dataclass(frozen=True, kw_only=True)
class AnalysisResult:
    """The health of the canary at one moment, with the numbers behind it."""

    health: Health
    reason: RolloutReason
    message: str


def judge_of(limits: Analysis) -> CanaryJudge:
    """A judge with the rollout's margin, which has seen no session yet."""
    return CanaryJudge(
        margin=float(Decimal(limits.max_error_points)) / 100,
        limit=float(Decimal(limits.max_error_percent)) / 100 if limits.max_error_percent else None,
    )


def latency_limits(limits: Analysis) -> LatencyLimits:
    """How much slower than stable a session of the canary may be."""
    return LatencyLimits(
        ratio=float(Decimal(limits.max_latency_ratio)), floor_ms=float(limits.latency_floor_milliseconds)
    )


def judge_canary(reports: AgentReports, limits: Analysis, evidence: Evidence) -> AnalysisResult:
    """The canary's health while it has sessions: a breach first, then what makes a pause wait.

    A canary that a tenth of the processes, at least one, cannot reach is breached: their sessions only get errors. If
    fewer cannot reach it, the weight is not raised, and the sessions decide.
    """
    return (
        shown_breach(reports, evidence, limits)
        or unreachable_breach(reports)
        or both_ill(evidence)
        or too_little_known(reports, limits, evidence)
        or AnalysisResult(
            health=Health.HEALTHY, reason=RolloutReason.Watching, message=known_words(reports, evidence)
        )
    )


def shown_breach(reports: AgentReports, evidence: Evidence, limits: Analysis) -> AnalysisResult | None:
    """The canary is shown to be worse than stable, or than the absolute limit."""
    if evidence.judgement is Judgement.OVER_LIMIT:
        return AnalysisResult(
            health=Health.BREACHED,
            reason=RolloutReason.ErrorRateBreached,
            message=f"{sessions_words(evidence, _TOUCHED)}; spec.analysis.maxErrorPercent allows "
            f"{limits.max_error_percent} %. A false alarm in under 1 of 100 rollouts",
        )
    if evidence.judgement is not Judgement.WORSE:
        return None
    metric = evidence.leading
    if metric.is_latency:
        allowed = (
            f"; a session of the canary is slow at {limits.max_latency_ratio} times what is slow on stable, from "
            f"{limits.latency_floor_milliseconds} ms on (95th percentiles {reports.canary.p95_ms} and "
            f"{reports.stable.p95_ms} ms)"
        )
    else:
        allowed = f"; {limits.max_error_points} points more are allowed"
    return AnalysisResult(
        health=Health.BREACHED,
        reason=RolloutReason.LatencyBreached if metric.is_latency else RolloutReason.ErrorRateBreached,
        message=f"worse: {sessions_words(evidence, metric)}{allowed}. A false alarm in under 1 of 100 rollouts",
    )


def unreachable_breach(reports: AgentReports) -> AnalysisResult | None:
    """Agents report that they cannot reach the canary any more."""
    unreachable = reports.canary_unreachable
    if unreachable == 0 or unreachable * 10 < reports.heard:
        return None
    return AnalysisResult(
        health=Health.BREACHED,
        reason=RolloutReason.CanaryUnreachable,
        message=f"{unreachable} of {reports.heard} agent processes cannot reach the canary any more"
        f"{canary_error_words(reports)}: all "
        "sessions go back to stable",
    )


def both_ill(evidence: Evidence) -> AnalysisResult | None:
    """Stable is worse than it was, or fails as often as the canary: then nothing is held against the canary."""
    if evidence.judgement is not Judgement.BOTH_ILL:
        return None
    return AnalysisResult(
        health=Health.BOTH_ILL,
        reason=RolloutReason.BothTracksIll,
        message=f"both tracks are ill: {sessions_words(evidence, evidence.leading)}. The rollout holds its weight, and "
        "no time counts, until stable is as it was",
    )


def too_little_known(reports: AgentReports, limits: Analysis, evidence: Evidence) -> AnalysisResult | None:
    """What a pause waits for: sessions that are reported at all, enough requests, and what was asked to be excluded."""
    if evidence.without_sessions:
        return _waiting(
            f"{evidence.without_sessions} of {reports.heard} agent processes have a modelops.router that reports no "
            "sessions, so the canary cannot be compared there: update the package in the agents"
        )
    if limits.min_requests is not None and reports.canary.requests < limits.min_requests:
        return _waiting(
            f"{reports.canary.requests} of at least {limits.min_requests} canary requests; with fewer sessions set a "
            "smaller spec.analysis.minRequests or a larger weight in the next Rollout"
        )
    if limits.exclude_points is None:
        return None
    points, stable = float(Decimal(limits.exclude_points)), evidence.stable
    canary = evidence.settled
    expected = stable[_TOUCHED.flag] / stable[0] if stable[0] else 0.0
    if stable[0] and excludes(canary[_TOUCHED.flag], canary[0], expected=expected, points=points):
        return None
    return _waiting(
        f"{known_words(reports, evidence)}. Whether it is {limits.exclude_points} points worse "
        "(spec.analysis.excludePoints) is not known yet: that takes more sessions that ended"
    )


def _waiting(message: str) -> AnalysisResult:
    return AnalysisResult(health=Health.WAITING, reason=RolloutReason.WaitingForSamples, message=message)


def sessions_words(evidence: Evidence, metric: Metric) -> str:
    """How many sessions of both tracks said yes; the canary's of the last 15 minutes where it began to be ill late."""
    canary, stable, recent = evidence.canary, evidence.stable, evidence.recent
    said = told(canary, metric)
    late = canary[metric.total] > 2 * recent[metric.total] > 0
    if late and recent[metric.flag] * canary[metric.total] > canary[metric.flag] * recent[metric.total]:
        said = f"{told(recent, metric)} of the last 15 minutes ({told(canary, metric)} in all)"
        return f"{said} {metric.words}; on stable {told(stable, metric)}"
    return f"{said} canary sessions {metric.words}; on stable {told(stable, metric)}"


def told(counts: Counts, metric: Metric) -> str:
    """How many of these sessions said yes."""
    return f"{counts[metric.flag]:,} of {counts[metric.total]:,}"


def known_words(reports: AgentReports, evidence: Evidence) -> str:
    """What is known of a canary that is not shown to be worse."""
    canary, stable = reports.canary, reports.stable
    known = (
        f"{canary.errors} of {canary.requests} canary requests failed, 95th percentile {canary.p95_ms} ms "
        f"(stable {stable.p95_ms} ms)"
    )
    sessions = evidence.canary
    if not sessions[0]:
        return known
    bad = sessions[_TOUCHED.flag]
    number = "1 session" if sessions[0] == 1 else f"{sessions[0]:,} sessions"
    if evidence.excluded_points is not None:
        return f"{known}; {number}, {bad or 'none'} with an error: at most {evidence.excluded_points} points worse"
    settled = evidence.settled[0]
    below = rate_below(settled) if settled and stable.requests and not evidence.stable[_TOUCHED.flag] else 100
    if bad == 0 and below < 100:
        # A session that began just now may still fail, so it is no evidence yet.
        ended = f"{settled:,} began over 15 minutes ago: "
        return f"{known}; {number}, none with an error; {ended}fewer than {below} in 100 fail"
    return f"{known}; {number}, {bad or 'none'} with an error: not shown to be worse"


def canary_error_words(reports: AgentReports) -> str:
    """What agents say of their calls of the canary, in brackets; empty where they say nothing."""
    return f" ({'; '.join(reports.canary_errors[:3])})" if reports.canary_errors else ""
