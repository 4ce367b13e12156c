"""The steps of a canary that have no fixed time: `pause: {}`, and `analysis`.

Both may end up waiting for a person, so the endpoint is planned and paid until the rollout's own deadline
(`endpoint_cost.waits_for_a_person`). The analysis goes on meanwhile: a breach aborts, whoever is waited for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from modelops.api.v1alpha1.rollout import CanaryStep, RolloutPhase
from modelops.api.v1alpha1.step_requests import StepAnalysis
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import CountHealthyTime, ResetHealthyTime, RolloutPlan
from modelops.domain.rollout.agent_quorum import everyone_is_in_sync
from modelops.domain.rollout.analysis import AnalysisResult, Health
from modelops.domain.rollout.analysis_summary import judged, summarize_analysis
from modelops.domain.rollout.deadline import latest_end
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, with_phase

LEAST_REQUESTS: Final = 50
"""Canary requests that an analysis waits for where spec.analysis.minRequests is empty; after its timeout it asks."""
WRITE_SECONDS: Final = 600.0
"""Healthy seconds after which a step that waits writes its numbers again."""


def open_step_is_not_over(state: State, step: CanaryStep) -> RolloutPlan | None:
    """Waits in a pause without a duration until a person opens it, or in an analysis until it has shown what is asked.

    None for every other step, and for an analysis that is over.
    """
    if step.analysis is not None:
        return analysis_is_not_over(state, step.analysis)
    if step.pause is None or step.pause.duration_seconds is not None:
        return None
    steps = state.rollout.spec.strategy.canary
    place = f"step {state.rollout.status.step} of {len(steps.steps) if steps else 0}"
    return wait(state, judged(state), RolloutReason.WaitingForPromotion, f"{place}: {waits_words(state)}")


def analysis_is_not_over(state: State, step: StepAnalysis) -> RolloutPlan | None:
    """Waits until the canary is healthy and what is asked is shown. After the step's timeout a person is asked."""
    result = judged(with_limits_of(state, step))
    if result.health is Health.HEALTHY:
        return None
    began = state.rollout.status.step_started_at or state.now
    if state.now - began < timedelta(seconds=step.timeout_seconds):
        return wait(state, result, result.reason, result.message)
    words = (
        f"not shown within the {step.timeout_seconds} s of this step: {result.message}. {waits_words(state)}"
    )
    return wait(state, result, RolloutReason.WaitingForPromotion, words)


def with_limits_of(state: State, step: StepAnalysis) -> State:
    """The state in which spec.analysis asks what the step asks. Without a question it asks for requests at all."""
    spec = state.rollout.spec
    asked: dict[str, object] = {}
    if step.exclude_points is not None:
        asked["exclude_points"] = step.exclude_points
    if spec.analysis.min_requests is None:
        asked["min_requests"] = LEAST_REQUESTS
    limits = spec.analysis.model_copy(update=asked)
    rollout = state.rollout.model_copy(update={"spec": spec.model_copy(update={"analysis": limits})})
    return replace(state, rollout=rollout)


def begin_words(state: State, step: CanaryStep) -> tuple[RolloutReason, str] | None:
    """Reason and message with which such a step begins; None for other steps."""
    if step.analysis is not None:
        asked = step.analysis.exclude_points
        what = f"not {asked} points worse" if asked is not None else "healthy"
        return (
            RolloutReason.Watching,
            f"waiting until the canary is shown to be {what}, for at most {step.analysis.timeout_seconds} s",
        )
    if step.pause is not None and step.pause.duration_seconds is None:
        return RolloutReason.WaitingForPromotion, waits_words(state)
    return None


def waits_words(state: State) -> str:
    """What a person can do, and until when."""
    meta, until = state.rollout.metadata, latest_end(state)
    place = f"{meta.name} -n {meta.namespace}"
    end = f" At {until:%Y-%m-%d %H:%M} UTC all sessions go back to stable." if until is not None else ""
    weight = state.require_intent().weight
    return (
        f"the canary keeps {weight} percent of sessions until a person goes on with "
        f"`modelops promote {place}`, or ends it with `modelops abort {place}`.{end}"
    )


def wait(state: State, result: AnalysisResult, reason: RolloutReason, message: str) -> RolloutPlan:
    """Says what is waited for: written when it is new, when the verdict changes, and every ten healthy minutes."""
    said = state.rollout.status.analysis
    counted = (said.healthy_seconds if said else 0) + state.measurements.healthy_seconds
    healthy = result.health is Health.HEALTHY
    tick, after = CountHealthyTime(healthy=healthy), state.settings.poll_seconds
    new = (
        state.rollout.status.reason != reason.value
        or said is None
        or said.verdict != result.health.value
        or (healthy and state.measurements.healthy_seconds >= WRITE_SECONDS)
    )
    if not new:
        return Plan(steps=(tick,), requeue_after=after)
    return write_numbers(state, result, reason, message, counted=counted, after=after)


def write_numbers(
    state: State,
    result: AnalysisResult,
    reason: RolloutReason,
    message: str,
    *,
    counted: float,
    after: float,
) -> RolloutPlan:
    """Writes what is waited for with the newest numbers; `counted`: the step's healthy seconds so far."""
    status = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        reason,
        message,
        facts={"RoutingPropagated": everyone_is_in_sync(state)},
        analysis=summarize_analysis(state, result, int(counted)),
    )
    tick = CountHealthyTime(healthy=result.health is Health.HEALTHY)
    return Plan(
        steps=(*status_steps(state, status, reason, message), ResetHealthyTime(), tick), requeue_after=after
    )
