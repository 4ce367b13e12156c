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
from modelops.domain.plan import Do, Plan
from modelops.domain.reasons import RolloutReason as Why
from modelops.domain.rollout.abort import latch
from modelops.domain.rollout.advance import advance, promote
from modelops.domain.rollout.analysis import Finding, Health, judge
from modelops.domain.rollout.booking import planned_seconds
from modelops.domain.rollout.state import Observed, same_target
from modelops.domain.rollout.status import moved, said, wait
from modelops.ports import Track

SETTLE_SECONDS: Final = 15.0
"""Agents report every 5 s and count for 15 s: only a longer wait is worth telling."""


def steps_of(seen: Observed) -> tuple[CanaryStep, ...]:
    """The strategy's steps; an immediate rollout has none: armed, it is promoted."""
    canary = seen.rollout.spec.strategy.canary
    return canary.steps if canary else ()


def deadline_has_passed(seen: Observed) -> Plan | None:
    """The rollout's own deadline, and the end of what was reserved for its endpoint: nothing runs uncovered."""
    started = seen.rollout.status.started_at
    if started is None:
        return None
    at, end = seen.rollout.status.reason, "everything goes back to stable"
    seconds = seen.rollout.spec.progress_deadline_seconds
    if seen.now >= started + timedelta(seconds=seconds):
        message = f"spec.progressDeadlineSeconds {seconds} passed at {at}; {end}"
        return latch(seen, Why.DEADLINE_EXCEEDED, message)
    covered = planned_seconds(seen)
    paid = seen.record is not None and f"{seen.uid}/1" in seen.record.reservations
    if paid and seen.now >= started + timedelta(seconds=covered):
        message = f"what was reserved for the endpoint covers {covered} s, and they passed at {at}; {end}"
        return latch(seen, Why.DEADLINE_EXCEEDED, message)
    return None


def abort_on_breach(seen: Observed) -> Plan | None:
    """Judged before anything else of the canary, also while paused."""
    intent, reports = seen.rollout.status.intent, seen.reports
    if intent is None or intent.weight == 0 or reports is None:
        return None
    found = judge(reports.stable, reports.canary, seen.rollout.spec.analysis)
    if found.health is not Health.BREACHED:
        return None
    times = RollbackTimes(
        detect_ms=max(0, (seen.watched.first_bad_ms or 0) - seen.watched.arrived_ms),
        decide_ms=seen.watched.arrived_ms,
    )
    plan = latch(seen, found.reason, found.message, rollback=times)
    return Plan(steps=plan.steps, requeue_after=plan.requeue_after)


def ensure_canary_armed(seen: Observed) -> Plan | None:
    """Claim 3: a block at weight 0, from which agents test the canary's reachability."""
    if seen.rollout.status.intent is not None:
        return None
    if seen.file is None:
        return wait(
            seen,
            seen.rollout.status.phase,
            Why.CONFIG_NOT_USABLE,
            seen.file_problem or "the agents' file was not read yet",
            after=2.0,
        )
    assert seen.record is not None
    if not same_target(seen.file.entry.stable, seen.record.stable):
        if not seen.file_is_live:
            return Plan(needs="file_live")
        return latch(
            seen, Why.ROUTING_MISMATCH, "the agents' file names another stable model than the record"
        )
    message = "agents test whether they reach the canary, at weight 0"
    return advance(seen, step=0, weight=0, reason=Why.ARMING, message=message)


def await_agents_in_sync(seen: Observed) -> Plan | None:
    """Before the first weight, and after each: every expected agent confirmed, and reaches the canary by itself."""
    intent, reports = seen.rollout.status.intent, seen.reports
    assert intent is not None
    look = seen.settings.look_seconds
    if reports is None or reports.expected == 0:
        message = (
            "no agent process has reported: start the agents with MODELOPS_REPORT_URL set to the operator"
        )
        return held(seen, Why.WAITING_FOR_AGENTS, message, after=look)
    if reports.in_sync < reports.expected:
        agents = f"{reports.in_sync} of {reports.expected} agent processes"
        message = f"{agents} have confirmed generation {intent.generation}"
        return held(seen, Why.WAITING_FOR_AGENTS, message, after=look)
    if intent.weight == 0 and reports.canary_reachable < reports.expected:
        words = f" ({'; '.join(reports.canary_errors[:3])})" if reports.canary_errors else ""
        agents = f"{reports.canary_reachable} of {reports.expected} agent processes"
        message = f"{agents} reach the canary with their own credentials{words}"
        return held(seen, Why.CANARY_UNREACHABLE, message, after=look)
    return None


def held(seen: Observed, reason: Why, message: str, *, after: float) -> Plan:
    """Waiting; the time does not count as healthy. Written when the reason is new, not for every count."""
    tick = Do(action="tick", arguments={"healthy": False})
    if seen.rollout.status.reason == reason.value or settles(seen, reason):
        return Plan(steps=(tick,), requeue_after=after)
    plan = wait(seen, RolloutPhase.PROGRESSING, reason, message, after=after)
    return Plan(steps=(*plan.steps, tick), requeue_after=after)


def settles(seen: Observed, reason: Why) -> bool:
    """Whether the step or this process only just began, so that agents' reports are on their way."""
    began = seen.rollout.status.step_started_at
    if reason is Why.PAUSED or began is None:
        return False
    if seen.watched.listening_seconds < SETTLE_SECONDS:
        return True
    return (seen.now - began).total_seconds() < SETTLE_SECONDS


def rollout_is_paused(seen: Observed) -> Plan | None:
    if not seen.rollout.spec.paused:
        return None
    return held(
        seen,
        Why.PAUSED,
        "spec.paused holds the rollout before its next step",
        after=seen.settings.look_seconds,
    )


def next_step(seen: Observed) -> Plan:
    """Armed or at a step, in sync: watch a pause, raise to the next weight, or promote after the last step."""
    position = seen.rollout.status.step
    steps = steps_of(seen)
    if position >= 1 and position <= len(steps) and steps[position - 1].pause is not None:
        waiting = pause_is_not_over(seen, steps[position - 1])
        if waiting is not None:
            return waiting
    if position >= len(steps):
        return promote(seen)
    upcoming = steps[position]
    if upcoming.set_weight is not None:
        message = f"step {position + 1} of {len(steps)}: {upcoming.set_weight} percent of sessions"
        return advance(
            seen,
            step=position + 1,
            weight=upcoming.set_weight,
            reason=Why.ADVANCING,
            message=message,
            analysis=unwatched(seen),
        )
    assert upcoming.pause is not None
    message = (
        f"step {position + 1} of {len(steps)}: watching for {upcoming.pause.duration_seconds} healthy seconds"
    )
    status = moved(
        seen,
        RolloutPhase.PROGRESSING,
        Why.WATCHING,
        message,
        facts={"RoutingPropagated": True},
        step=position + 1,
        step_started_at=seen.now.replace(microsecond=0),
        analysis=summary(seen, None, 0),
    )
    return Plan(steps=(*said(seen, status, Why.WATCHING, message), Do(action="tick_reset")), requeue_after=0)


def pause_is_not_over(seen: Observed, step: CanaryStep) -> Plan | None:
    """Only time in which the canary is healthy counts; too few samples hold."""
    assert step.pause is not None
    reports = seen.reports
    assert reports is not None
    found = judge(reports.stable, reports.canary, seen.rollout.spec.analysis)
    known = seen.rollout.status.analysis.healthy_seconds if seen.rollout.status.analysis else 0
    counted = known + seen.watched.healthy_seconds
    if found.health is Health.HEALTHY and counted >= step.pause.duration_seconds:
        return None
    tick = Do(action="tick", arguments={"healthy": found.health is Health.HEALTHY})
    left = max(0.05, step.pause.duration_seconds - counted) if found.health is Health.HEALTHY else 60.0
    after = min(seen.settings.look_seconds, left)
    worth = max(5.0, step.pause.duration_seconds / 20)
    began = seen.rollout.status.step_started_at
    overdue = began is not None and seen.now - began >= timedelta(seconds=step.pause.duration_seconds)
    reason = found.reason if found.health is Health.HEALTHY or overdue else Why.WATCHING
    if seen.rollout.status.reason != reason.value:
        status = moved(
            seen,
            RolloutPhase.PROGRESSING,
            reason,
            found.message,
            facts={"RoutingPropagated": True},
            analysis=summary(seen, found, int(counted)),
        )
        return Plan(
            steps=(*said(seen, status, reason, found.message), Do(action="tick_reset"), tick),
            requeue_after=after,
        )
    if seen.watched.healthy_seconds >= worth and found.health is Health.HEALTHY:
        status = seen.rollout.status.model_copy(update={"analysis": summary(seen, found, int(counted))})
        return Plan(
            steps=(*said(seen, status, found.reason, found.message), Do(action="tick_reset"), tick),
            requeue_after=after,
        )
    return Plan(steps=(tick,), requeue_after=after)


def unwatched(seen: Observed) -> AnalysisStatus:
    """At a weight that no pause watches the last verdict stands, so that an ended rollout still shows it."""
    now, old = summary(seen, None, 0), seen.rollout.status.analysis
    return now if old is None else now.model_copy(update={"verdict": old.verdict, "message": old.message})


def summary(seen: Observed, found: Finding | None, healthy: int) -> AnalysisStatus:
    reports = seen.reports

    def track(of: Track) -> TrackSummary:
        return TrackSummary(requests=of.requests, errors=of.errors, p95_ms=of.p95_ms)

    return AnalysisStatus(
        healthy_seconds=healthy,
        stable=track(reports.stable) if reports else None,
        canary=track(reports.canary) if reports else None,
        verdict=found.health.value if found else "",
        message=found.message[:512] if found else "",
    )
