"""The watch after a promotion: protocol "Watch after a promotion", with the numbers of its steps."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.state import State
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.record import BY_WATCH, Record, Undo, Watch
from modelops.domain.rollout.analysis import AnalysisResult, Health, analyze
from modelops.domain.rollout.state import same_target
from modelops.domain.undo import accepted, field_undo
from modelops.ports import AgentReports, TrackCounters

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
            record, f"{watch.version} was watched until {watch.until}, and did not breach its limits"
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
    """The promoted version's numbers since the promotion, against those of the version before; None without reports.

    The one place where the watch uses the canary's analysis. Processes count both versions as their stable track, under
    the salt of the rollout that promoted: what was counted before the promotion is taken off.
    """
    if reports is None:
        return None
    before = TrackCounters(requests=watch.requests, errors=watch.errors, p95_ms=watch.p95_ms)
    since = TrackCounters(
        requests=max(0, reports.stable.requests - before.requests),
        errors=max(0, reports.stable.errors - before.errors),
        p95_ms=reports.stable.p95_ms,
    )
    return analyze(before, since, Analysis.model_validate(watch.limits))


def seconds_until_next_look(state: State) -> float | None:
    """When the AgentModel is reconciled again because of the watch; None without one."""
    return POLL_SECONDS if state.record is not None and state.record.watch is not None else None
