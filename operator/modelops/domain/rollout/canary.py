"""The canary's steps: arm, raise the weight, watch a pause, promote.

Only healthy time counts towards a pause, a canary without requests is never promoted, and a breach aborts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Final

from modelops.api.v1alpha1.rollout import (
    CanaryStep,
    RollbackTimes,
    RolloutPhase,
)
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import CountHealthyTime, ResetHealthyTime, RolloutFact, RolloutPlan
from modelops.domain.rollout.advance import advance
from modelops.domain.rollout.agent_quorum import (
    earlier_canary_may_be_used,
    everyone_is_in_sync,
    processes_needed,
)
from modelops.domain.rollout.analysis import (
    AnalysisResult,
    Health,
    canary_error_words,
)
from modelops.domain.rollout.analysis_summary import (
    analysis_at_new_weight,
    evidence_of,
    judged,
    summarize_analysis,
)
from modelops.domain.rollout.freeze import freeze_of, message_of, seconds_left
from modelops.domain.rollout.metrics import metrics_await_measurement, metrics_hold
from modelops.domain.rollout.promote_request import following, is_opened, promotes_at_once
from modelops.domain.rollout.promotion import promote
from modelops.domain.rollout.state import State, same_target
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase
from modelops.domain.rollout.trial import rest_is_not_approved
from modelops.domain.rollout.waiting_steps import begin_words, open_step_is_not_over, write_numbers

REPORT_GRACE_SECONDS: Final = 15.0
"""Agents report every 5 s, and a report counts for 15 s: a shorter wait is not written to the status."""
_NUMBERS: Final = re.compile(r"\d[\d,.]*|\bnone\b")


def canary_steps(state: State) -> tuple[CanaryStep, ...]:
    """The strategy's steps; an immediate rollout has none and is promoted once the canary is armed."""
    canary = state.rollout.spec.strategy.canary
    return canary.steps if canary else ()


def abort_on_breach(state: State) -> RolloutPlan | None:
    """Comes before every other step of the canary, unfinished intents included, and also aborts a paused rollout.

    Protocol, Steps 1: else a canary that is breached would be raised or promoted by an intent that is on record.
    """
    intent, reports = state.rollout.status.intent, state.reports
    if intent is None or reports is None or (intent.weight == 0 and intent.state != "Promoting"):
        return None
    if not state.holds_agent_lock:
        return None
    result = judged(state)
    if result.health is not Health.BREACHED:
        return None
    times = RollbackTimes(
        detect_milliseconds=max(
            0, (state.measurements.first_bad_age_ms or 0) - state.measurements.newest_report_age_ms
        ),
        decide_milliseconds=state.measurements.newest_report_age_ms,
    )
    status = state.rollout.status
    healthy = (status.analysis.healthy_seconds if status.analysis else 0) + state.measurements.healthy_seconds
    decided_by = summarize_analysis(state, result, int(healthy))
    return latch_abort(state, result.reason, result.message, rollback=times, analysis=decided_by)


def ensure_canary_armed(state: State) -> RolloutPlan | None:
    """Design 002, Lock 3: a block at weight 0, with which agents test whether they reach the canary."""
    return arm_canary(state) if state.rollout.status.intent is None else None


def arm_canary(state: State) -> RolloutPlan:
    """Writes the intent and the block at weight 0, or waits for the agents' file."""
    waiting = file_is_not_ready(state)
    if waiting is not None:
        return waiting
    message = "agents test at weight 0 whether they reach the canary"
    return advance(state, step=0, weight=0, reason=RolloutReason.Arming, message=message)


def file_is_not_ready(state: State) -> RolloutPlan | None:
    """Before the first write: waits for a file that can be read, and aborts where it names another stable model."""
    if state.file is None:
        return wait_in_phase(
            state,
            state.rollout.status.phase,
            RolloutReason.ConfigNotUsable,
            state.file_problem or "the agents' file has not been read yet",
            after=2.0,
        )
    if not same_target(state.file.entry.stable, state.require_record().stable):
        if not state.file_is_live:
            return Plan(needs=RolloutFact.FILE_IS_LIVE)
        return latch_abort(
            state,
            RolloutReason.RoutingMismatch,
            "the agents' file names another stable model than the record",
        )
    return None


def await_agents_in_sync(state: State) -> RolloutPlan | None:
    """Waits until enough agent processes have confirmed the routing and, at weight 0, all of them reach the canary."""
    intent, reports = state.require_intent(), state.reports
    poll = state.settings.poll_seconds
    if reports is None or reports.expected == 0:
        message = (
            "no agent process has reported: start the agents with MODELOPS_REPORT_URL set to the operator"
        )
        return hold_step(state, RolloutReason.WaitingForAgents, message, after=poll)
    needed = processes_needed(state, reports)
    if reports.in_sync < needed:
        agents = f"{reports.in_sync} of {reports.expected} agent processes"
        message = f"{agents} have confirmed this step of the routing"
        if needed < reports.expected:
            message = f"{message}, and strategy.canary.minAgentsInSync asks for {needed}"
        return hold_step(state, RolloutReason.WaitingForAgents, message, after=poll)
    not_yet_reached = intent.weight == 0 and reports.canary_reachable < reports.expected
    if not_yet_reached or reports.canary_unreachable:
        agents = f"{reports.canary_reachable} of {reports.expected} agent processes"
        message = f"{agents} reach the canary with their own credentials{canary_error_words(reports)}"
        return hold_step(state, RolloutReason.CanaryUnreachable, message, after=poll)
    earlier = earlier_canary_may_be_used(state) if intent.weight == 0 else ""
    if earlier:
        return hold_step(state, RolloutReason.WaitingForAgents, earlier, after=poll)
    return None


def some_agents_lag(state: State) -> RolloutPlan | None:
    """Quorum 3: a promotion asks every process that is expected, whatever `minAgentsInSync` says."""
    if everyone_is_in_sync(state):
        return None
    reports = state.require_reports()
    return hold_step(
        state,
        RolloutReason.WaitingForAgents,
        f"{reports.in_sync} of {reports.expected} agent processes have confirmed this step of the routing, and a "
        "promotion asks for all of them",
        after=state.settings.poll_seconds,
    )


def hold_step(state: State, reason: RolloutReason, message: str, *, after: float) -> RolloutPlan:
    """Waits without counting healthy time. The status is written when the reason is new, not when a count changes."""
    tick = CountHealthyTime(healthy=False)
    if state.rollout.status.reason == reason.value or awaits_first_reports(state, reason):
        return Plan(steps=(tick,), requeue_after=after)
    plan = wait_in_phase(state, RolloutPhase.PROGRESSING, reason, message, after=after)
    return Plan(steps=(*plan.steps, tick), requeue_after=after)


def awaits_first_reports(state: State, reason: RolloutReason) -> bool:
    """Whether the step or this process began less than 15 s ago, so that the agents' reports may still arrive."""
    began = state.rollout.status.step_started_at
    if reason is RolloutReason.Paused or began is None:
        return False
    if state.measurements.listening_seconds < REPORT_GRACE_SECONDS:
        return True
    return (state.now - began).total_seconds() < REPORT_GRACE_SECONDS


def rollout_is_paused(state: State) -> RolloutPlan | None:
    """spec.paused keeps the current weight."""
    if not state.rollout.spec.paused:
        return None
    return hold_step(
        state,
        RolloutReason.Paused,
        "spec.paused is set: the rollout waits before its next step",
        after=state.settings.poll_seconds,
    )


def take_next_step(state: State) -> RolloutPlan:
    """Watches a pause, raises to the next weight, or promotes after the last step; every agent is in sync."""
    if (unmeasured := metrics_hold(state)) is not None:
        return unmeasured
    at, steps = state.rollout.status.step, canary_steps(state)
    current = steps[at - 1] if 1 <= at <= len(steps) else None
    pause = current.pause if current is not None else None
    if current is not None and not is_opened(state, at) and not promotes_at_once(state):
        waiting = open_step_is_not_over(state, current)
        if waiting is None and pause is not None and pause.duration_seconds is not None:
            waiting = pause_is_not_over(state, pause.duration_seconds)
        if waiting is not None:
            return waiting
    position = following(state, steps)
    if position >= len(steps) or steps[position].set_weight is not None:
        held = (
            both_tracks_are_ill(state)
            or rest_is_not_approved(state)
            or metrics_await_measurement(state)
            or rollout_is_frozen(state)
        )
        if held is not None:
            return held
    if position >= len(steps):
        return some_agents_lag(state) or promote(state)
    upcoming = steps[position]
    waited = current is not None and current.set_weight is None
    propagated = state.rollout.status.propagation_seconds if waited else seconds_to_propagate(state)
    if upcoming.set_weight is not None:
        message = f"step {position + 1} of {len(steps)}: {upcoming.set_weight} percent of sessions"
        return advance(
            state,
            step=position + 1,
            weight=upcoming.set_weight,
            reason=RolloutReason.Advancing,
            message=message,
            analysis=analysis_at_new_weight(state),
            propagation_seconds=propagated,
        )
    reason, words = begin_words(state, upcoming) or watching_words(upcoming)
    message = f"step {position + 1} of {len(steps)}: {words}"
    shown = judged(state) if reason is RolloutReason.WaitingForPromotion else None
    status = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        reason,
        message,
        facts={"RoutingPropagated": everyone_is_in_sync(state)},
        step=position + 1,
        step_started_at=state.now.replace(microsecond=0),
        analysis=summarize_analysis(state, shown, 0),
        propagation_seconds=propagated,
    )
    return Plan(
        steps=(*status_steps(state, status, reason, message), ResetHealthyTime()),
        requeue_after=0,
    )


def watching_words(step: CanaryStep) -> tuple[RolloutReason, str]:
    """Reason and message with which a timed pause begins."""
    # The API takes exactly one member of a step, and `begin_words` has the steps without a duration.
    assert step.pause is not None
    seconds = step.pause.duration_seconds
    return RolloutReason.Watching, f"watching for {seconds} healthy {'second' if seconds == 1 else 'seconds'}"


def both_tracks_are_ill(state: State) -> RolloutPlan | None:
    """Judged again right before a raise or a promotion: while stable fails as well, the canary shows nothing."""
    if state.require_intent().weight == 0:
        return None
    result = judged(state)
    if result.health is not Health.BOTH_ILL:
        return None
    return hold_step(state, result.reason, result.message, after=state.settings.poll_seconds)


def rollout_is_frozen(state: State) -> RolloutPlan | None:
    """No raise and no promotion begins inside a freeze window; the weight stays, and the analysis goes on."""
    freeze = freeze_of(state)
    if freeze is None:
        return None
    after = min(state.settings.poll_seconds, seconds_left(state, freeze))
    plan = wait_in_phase(
        state, RolloutPhase.PROGRESSING, RolloutReason.Frozen, message_of(state, freeze), after=after
    )
    return replace(plan, steps=(*plan.steps, CountHealthyTime(healthy=False)))


def seconds_to_propagate(state: State) -> int | None:
    """Seconds since the weight of this step was written, which every agent has confirmed by now; None at weight 0."""
    began = state.rollout.status.step_started_at
    if began is None or state.require_intent().weight == 0 or not everyone_is_in_sync(state):
        return None
    return max(0, round((state.now - began).total_seconds()))


def pause_is_not_over(state: State, duration: int) -> RolloutPlan | None:
    """Waits until the canary was healthy for the pause's seconds; too few requests do not count as healthy."""
    result = judged(state)
    recorded = state.rollout.status.analysis.healthy_seconds if state.rollout.status.analysis else 0
    counted = recorded + state.measurements.healthy_seconds
    if result.health is Health.HEALTHY and counted >= duration:
        return None
    tick = CountHealthyTime(healthy=result.health is Health.HEALTHY)
    left = max(0.05, duration - counted) if result.health is Health.HEALTHY else 60.0
    after = min(state.settings.poll_seconds, left)
    write_interval = max(5.0, duration / 20)
    began = state.rollout.status.step_started_at
    overdue = began is not None and state.now - began >= timedelta(seconds=duration)
    # An older router does not become newer while the pause goes on.
    told = overdue or result.health is not Health.WAITING or evidence_of(state).without_sessions > 0
    reason = result.reason if told else RolloutReason.Watching
    if state.rollout.status.reason != reason.value or (told and waits_for_something_else(state, result)):
        return write_numbers(state, result, reason, result.message, counted=counted, after=after)
    if state.measurements.healthy_seconds >= write_interval and result.health is Health.HEALTHY:
        status = state.rollout.status.model_copy(
            update={"analysis": summarize_analysis(state, result, int(counted))}
        )
        return Plan(
            steps=(*status_steps(state, status, result.reason, result.message), ResetHealthyTime(), tick),
            requeue_after=after,
        )
    return Plan(steps=(tick,), requeue_after=after)


def waits_for_something_else(state: State, result: AnalysisResult) -> bool:
    """Whether the status names another cause under the same reason. Numbers that change are not written."""
    said = state.rollout.status.analysis
    if result.health is not Health.WAITING or said is None:
        return False
    return _NUMBERS.sub("", said.message) != _NUMBERS.sub("", result.message[:512])
