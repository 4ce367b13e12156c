"""What the canary's sessions show, and how the status says it."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import AnalysisStatus, TrackSummary
from modelops.domain.analysis import METRICS, Evidence
from modelops.domain.analysis.metrics import TOUCHED, Counts
from modelops.domain.rollout.analysis import AnalysisResult, judge_canary, judge_of
from modelops.domain.rollout.metric_state import metrics_in_status
from modelops.domain.rollout.state import State
from modelops.ports import TrackCounters


def evidence_of(state: State) -> Evidence:
    """What the sessions show: with the bets of earlier reports, or from these reports alone."""
    if state.evidence is not None or state.reports is None:
        return state.evidence or Evidence()
    intent = state.rollout.status.intent
    weight = (intent.weight if intent else 0) / 100
    return judge_of(state.rollout.spec.analysis).judge(state.reports.sessions, weight=weight)


def judged(state: State) -> AnalysisResult:
    """The canary's health now; the agents have reported."""
    return judge_canary(state.require_reports(), state.rollout.spec.analysis, evidence_of(state))


def analysis_at_new_weight(state: State) -> AnalysisStatus:
    """The analysis at the start of a weight; it keeps the last verdict, so that an ended rollout still shows it."""
    now, old = summarize_analysis(state, None, 0), state.rollout.status.analysis
    return now if old is None else now.model_copy(update={"verdict": old.verdict, "message": old.message})


def summarize_analysis(state: State, result: AnalysisResult | None, healthy_seconds: int) -> AnalysisStatus:
    """The reports and the verdict as the status has them."""
    reports, evidence = state.reports, evidence_of(state)

    def track(of: TrackCounters, sessions: Counts) -> TrackSummary:
        return TrackSummary(
            sessions=sessions[0],
            failed_sessions=sessions[METRICS[TOUCHED].flag],
            requests=of.requests,
            errors=of.errors,
            latency_p95_milliseconds=of.p95_ms,
        )

    return AnalysisStatus(
        healthy_seconds=healthy_seconds,
        stable=track(reports.stable, evidence.stable) if reports else None,
        canary=track(reports.canary, evidence.canary) if reports else None,
        verdict=result.health.value if result else "",
        message=result.message[:512] if result else "",
        evidence=f"{min(evidence.value, 1e9):.3g}" if evidence.sessions else "",
        excluded_points=evidence.excluded_points,
        metrics=metrics_in_status(state),
    )


def analysis_at_abort(state: State) -> AnalysisStatus | None:
    """The newest numbers of an abort that the canary's numbers did not decide, beside the last verdict.

    An operator that has just started, and has not heard from all agents yet, keeps the numbers of before.
    """
    intent, old = state.rollout.status.intent, state.rollout.status.analysis
    if intent is None or intent.weight == 0 or state.reports is None or old is None:
        return old
    if old.canary is not None and state.reports.canary.requests < old.canary.requests:
        return old
    now = summarize_analysis(state, None, old.healthy_seconds)
    return now.model_copy(update={"verdict": old.verdict, "message": old.message})
