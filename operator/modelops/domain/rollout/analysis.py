"""Whether the canary is healthy, computed from the agents' reports. Pure arithmetic, no state.

Errors: the canary's rate is compared by the lower end of its one-sided 99 % Wilson score interval (Wilson 1927), so
that a few errors among few requests are no breach. The confidence is 99 %, because the comparison is made often.
Latency: the 95th percentile over all processes, merged from their histograms.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import sqrt

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.reasons import RolloutReason
from modelops.ports import AgentReports, TrackCounters

Z99 = 2.326
MIN_ERRORS = 3
"""Fewer errors are never a breach."""
MIN_LATENCIES = 20
"""With fewer requests on either side the latency is not compared."""


class Health(StrEnum):
    HEALTHY = "Healthy"
    WAITING = "Waiting"
    BREACHED = "Breached"


@dataclass(frozen=True, kw_only=True)
class AnalysisResult:
    """The health of the canary at one moment, with the numbers behind it."""

    health: Health
    reason: RolloutReason
    message: str


def wilson_lower(errors: int, requests: int, z: float = Z99) -> float:
    """Lower end of the Wilson score interval of a proportion; 0 without requests."""
    if requests == 0:
        return 0.0
    rate, spread = errors / requests, z * z / requests
    centre = rate + spread / 2
    return max(
        0.0, (centre - z * sqrt(rate * (1 - rate) / requests + spread / (4 * requests))) / (1 + spread)
    )


def judge_canary(reports: AgentReports, limits: Analysis) -> AnalysisResult:
    """The canary's health while it has sessions: its numbers, and whether the agents still reach it.

    A canary that a tenth of the processes, at least one, cannot reach is breached: their sessions only get errors. If
    fewer cannot reach it, the weight is not raised, and the error rate decides.
    """
    result = analyze(reports.stable, reports.canary, limits)
    unreachable = reports.canary_unreachable
    if result.health is Health.BREACHED or unreachable == 0 or unreachable * 10 < reports.heard:
        return result
    return AnalysisResult(
        health=Health.BREACHED,
        reason=RolloutReason.CanaryUnreachable,
        message=f"{unreachable} of {reports.heard} agent processes cannot reach the canary any more"
        f"{canary_error_words(reports)}: all "
        "sessions go back to stable",
    )


def canary_error_words(reports: AgentReports) -> str:
    """What agents say of their calls of the canary, in brackets; empty where they say nothing."""
    return f" ({'; '.join(reports.canary_errors[:3])})" if reports.canary_errors else ""


def analyze(stable: TrackCounters, canary: TrackCounters, limits: Analysis) -> AnalysisResult:
    """Checks for a breach first, then for enough requests: a canary without requests is never healthy."""
    lower = wilson_lower(canary.errors, canary.requests) * 100
    usual = 100 * stable.errors / stable.requests if stable.requests else 0.0
    allowed = usual + float(Decimal(limits.max_error_points))
    if canary.errors >= MIN_ERRORS and lower > allowed:
        return AnalysisResult(
            health=Health.BREACHED,
            reason=RolloutReason.ErrorRateBreached,
            message=f"{canary.errors} of {canary.requests} canary requests failed (at least {lower:.1f} % with 99 % "
            f"confidence); stable fails {usual:.1f} %, and spec.analysis allows {limits.max_error_points} points more",
        )
    limit = max(
        float(limits.latency_floor_milliseconds), stable.p95_ms * float(Decimal(limits.max_latency_ratio))
    )
    if canary.requests >= MIN_LATENCIES and stable.requests >= MIN_LATENCIES and canary.p95_ms > limit:
        return AnalysisResult(
            health=Health.BREACHED,
            reason=RolloutReason.LatencyBreached,
            message=f"the 95th percentile of latency is {canary.p95_ms} ms over {canary.requests} canary requests, and "
            f"{stable.p95_ms} ms on stable; at most {limit:.0f} ms are allowed",
        )
    if canary.requests < limits.min_requests:
        return AnalysisResult(
            health=Health.WAITING,
            reason=RolloutReason.WaitingForSamples,
            message=f"{canary.requests} of at least {limits.min_requests} canary requests; with fewer sessions set a "
            "smaller spec.analysis.minRequests or a larger weight in the next Rollout",
        )
    return AnalysisResult(
        health=Health.HEALTHY,
        reason=RolloutReason.Watching,
        message=f"{canary.errors} of {canary.requests} canary requests failed, 95th percentile {canary.p95_ms} ms "
        f"(stable {stable.p95_ms} ms)",
    )
