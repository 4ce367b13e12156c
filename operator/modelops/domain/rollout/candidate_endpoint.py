"""Waiting until the candidate's endpoint runs and answers."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase

RETRY_SECONDS = 15.0


def await_endpoint(state: State) -> RolloutPlan | None:
    """Waits for the candidate's endpoint, which the AgentModel's reconciler starts because the record names it."""
    candidate = state.require_candidate()
    if candidate.endpoint_url or not candidate.endpoint_name:
        return None
    if state.endpoint is UNSEEN:
        return Plan(needs=RolloutFact.ENDPOINT)
    if isinstance(state.endpoint, Outage) and state.endpoint.token_refused:
        return wait_in_phase(
            state,
            state.rollout.status.phase,
            RolloutReason.TokenRefused,
            state.endpoint.message,
            after=RETRY_SECONDS,
        )
    if isinstance(state.endpoint, Outage):
        return Plan(requeue_after=state.endpoint.retry_after or 2.0)
    if state.endpoint is None:
        return Plan(requeue_after=0.5)
    if state.endpoint.state in ("failed", "updateFailed"):
        words = f": {state.endpoint.message}" if state.endpoint.message else ""
        return latch_abort(
            state,
            RolloutReason.EndpointFailed,
            f"endpoint {state.endpoint.name} is {state.endpoint.state}{words}",
        )
    asleep = state.endpoint.state == "scaledToZero"
    if not state.endpoint.url or not (asleep or state.endpoint.state == "running"):
        return Plan(requeue_after=0.5)
    # The request that asks whether it answers also wakes an endpoint that is scaled to zero.
    if state.answers is UNSEEN:
        return Plan(needs=RolloutFact.ANSWERS)
    if asleep or not state.answers:
        return Plan(requeue_after=1.0)
    message = f"endpoint {state.endpoint.name} answers; both models answer the held-out examples"
    status = with_phase(
        state,
        RolloutPhase.EVALUATING,
        RolloutReason.Evaluating,
        message,
        facts={"EndpointReady": True},
        candidate=candidate.model_copy(update={"endpoint_url": state.endpoint.url}),
    )
    return Plan(steps=status_steps(state, status, RolloutReason.Evaluating, message), requeue_after=0)
