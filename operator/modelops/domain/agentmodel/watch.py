"""The watch after a promotion: protocol "Watch after a promotion", with the numbers of its steps."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.state import State
from modelops.domain.analysis import METRICS, Evidence, Judgement
from modelops.domain.analysis.metrics import NO_COUNTS, TOUCHED, only_errors
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import BY_WATCH, Record, Undo, Watch
from modelops.domain.rollout.analysis import AnalysisResult, Health, judge_of, told
from modelops.domain.rollout.state import same_target
from modelops.domain.undo import accepted, field_undo
from modelops.ports import AgentReports, SessionReports, SessionTrack

POLL_SECONDS = 5.0
"""Agents report every 5 s, and a report of stable's numbers alone is no event."""


def watch_promotion(state: State) -> AgentModelPlan | None:
    """2 and 3: ends the watch, or accepts an undo to the version before, by the watch."""
    record = state.require_record()
    watch = record.watch
    if watch is None or record.undo is not None or state.file is None:
        return None
    stable = state.file.entry.stable
    if record.stable.version != watch.version or not same_target(stable, record.stable):
        return end_watch(
            record, f"the agents' file or the record name another stable version than {watch.version}"
        )
    found = watched_health(watch, state.reports)
    if found is not None and found.health is Health.BREACHED and watch.back in record.served:
        return go_back(state, record, watch, found)
    if state.now >= datetime.fromisoformat(watch.until):
        return end_watch(
            record, f"{watch.version} was watched until {watch.until}: {seen_words(watch, state.reports)}"
        )
    return None


def end_watch(record: Record, why: str) -> AgentModelPlan:
    """2: one write of the record."""
    write = WriteRecord(record=record.with_(watch=None), purpose=f"end the watch: {why}")
    return Plan(steps=(write, Announce(reason="WatchEnded", message=why)), requeue_after=0)


def go_back(state: State, record: Record, watch: Watch, found: AnalysisResult) -> AgentModelPlan:
    """3: Undo 3, by the watch. Nothing is active while a watch is on record, so there is no latch."""
    undo = Undo(by=BY_WATCH, to=watch.back, at=state.now.isoformat(timespec="seconds"))
    message = (
        f"{watch.version}, which Rollout {watch.name} promoted, breached its limits within strategy.postPromotion: "
        f"{found.message}. The agent goes back to {watch.back}"
    )
    acceptance = accepted(record, undo, field=field_undo(state.agent_model))
    return Plan(
        steps=(
            WriteRecord(record=acceptance, purpose=f"accept the undo of the watch to {watch.back}"),
            Announce(reason=found.reason.value, message=message, warning=True),
        ),
        requeue_after=0,
    )


def watched_health(watch: Watch, reports: AgentReports | None) -> AnalysisResult | None:
    """Whether the promoted version's sessions are shown to fail more than those of the version before; None if not.

    The one place where the watch uses the canary's analysis. Agents count the promoted version as their stable track
    now, from zero; what agents report that have not confirmed the promotion is of the version before, and not looked
    at. There is no other track to compare it with, so a fault of the provider counts as its own, and its latency is not
    judged: its limits would come from itself.
    """
    if reports is None:
        return None
    limits, evidence = Analysis.model_validate(watch.limits), watched_evidence(watch, reports)
    bad = f"{told(evidence.canary, evidence.leading)} sessions {evidence.leading.words}"
    if evidence.judgement is Judgement.OVER_LIMIT:
        shown = f"{bad}; spec.analysis.maxErrorPercent allows {limits.max_error_percent} %"
    elif evidence.judgement is Judgement.WORSE:
        shown = f"{bad}; of {watch.back} {told(evidence.stable, evidence.leading)}"
    else:
        return None
    return AnalysisResult(
        health=Health.BREACHED,
        reason=RolloutReason.ErrorRateBreached,
        message=f"{shown}. A false alarm in under 1 of 100 promotions",
    )


def watched_evidence(watch: Watch, reports: AgentReports) -> Evidence:
    """What the sessions of the watched version show beside those of the version before.

    Each look begins anew from the totals. That drops the bets on changes of more than 15 minutes ago and adds none, so
    all looks together stay below the evidence of a judge that was kept, and its error rate holds for them.
    """
    found = reports.sessions
    if found.stable_version != watch.version:
        return Evidence()
    sessions = SessionReports(
        stable=SessionTrack(folded=watch.before or NO_COUNTS),
        canary=SessionTrack(
            folded=only_errors(found.stable.folded),
            live=tuple((index, only_errors(counts)) for index, counts in found.stable.live),
        ),
    )
    return judge_of(Analysis.model_validate(watch.limits)).judge(sessions, weight=1.0)


def seen_words(watch: Watch, reports: AgentReports | None) -> str:
    """What a watch without a breach has seen: too few sessions are no proof of health."""
    evidence = watched_evidence(watch, reports) if reports is not None else Evidence()
    if not evidence.sessions:
        return "no agent process reported a session of it, so its health is not known"
    of = f"{evidence.canary[METRICS[TOUCHED].flag]:,} of {evidence.sessions:,} sessions had an error"
    if not sum(watch.before):
        return f"{of}; no session of {watch.back} was reported before, so they could not be compared"
    return f"{of}, which does not show that it is worse than {watch.back}"


def seconds_until_next_look(state: State) -> float | None:
    """When the AgentModel is reconciled again because of the watch; None without one."""
    return POLL_SECONDS if state.record is not None and state.record.watch is not None else None
