"""Waiting until the candidate's endpoint runs and answers."""

from __future__ import annotations

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import CandidateStatus, RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase
from modelops.ports import NOT_CREATED, Endpoint

RETRY_SECONDS = 15.0


def await_endpoint(state: State) -> RolloutPlan | None:
    """Waits for the candidate's endpoint, which the AgentModel's reconciler starts because the record names it."""
    candidate = state.require_candidate()
    if candidate.endpoint_url or not candidate.endpoint_name:
        return None
    if state.endpoint is UNSEEN:
        return Plan(needs=RolloutFact.ENDPOINT)
    if isinstance(state.endpoint, Outage):
        return report_outage(state, state.endpoint)
    if state.endpoint is None or state.endpoint.state == NOT_CREATED:
        return report_missing_endpoint(state, state.endpoint)
    if state.endpoint.state in ("failed", "updateFailed"):
        words = f": {state.endpoint.message}" if state.endpoint.message else ""
        return latch_abort(
            state,
            RolloutReason.EndpointFailed,
            f"endpoint {state.endpoint.name} is {state.endpoint.state}{words}",
        )
    asleep = state.endpoint.state == "scaledToZero"
    if not state.endpoint.url or not (asleep or state.endpoint.state == "running"):
        return report_starting(state, after=0.5)
    # The request that asks whether it answers also wakes an endpoint that is scaled to zero.
    if state.answers is UNSEEN:
        return Plan(needs=RolloutFact.ANSWERS)
    if asleep or not state.answers:
        return report_starting(state, after=1.0)
    return begin_evaluation(state, url=state.endpoint.url)


def begin_evaluation(state: State, *, url: str) -> RolloutPlan:
    """The endpoint answers at this address, which the status has from now on."""
    candidate = state.require_candidate()
    message = f"endpoint {candidate.endpoint_name} answers"
    if state.rollout.status.evaluated is None:
        message += "; both models answer the held-out examples"
    status = with_phase(
        state,
        RolloutPhase.EVALUATING,
        RolloutReason.Evaluating,
        message,
        facts={"EndpointReady": True},
        lasting={"EndpointReady": f"endpoint {candidate.endpoint_name} answers"},
        candidate=candidate.model_copy(update={"endpoint_url": url}),
    )
    return Plan(steps=status_steps(state, status, RolloutReason.Evaluating, message), requeue_after=0)


def provisioning_message(target: Target | CandidateStatus) -> str:
    """What the candidate is, and where it is served or will be."""
    place = (
        f"its endpoint {target.endpoint_name} is starting"
        if target.endpoint_name
        else f"it is served at {target.endpoint_url}"
    )
    return f"{target.version} ({target.model}) is the candidate; {place}"


def report_outage(state: State, outage: Outage) -> RolloutPlan:
    """The service lists no endpoints, so nothing new is known of this one: `EndpointReady` stays as it is."""
    reason = RolloutReason.TokenRefused if outage.token_refused else RolloutReason.EndpointServiceUnavailable
    after = outage.retry_after or RETRY_SECONDS
    return wait_in_phase(state, state.rollout.status.phase, reason, outage.message, after=after)


def report_missing_endpoint(state: State, untaken: Endpoint | None) -> RolloutPlan:
    """The service has no such endpoint: it is about to be created, or its creation was not accepted (`untaken`).

    What the service said stays in the status while the creation is tried again.
    """
    phase, candidate = state.rollout.status.phase, state.require_candidate()
    if untaken is None:
        if state.rollout.status.reason == RolloutReason.EndpointNotCreated.value:
            return Plan(requeue_after=0.5)
        words = provisioning_message(candidate)
        return wait_in_phase(state, phase, RolloutReason.Provisioning, words, after=0.5)
    message = (
        f"endpoint {untaken.name} is not created: {untaken.message.rstrip('.')}. The operator tries again until "
        "spec.progressDeadlineSeconds has passed"
    )
    facts: dict[str, ConditionStatus | bool] = {"EndpointReady": ConditionStatus.UNKNOWN}
    return wait_in_phase(state, phase, RolloutReason.EndpointNotCreated, message, after=2.0, facts=facts)


def report_starting(state: State, *, after: float) -> RolloutPlan:
    """The service has the endpoint, which does not answer yet; from now on it costs (`was_never_created`)."""
    message = provisioning_message(state.require_candidate())
    return wait_in_phase(
        state,
        state.rollout.status.phase,
        RolloutReason.Provisioning,
        message,
        after=after,
        facts={"EndpointReady": False},
    )
