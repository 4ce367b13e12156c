"""The steps: arm, raise, watch, promote. Only healthy time counts, silence never promotes, a breach turns back."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from modelops.api.v1alpha1.rollout import (
    AnalysisStatus,
    CanaryStep,
    RollbackTimes,
    RolloutPhase,
    TrackSummary,
)
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import CountHealthyTime, ResetHealthyTime, RolloutFact, RolloutPlan
from modelops.domain.rollout.advance import advance, promote
from modelops.domain.rollout.analysis import Finding, Health, analyze
from modelops.domain.rollout.booking import planned_seconds
from modelops.domain.rollout.state import State, same_target
from modelops.domain.rollout.status import status_steps, wait, with_phase
from modelops.ports import Track

SETTLE_SECONDS: Final = 15.0
"""Agents report every 5 s and count for 15 s: only a longer wait is worth telling."""


def steps_of(state: State) -> tuple[CanaryStep, ...]:
    """The strategy's steps; an immediate rollout has none: armed, it is promoted."""
    canary = state.rollout.spec.strategy.canary
    return canary.steps if canary else ()


def deadline_has_passed(state: State) -> RolloutPlan | None:
    """The rollout's own deadline, and the end of what was reserved for its endpoint: nothing runs uncovered."""
    started = state.rollout.status.started_at
    if started is None:
        return None
    at, end = state.rollout.status.reason, "everything goes back to stable"
    seconds = state.rollout.spec.progress_deadline_seconds
    if state.now >= started + timedelta(seconds=seconds):
        message = f"spec.progressDeadlineSeconds {seconds} passed at {at}; {end}"
        return latch_abort(state, RolloutReason.DeadlineExceeded, message)
    covered = planned_seconds(state)
    paid = state.record is not None and f"{state.uid}/1" in state.record.reservations
    if paid and state.now >= started + timedelta(seconds=covered):
        message = f"what was reserved for the endpoint covers {covered} s, and they passed at {at}; {end}"
        return latch_abort(state, RolloutReason.DeadlineExceeded, message)
    return None


def abort_on_breach(state: State) -> RolloutPlan | None:
    """Judged before anything else of the canary, also while paused."""
    intent, reports = state.rollout.status.intent, state.reports
    if intent is None or intent.weight == 0 or reports is None:
        return None
    found = analyze(reports.stable, reports.canary, state.rollout.spec.analysis)
    if found.health is not Health.BREACHED:
        return None
    times = RollbackTimes(
        detect_milliseconds=max(0, (state.watched.first_bad_ms or 0) - state.watched.arrived_ms),
        decide_milliseconds=state.watched.arrived_ms,
    )
    plan = latch_abort(state, found.reason, found.message, rollback=times)
    return Plan(steps=plan.steps, requeue_after=plan.requeue_after)


def ensure_canary_armed(state: State) -> RolloutPlan | None:
    """Claim 3: a block at weight 0, from which agents test the canary's reachability."""
    if state.rollout.status.intent is not None:
        return None
    if state.file is None:
        return wait(
            state,
            state.rollout.status.phase,
            RolloutReason.ConfigNotUsable,
            state.file_problem or "the agents' file was not read yet",
            after=2.0,
        )
    assert state.record is not None
    if not same_target(state.file.entry.stable, state.record.stable):
        if not state.file_is_live:
            return Plan(needs=RolloutFact.FILE_IS_LIVE)
        return latch_abort(
            state,
            RolloutReason.RoutingMismatch,
            "the agents' file names another stable model than the record",
        )
    message = "agents test whether they reach the canary, at weight 0"
    return advance(state, step=0, weight=0, reason=RolloutReason.Arming, message=message)


def await_agents_in_sync(state: State) -> RolloutPlan | None:
    """Before the first weight, and after each: every expected agent confirmed, and reaches the canary by itself."""
    intent, reports = state.rollout.status.intent, state.reports
    assert intent is not None
    look = state.settings.look_seconds
    if reports is None or reports.expected == 0:
        message = (
            "no agent process has reported: start the agents with MODELOPS_REPORT_URL set to the operator"
        )
        return held(state, RolloutReason.WaitingForAgents, message, after=look)
    if reports.in_sync < reports.expected:
        agents = f"{reports.in_sync} of {reports.expected} agent processes"
        message = f"{agents} have confirmed generation {intent.generation}"
        return held(state, RolloutReason.WaitingForAgents, message, after=look)
    if intent.weight == 0 and reports.canary_reachable < reports.expected:
        words = f" ({'; '.join(reports.canary_errors[:3])})" if reports.canary_errors else ""
        agents = f"{reports.canary_reachable} of {reports.expected} agent processes"
        message = f"{agents} reach the canary with their own credentials{words}"
        return held(state, RolloutReason.CanaryUnreachable, message, after=look)
    return None


def held(state: State, reason: RolloutReason, message: str, *, after: float) -> RolloutPlan:
    """Waiting; the time does not count as healthy. Written when the reason is new, not for every count."""
    tick = CountHealthyTime(healthy=False)
    if state.rollout.status.reason == reason.value or settles(state, reason):
        return Plan(steps=(tick,), requeue_after=after)
    plan = wait(state, RolloutPhase.PROGRESSING, reason, message, after=after)
    return Plan(steps=(*plan.steps, tick), requeue_after=after)


def settles(state: State, reason: RolloutReason) -> bool:
    """Whether the step or this process only just began, so that agents' reports are on their way."""
    began = state.rollout.status.step_started_at
    if reason is RolloutReason.Paused or began is None:
        return False
    if state.watched.listening_seconds < SETTLE_SECONDS:
        return True
    return (state.now - began).total_seconds() < SETTLE_SECONDS


def rollout_is_paused(state: State) -> RolloutPlan | None:
    if not state.rollout.spec.paused:
        return None
    return held(
        state,
        RolloutReason.Paused,
        "spec.paused holds the rollout before its next step",
        after=state.settings.look_seconds,
    )


def next_step(state: State) -> RolloutPlan:
    """Armed or at a step, in sync: watch a pause, raise to the next weight, or promote after the last step."""
    position = state.rollout.status.step
    steps = steps_of(state)
    if position >= 1 and position <= len(steps) and steps[position - 1].pause is not None:
        waiting = pause_is_not_over(state, steps[position - 1])
        if waiting is not None:
            return waiting
    if position >= len(steps):
        return promote(state)
    upcoming = steps[position]
    if upcoming.set_weight is not None:
        message = f"step {position + 1} of {len(steps)}: {upcoming.set_weight} percent of sessions"
        return advance(
            state,
            step=position + 1,
            weight=upcoming.set_weight,
            reason=RolloutReason.Advancing,
            message=message,
            analysis=unwatched(state),
        )
    assert upcoming.pause is not None
    message = (
        f"step {position + 1} of {len(steps)}: watching for {upcoming.pause.duration_seconds} healthy seconds"
    )
    status = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        RolloutReason.Watching,
        message,
        facts={"RoutingPropagated": True},
        step=position + 1,
        step_started_at=state.now.replace(microsecond=0),
        analysis=summary(state, None, 0),
    )
    return Plan(
        steps=(*status_steps(state, status, RolloutReason.Watching, message), ResetHealthyTime()),
        requeue_after=0,
    )


def pause_is_not_over(state: State, step: CanaryStep) -> RolloutPlan | None:
    """Only time in which the canary is healthy counts; too few samples hold."""
    assert step.pause is not None
    reports = state.reports
    assert reports is not None
    found = analyze(reports.stable, reports.canary, state.rollout.spec.analysis)
    known = state.rollout.status.analysis.healthy_seconds if state.rollout.status.analysis else 0
    counted = known + state.watched.healthy_seconds
    if found.health is Health.HEALTHY and counted >= step.pause.duration_seconds:
        return None
    tick = CountHealthyTime(healthy=found.health is Health.HEALTHY)
    left = max(0.05, step.pause.duration_seconds - counted) if found.health is Health.HEALTHY else 60.0
    after = min(state.settings.look_seconds, left)
    worth = max(5.0, step.pause.duration_seconds / 20)
    began = state.rollout.status.step_started_at
    overdue = began is not None and state.now - began >= timedelta(seconds=step.pause.duration_seconds)
    reason = found.reason if found.health is Health.HEALTHY or overdue else RolloutReason.Watching
    if state.rollout.status.reason != reason.value:
        status = with_phase(
            state,
            RolloutPhase.PROGRESSING,
            reason,
            found.message,
            facts={"RoutingPropagated": True},
            analysis=summary(state, found, int(counted)),
        )
        return Plan(
            steps=(*status_steps(state, status, reason, found.message), ResetHealthyTime(), tick),
            requeue_after=after,
        )
    if state.watched.healthy_seconds >= worth and found.health is Health.HEALTHY:
        status = state.rollout.status.model_copy(update={"analysis": summary(state, found, int(counted))})
        return Plan(
            steps=(*status_steps(state, status, found.reason, found.message), ResetHealthyTime(), tick),
            requeue_after=after,
        )
    return Plan(steps=(tick,), requeue_after=after)


def unwatched(state: State) -> AnalysisStatus:
    """At a weight that no pause watches the last verdict stands, so that an ended rollout still shows it."""
    now, old = summary(state, None, 0), state.rollout.status.analysis
    return now if old is None else now.model_copy(update={"verdict": old.verdict, "message": old.message})


def summary(state: State, found: Finding | None, healthy: int) -> AnalysisStatus:
    reports = state.reports

    def track(of: Track) -> TrackSummary:
        return TrackSummary(requests=of.requests, errors=of.errors, latency_p95_milliseconds=of.p95_ms)

    return AnalysisStatus(
        healthy_seconds=healthy,
        stable=track(reports.stable) if reports else None,
        canary=track(reports.canary) if reports else None,
        verdict=found.health.value if found else "",
        message=found.message[:512] if found else "",
    )
